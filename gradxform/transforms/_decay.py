"""Decay of the parameters."""

from gradxform._checks import check_not_negative, is_number
from gradxform.core import Hyperparameter, named
from gradxform.rules import elementwise


@named
def add_decayed_weights(weight_decay: Hyperparameter):
  """Adds a multiple of the parameters.

      u ← u + λ · p

  Its place says what it means: before the moments it is the gradient of ½λ‖p‖² (L2), after them
  and before the learning rate it is decoupled weight decay (AdamW). It reads the parameters.

  Args:
    weight_decay: λ, at least 0.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101; `optax.add_decayed_weights`.
  """
  check_not_negative("add_decayed_weights", weight_decay=weight_decay)

  def rule(u, *, param, weight_decay):
    if is_number(weight_decay) and weight_decay == 0:
      return u  # XLA would read the parameters all the same, lest one be infinite
    return u + weight_decay * param

  return elementwise("add_decayed_weights", rule, weight_decay=weight_decay)
