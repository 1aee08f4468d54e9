"""Optimizers whose step is as long as the value of the objective promises. They want ``value``."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import scale_by_learning_rate, scale_by_polyak


@named
def polyak_sgd(
  *,
  max_learning_rate: Hyperparameter = 1.0,
  scaling: Hyperparameter = 1.0,
  f_min: Hyperparameter = 0.0,
  eps: Hyperparameter = 0.0,
  variant: str = "sps",
):
  """Gradient descent with Polyak's step size; `update` and `step` want ``value``.

      p ← p − s · min((f − f*) / (‖s · g‖² + eps), a) · g,   s the scaling

  Args:
    max_learning_rate: a, the longest step.
    scaling: s, outside of the step and inside of its norm.
    f_min: f*, a lower bound of the objective.
    eps: added to the squared norm.
    variant: ``sps``, or ``sps+`` to go nowhere where f is below f*.

  Source: Loizou et al. 2021, https://arxiv.org/abs/2002.10542; `optax.polyak_sgd`.
  """
  polyak = scale_by_polyak(f_min, max_learning_rate, eps, variant)
  return chain(scale_by_learning_rate(scaling), polyak)
