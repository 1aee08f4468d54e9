"""Primitives, one file for each family, and the cores of the adaptive optimizers."""

from gradxform.transforms._adam_kin import (
  scale_by_acprop,
  scale_by_adopt,
  scale_by_belief,
  scale_by_novograd,
  scale_by_radam,
  scale_by_yogi,
)
from gradxform.transforms._adaptive import (
  ema,
  nesterov_moment,
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
from gradxform.transforms._betting import scale_by_cocob
from gradxform.transforms._clipping import (
  adaptive_grad_clip,
  clip,
  clip_by_block_rms,
  clip_by_count,
  clip_by_global_norm,
  limit_norm_growth,
)
from gradxform.transforms._conjugate import conjugate_directions
from gradxform.transforms._correction import bias_correction, rectify
from gradxform.transforms._curvature import (
  gauss_newton_bartlett,
  hessian_diagonal,
  hutchinson_diagonal,
  precondition_by_hessian,
  precondition_by_hessian_diagonal,
)
from gradxform.transforms._d_adaptation import scale_by_dadapt, scale_by_prodigy
from gradxform.transforms._decay import add_cautiously_decayed_weights, add_decayed_weights
from gradxform.transforms._dion import scale_by_dion
from gradxform.transforms._distance import scale_by_distance_over_gradients, scale_by_dog, scale_by_dowg
from gradxform.transforms._factored import factored_moving_average, scale_by_confidence, scale_by_factored_rms
from gradxform.transforms._guards import keep_params_nonnegative, zero_nans
from gradxform.transforms._iterates import average_iterates
from gradxform.transforms._layerwise import (
  centralize,
  normalize,
  normalize_by_update_norm,
  scale_by_param_block_norm,
  scale_by_param_block_rms,
  scale_by_trust_ratio,
)
from gradxform.transforms._line_search import backtracking_line_search, exact_line_search, zoom_line_search
from gradxform.transforms._lookback import (
  reduce_variance,
  scale_by_adan,
  scale_by_ademamix,
  scale_by_optimistic_gradient,
  scale_by_simplified_ademamix,
)
from gradxform.transforms._matrix import matrix_norm, mean_over, scale_by_shape
from gradxform.transforms._moments import (
  additive_average,
  apply_every,
  average_from_first,
  decayed_max,
  difference,
  moving_average,
  running_max,
  running_sum,
  scale_by_momentum,
  trace,
)
from gradxform.transforms._momo import scale_by_momo, scale_by_momo_adam
from gradxform.transforms._muon import scale_by_adamuon, scale_by_muon, scale_by_normuon
from gradxform.transforms._noise import add_noise
from gradxform.transforms._orthogonal import newton_schulz, orthogonalize
from gradxform.transforms._plateau import reduce_on_plateau
from gradxform.transforms._pointwise import (
  absolute,
  add_constant,
  at_least,
  begin_with,
  cube_root,
  root,
  scale,
  scale_by_count,
  scale_by_learning_rate,
  scale_by_param_size,
  set_to_zero,
  sign,
  square,
  stop_after,
)
from gradxform.transforms._polyak import scale_by_polyak
from gradxform.transforms._privacy import differentially_private_aggregate
from gradxform.transforms._quasi_newton import scale_by_bfgs, scale_by_lbfgs
from gradxform.transforms._reductions import mean_of_squares, sum_of_squares, where_positive
from gradxform.transforms._rprop import scale_by_rprop
from gradxform.transforms._sm3 import covered_sum, scale_by_sm3
from gradxform.transforms._start import displacement, scale_by_madgrad

__all__ = [
  # functions of each element
  "absolute",
  "add_constant",
  "at_least",
  "begin_with",
  "cube_root",
  "root",
  "scale",
  "scale_by_count",
  "scale_by_learning_rate",
  "scale_by_param_size",
  "set_to_zero",
  "sign",
  "square",
  "stop_after",
  # what an array comes down to
  "matrix_norm",
  "mean_of_squares",
  "mean_over",
  "sum_of_squares",
  "where_positive",
  # filters
  "additive_average",
  "apply_every",
  "average_from_first",
  "covered_sum",
  "decayed_max",
  "difference",
  "ema",
  "factored_moving_average",
  "moving_average",
  "nesterov_moment",
  "running_max",
  "running_sum",
  "scale_by_momentum",
  "trace",
  # corrections and decay
  "add_cautiously_decayed_weights",
  "add_decayed_weights",
  "bias_correction",
  "rectify",
  "reduce_variance",
  # bounds
  "adaptive_grad_clip",
  "clip",
  "clip_by_block_rms",
  "clip_by_count",
  "clip_by_global_norm",
  "limit_norm_growth",
  # norms and means of arrays
  "centralize",
  "normalize",
  "normalize_by_update_norm",
  "scale_by_param_block_norm",
  "scale_by_param_block_rms",
  "scale_by_trust_ratio",
  # what is kept of the way
  "average_iterates",
  # matrices
  "newton_schulz",
  "orthogonalize",
  "scale_by_shape",
  # repairs and noise
  "add_noise",
  "differentially_private_aggregate",
  "keep_params_nonnegative",
  "zero_nans",
  # what is reckoned from the start
  "displacement",
  "scale_by_cocob",
  "scale_by_dadapt",
  "scale_by_distance_over_gradients",
  "scale_by_dog",
  "scale_by_dowg",
  "scale_by_madgrad",
  "scale_by_prodigy",
  # steps as long as the value of the objective promises
  "reduce_on_plateau",
  "scale_by_momo",
  "scale_by_momo_adam",
  "scale_by_polyak",
  # cores of the adaptive optimizers
  "scale_by_acprop",
  "scale_by_adadelta",
  "scale_by_adam",
  "scale_by_adamax",
  "scale_by_adamuon",
  "scale_by_adan",
  "scale_by_ademamix",
  "scale_by_adopt",
  "scale_by_amsgrad",
  "scale_by_belief",
  "scale_by_confidence",
  "scale_by_dion",
  "scale_by_factored_rms",
  "scale_by_lion",
  "scale_by_muon",
  "scale_by_nadam",
  "scale_by_normuon",
  "scale_by_novograd",
  "scale_by_optimistic_gradient",
  "scale_by_radam",
  "scale_by_rms",
  "scale_by_rprop",
  "scale_by_rss",
  "scale_by_simplified_ademamix",
  "scale_by_sm3",
  "scale_by_stddev",
  "scale_by_yogi",
  # curvature
  "conjugate_directions",
  "gauss_newton_bartlett",
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
