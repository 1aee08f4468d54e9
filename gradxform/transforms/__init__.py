"""Primitives, one file for each family, and the cores of the adaptive optimizers."""

from gradxform.transforms._adaptive import (
  scale_by_adadelta,
  scale_by_adam,
  scale_by_adamax,
  scale_by_amsgrad,
  scale_by_lion,
  scale_by_nadam,
  scale_by_rms,
  scale_by_rss,
  scale_by_stddev,
)
from gradxform.transforms._clipping import clip, clip_by_block_rms, clip_by_global_norm
from gradxform.transforms._conjugate import conjugate_directions
from gradxform.transforms._correction import bias_correction
from gradxform.transforms._curvature import (
  hessian_diagonal,
  hutchinson_diagonal,
  precondition_by_hessian,
  precondition_by_hessian_diagonal,
)
from gradxform.transforms._decay import add_decayed_weights
from gradxform.transforms._line_search import backtracking_line_search, exact_line_search, zoom_line_search
from gradxform.transforms._moments import (
  decayed_max,
  moving_average,
  running_max,
  running_sum,
  scale_by_momentum,
  trace,
)
from gradxform.transforms._pointwise import absolute, at_least, root, scale, scale_by_learning_rate, sign, square
from gradxform.transforms._quasi_newton import scale_by_bfgs, scale_by_lbfgs

__all__ = [
  # functions of each element
  "absolute",
  "at_least",
  "root",
  "scale",
  "scale_by_learning_rate",
  "sign",
  "square",
  # filters
  "decayed_max",
  "moving_average",
  "running_max",
  "running_sum",
  "scale_by_momentum",
  "trace",
  # corrections and decay
  "add_decayed_weights",
  "bias_correction",
  # bounds
  "clip",
  "clip_by_block_rms",
  "clip_by_global_norm",
  # cores of the adaptive optimizers
  "scale_by_adadelta",
  "scale_by_adam",
  "scale_by_adamax",
  "scale_by_amsgrad",
  "scale_by_lion",
  "scale_by_nadam",
  "scale_by_rms",
  "scale_by_rss",
  "scale_by_stddev",
  # curvature
  "conjugate_directions",
  "hessian_diagonal",
  "hutchinson_diagonal",
  "precondition_by_hessian",
  "precondition_by_hessian_diagonal",
  "scale_by_bfgs",
  "scale_by_lbfgs",
  # line searches
  "backtracking_line_search",
  "exact_line_search",
  "zoom_line_search",
]
