"""Conjugate directions."""

import jax
import jax.numpy as jnp

from gradxform._checks import check_choice
from gradxform.core import named
from gradxform.rules import whole_tree
from gradxform.tree import vdot

FORMULAS = ("fletcher_reeves", "polak_ribiere", "hestenes_stiefel")


@named
def conjugate_directions(formula: str = "polak_ribiere"):
  """Bends the gradient into a direction that is conjugate to the last: nonlinear conjugate gradients.

      d ← g + β d;   u ← d
      fletcher_reeves    β = ‖g‖² / ‖g′‖²
      polak_ribiere      β = max(0, g·(g − g′) / ‖g′‖²)
      hestenes_stiefel   β = max(0, g·(g − g′) / −d·(g − g′))

  where g′ and d are of the step before; products are over all leaves. It restarts by itself, with
  β = 0, where the direction would not be one of descent (g·d ≤ 0). It wants a line search after it.

  Args:
    formula: ``fletcher_reeves``, ``polak_ribiere`` or ``hestenes_stiefel``.

  State: ``gradient`` g′ and ``direction`` d, like the parameters.

  Source: Nocedal & Wright 2006, algorithm 5.4 and equations 5.41a, 5.45 and 5.46.
  """
  check_choice("conjugate_directions", FORMULAS, formula=formula)

  def rule(updates, gradient, direction):
    change = jax.tree.map(jnp.subtract, updates, gradient)
    before = vdot(gradient, gradient)
    if formula == "fletcher_reeves":
      numerator, divisor = vdot(updates, updates), before
    elif formula == "polak_ribiere":
      numerator, divisor = jnp.maximum(vdot(updates, change), 0), before
    else:  # the direction here is one of ascent: N&W's with its sign changed
      numerator, divisor = vdot(updates, change), -vdot(direction, change)
    beta = jnp.where(divisor == 0, 0, numerator / jnp.where(divisor == 0, 1, divisor))
    if formula == "hestenes_stiefel":
      beta = jnp.maximum(beta, 0)
    bent = jax.tree.map(lambda g, d: g + beta.astype(g.dtype) * d, updates, direction)
    descends = vdot(updates, bent) > 0
    bent = jax.tree.map(lambda g, d: jnp.where(descends, d, g), updates, bent)
    return bent, updates, bent

  return whole_tree("conjugate_directions", rule, slots=("gradient", "direction"))
