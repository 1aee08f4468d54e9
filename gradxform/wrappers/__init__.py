"""Wrappers: transforms made of any transform, ours or Optax's."""

from gradxform.wrappers._accumulate import accumulate
from gradxform.wrappers._adam_mini import scale_by_adam_mini
from gradxform.wrappers._adjustable import adjustable
from gradxform.wrappers._anticipate import anticipate
from gradxform.wrappers._average import average_parameters, lookahead, stochastic_weight_average
from gradxform.wrappers._cautious import cautious
from gradxform.wrappers._complex import split_real_and_imaginary
from gradxform.wrappers._eigenbasis import in_eigenbasis, scale_by_soap
from gradxform.wrappers._every import every, scale_by_sophia, scale_by_sophia_g
from gradxform.wrappers._guard import skip_nonfinite, skip_spikes
from gradxform.wrappers._kl_shampoo import scale_by_kl_shampoo
from gradxform.wrappers._kron import scale_by_kron, whiten
from gradxform.wrappers._loss_scale import dynamic_loss_scale
from gradxform.wrappers._low_rank import in_low_rank, scale_by_galore
from gradxform.wrappers._low_rank_norms import (
  in_low_rank_and_rest,
  rescale_in_low_rank,
  scale_by_apollo,
  scale_by_fira,
)
from gradxform.wrappers._matrices import as_matrices, route_matrices
from gradxform.wrappers._mechanic import mechanize
from gradxform.wrappers._monitor import monitor
from gradxform.wrappers._primal import generalised_primal_averaging, schedule_free
from gradxform.wrappers._select import freeze, masked, partition, scaled, train_only
from gradxform.wrappers._shampoo import precondition_by_factors, scale_by_shampoo
from gradxform.wrappers._sharpness import adaptive_sharpness_aware, gradient_at, sharpness_aware
from gradxform.wrappers._splus import in_exact_eigenbasis, scale_by_splus

__all__ = [
  # which leaves
  "freeze", "masked", "partition", "route_matrices", "scaled", "train_only",
  # at which steps
  "accumulate", "dynamic_loss_scale", "every", "skip_nonfinite", "skip_spikes",
  # in which shape, in which basis, in which direction
  "as_matrices", "in_eigenbasis", "in_exact_eigenbasis", "in_low_rank", "in_low_rank_and_rest", "rescale_in_low_rank",
  "precondition_by_factors", "anticipate", "cautious",
  # cores around a transform of one's choice
  "scale_by_adam_mini", "scale_by_apollo", "scale_by_fira", "scale_by_galore", "scale_by_shampoo", "scale_by_soap",
  "scale_by_sophia", "scale_by_sophia_g", "scale_by_splus",
  # cores that need more than a rule
  "scale_by_kl_shampoo", "scale_by_kron", "whiten",
  # how far to go along
  "mechanize",
  # where the gradient is taken
  "adaptive_sharpness_aware", "gradient_at", "sharpness_aware",
  # averages of the parameters
  "average_parameters", "generalised_primal_averaging", "lookahead", "schedule_free", "stochastic_weight_average",
  # kinds of leaves
  "split_real_and_imaginary",
  # seeing what goes on inside, and changing it
  "adjustable", "monitor",
]  # fmt: skip
