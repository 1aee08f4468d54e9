"""A step size for each array, in proportion to its norm."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.rules import after
from gradxform.transforms import (
  add_decayed_weights,
  scale,
  scale_by_adam,
  scale_by_learning_rate,
  scale_by_trust_ratio,
  trace,
)


@named
def lars(
  learning_rate: Hyperparameter,
  *,
  weight_decay: Hyperparameter = 0.0,
  trust_coefficient: Hyperparameter = 0.001,
  eps: Hyperparameter = 0.0,
  momentum: Hyperparameter = 0.9,
):
  """LARS: momentum of steps that are in proportion to the norm of each array.

      d = g + λ · p;   m ← μ · m + a · c · d · ‖p‖ / (‖d‖ + eps);   p ← p − m

  where the ratio is 1 / c if a norm is 0.

  Args:
    learning_rate: the step a, inside the accumulated m.
    weight_decay: λ, inside the ratio.
    trust_coefficient: c, greater than 0.
    eps: added to the norm of d.
    momentum: μ in [0, 1].

  Source: You, Gitman & Ginsburg 2017, Algorithm 1, https://arxiv.org/abs/1708.03888, which divides
  by ‖g‖ + λ · ‖p‖; `optax.lars`.
  """
  local = chain(add_decayed_weights(weight_decay), scale_by_trust_ratio(0.0, trust_coefficient, eps))
  return chain(local, scale_by_learning_rate(learning_rate), trace(momentum))


@named
def lamb(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-6,
  weight_decay: Hyperparameter = 0.0,
):
  """LAMB: Adam whose step is in proportion to the norm of each array.

      d = Adam's direction + λ · p;   p ← p − a · d · ‖p‖ / ‖d‖

  where the ratio is 1 if a norm is 0.

  Args:
    learning_rate: the step a, as a share of the parameters' norm.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.
    weight_decay: λ, inside the ratio.

  Source: You et al. 2020, Algorithm 2, https://arxiv.org/abs/1904.00962, which may bound ‖p‖;
  `optax.lamb`.
  """
  direction = chain(scale_by_adam(b1, b2, eps), add_decayed_weights(weight_decay))
  return chain(direction, scale_by_trust_ratio(), scale_by_learning_rate(learning_rate))


@named
def fromage(learning_rate: Hyperparameter, *, min_norm: Hyperparameter = 1e-6):
  """Fromage: steps of a fixed share of each array's norm, which they do not let grow.

      p ← (p − a · g · ‖p‖ / ‖g‖) / √(1 + a²)

  Args:
    learning_rate: the share a.
    min_norm: the least norm of either.

  Source: Bernstein et al. 2020, Algorithm 1, https://arxiv.org/abs/2002.03432; `optax.fromage`.
  """
  step = after(lambda a: a / (1 + a * a) ** 0.5, learning_rate)
  # 1 − 1 / √(1 + a²), without cancellation
  shrinkage = after(lambda a: a * a / (1 + a * a + (1 + a * a) ** 0.5), learning_rate)
  return chain(scale_by_trust_ratio(min_norm), scale(step), add_decayed_weights(shrinkage), scale(-1.0))
