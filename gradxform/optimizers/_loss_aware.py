"""Optimizers whose step is as long as the value of the objective promises. They want ``value``."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import scale_by_learning_rate, scale_by_momo, scale_by_momo_adam, scale_by_polyak


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


@named
def momo(
  learning_rate: Hyperparameter = 1.0,
  *,
  beta: Hyperparameter = 0.9,
  lower_bound: Hyperparameter = 0.0,
  weight_decay: Hyperparameter = 0.0,
):
  """MoMo: momentum with Polyak's step size; `update` and `step` want ``value``.

      m, f̄, γ ← averages of g, f and g·p;   c = 1 + a w
      p ← p / c − min(a, max(c · (f̄ − f* − γ) + m·p, 0) / ‖m‖²) · m

  Args:
    learning_rate: a, the longest step.
    beta: decay of the averages.
    lower_bound: f*, a lower bound of the objective.
    weight_decay: w.

  Source: Schaipp et al. 2024, Algorithm 1, https://arxiv.org/abs/2305.07583; ``optax.contrib.momo``.
  """
  return scale_by_momo(learning_rate, beta, lower_bound, weight_decay)


@named
def momo_adam(
  learning_rate: Hyperparameter = 1e-2,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  lower_bound: Hyperparameter = 0.0,
  weight_decay: Hyperparameter = 0.0,
):
  """MoMo-Adam: Adam with Polyak's step size; `update` and `step` want ``value``.

      m, f̄, γ ← averages of g, f and g·p;   d = m / (√(v / (1 − b2ᵗ)) + eps);   c = 1 + a w;   ρ = 1 − b1ᵗ
      p ← p / c − min(a / ρ, max(c · (f̄ − ρ f* − γ) + m·p, 0) / m·d) · d

  Args:
    learning_rate: a, the longest step.
    b1: decay of the averages.
    b2: decay of the second moment.
    eps: outside the root.
    lower_bound: f*, a lower bound of the objective.
    weight_decay: w.

  Source: Schaipp et al. 2024, Algorithm 2, https://arxiv.org/abs/2305.07583;
  ``optax.contrib.momo_adam``.
  """
  return scale_by_momo_adam(learning_rate, b1, b2, eps, lower_bound, weight_decay)
