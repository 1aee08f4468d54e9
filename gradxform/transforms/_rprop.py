"""Step sizes that follow the signs of the gradient."""

import jax.numpy as jnp

from gradxform._checks import check_positive, check_real
from gradxform.core import Hyperparameter, named
from gradxform.rules import elementwise


@named
def scale_by_rprop(
  learning_rate: Hyperparameter,
  eta_minus: Hyperparameter = 0.5,
  eta_plus: Hyperparameter = 1.2,
  min_step_size: Hyperparameter = 1e-6,
  max_step_size: Hyperparameter = 50.0,
):
  """Gives each element a step size that grows while its gradient keeps its sign, and shrinks when it turns.

      s ← s · η₊ if g · g′ > 0;   s · η₋, and g ← 0, if g · g′ < 0;   then s ← min(max(s, low), high)
      u = s · sign(g),   g′ the gradient before, 0 where it had turned

  Args:
    learning_rate: the first step size s; a schedule is read at the start only.
    eta_minus: η₋, the factor after a turn; greater than 0.
    eta_plus: η₊, the factor without one; greater than 0.
    min_step_size: the bound from below; greater than 0.
    max_step_size: the bound from above; greater than 0.

  State: ``gradient`` g′ and ``step_size`` s, like the parameters.

  Raises:
    TypeError: for complex updates.

  Source: iRprop−, Igel & Hüsken 2000; torch's Rprop. `optax.scale_by_rprop` emits the update of the
  step before.
  """
  check_positive(
    "scale_by_rprop",
    learning_rate=learning_rate,
    eta_minus=eta_minus,
    eta_plus=eta_plus,
    min_step_size=min_step_size,
    max_step_size=max_step_size,
  )

  def rule(u, gradient, step_size, *, eta_minus, eta_plus, min_step_size, max_step_size):
    check_real("scale_by_rprop", u)
    agreement = u * gradient
    factor = jnp.where(agreement > 0, eta_plus, jnp.where(agreement < 0, eta_minus, 1))
    step_size = jnp.clip(step_size * factor, min_step_size, max_step_size)
    gradient = jnp.where(agreement < 0, 0, u)
    return step_size * jnp.sign(gradient), gradient, step_size

  return elementwise(
    "scale_by_rprop",
    rule,
    slots={"gradient": 0.0, "step_size": learning_rate},
    eta_minus=eta_minus,
    eta_plus=eta_plus,
    min_step_size=min_step_size,
    max_step_size=max_step_size,
  )
