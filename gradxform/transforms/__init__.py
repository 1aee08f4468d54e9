"""Primitives, one file for each family, and the cores of the adaptive optimizers."""

from gradxform.transforms._adaptive import (
  scale_by_adadelta,
  scale_by_adam,
  scale_by_adamax,
  scale_by_amsgrad,
  scale_by_nadam,
  scale_by_rms,
  scale_by_rss,
  scale_by_stddev,
)
from gradxform.transforms._clipping import clip, clip_by_block_rms, clip_by_global_norm
from gradxform.transforms._correction import bias_correction
from gradxform.transforms._decay import add_decayed_weights
from gradxform.transforms._moments import (
  decayed_max,
  moving_average,
  running_max,
  running_sum,
  scale_by_momentum,
  trace,
)
from gradxform.transforms._pointwise import absolute, at_least, root, scale, scale_by_learning_rate, sign, square

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
  "scale_by_nadam",
  "scale_by_rms",
  "scale_by_rss",
  "scale_by_stddev",
]
