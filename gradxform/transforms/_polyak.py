"""Polyak's step size: as long as the value promises."""

import jax.numpy as jnp

from gradxform._checks import check_choice, check_not_negative, check_number, check_positive
from gradxform.core import Hyperparameter, named
from gradxform.rules import whole_tree
from gradxform.tree import scaled, squared_norm

VARIANTS = ("sps", "sps+")
NOTHING = 2.0**-52  # squared norms up to this are none: there the step is 0


def polyak_step(gap, square, longest):
  """The gap over the square, but at most the longest step; 0 where there is nothing to go along."""
  is_nothing = square <= NOTHING
  return jnp.where(is_nothing, 0, jnp.minimum(gap / jnp.where(is_nothing, 1, square), longest))


@named
def scale_by_polyak(
  f_min: Hyperparameter = 0.0,
  max_learning_rate: Hyperparameter = 1.0,
  eps: Hyperparameter = 0.0,
  variant: str = "sps",
):
  """Scales the updates by the step that would bring a linear objective down to its minimum.

      u ← u · min((f − f*) / (‖u‖² + eps), a);   0 where ‖u‖² + eps ≤ 2⁻⁵²

  The norm is that of all leaves together. Where f is below f*, the step goes uphill, unless the
  variant takes the gap as 0 there.

  Args:
    f_min: f*, a lower bound of the objective; any finite number.
    max_learning_rate: a, the longest step; greater than 0.
    eps: added to the squared norm; at least 0.
    variant: ``sps``, or ``sps+`` to take max(f − f*, 0) for the gap.

  Raises:
    ValueError: if `update` is not given ``value``, which is f.

  Source: Loizou et al. 2021, equation 3, https://arxiv.org/abs/2002.10542; ``sps+``: Garrigos et al.
  2023, https://arxiv.org/abs/2307.14528; `optax.scale_by_polyak`.
  """
  check_number("scale_by_polyak", f_min=f_min)
  check_positive("scale_by_polyak", max_learning_rate=max_learning_rate)
  check_not_negative("scale_by_polyak", eps=eps)
  check_choice("scale_by_polyak", VARIANTS, variant=variant)

  def rule(updates, *, value, f_min, max_learning_rate, eps):
    square = squared_norm(updates) + eps
    gap = jnp.asarray(value, square.dtype) - f_min
    if variant == "sps+":
      gap = jnp.maximum(gap, 0)
    return scaled(polyak_step(gap, square, max_learning_rate), updates)

  return whole_tree(
    "scale_by_polyak", rule, f_min=f_min, max_learning_rate=max_learning_rate, eps=eps
  )  # fmt: skip
