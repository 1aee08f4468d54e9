"""Steps whose length is not that of the gradient: only the sign of a direction counts."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  add_decayed_weights,
  scale,
  scale_by_learning_rate,
  scale_by_lion,
  scale_by_momentum,
  scale_by_rprop,
  sign,
)


@named
def sign_sgd(learning_rate: Hyperparameter):
  """Gradient descent by the sign of the gradient alone.

      p ← p − a · sign(g)

  Args:
    learning_rate: the step a, the same for every element.

  Source: Bernstein et al. 2018, Algorithm 1, https://arxiv.org/abs/1802.04434; `optax.sign_sgd`.
  """
  return chain(sign(), scale_by_learning_rate(learning_rate))


@named
def signum(learning_rate: Hyperparameter, *, beta: Hyperparameter = 0.9):
  """Signum: gradient descent by the sign of the momentum.

      m ← b · m + (1 − b) · g;   p ← p − a · sign(m)

  Args:
    learning_rate: the step a, the same for every element.
    beta: the decay b of the momentum, in [0, 1).

  Source: Bernstein et al. 2018, Algorithm 2, https://arxiv.org/abs/1802.04434; `optax.signum`.
  """
  return chain(scale_by_momentum(beta), sign(), scale_by_learning_rate(learning_rate))


@named
def lion(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.99,
  weight_decay: Hyperparameter = 1e-3,
):
  """Lion: the sign of a momentum in which the present gradient counts more than in what is kept.

      u = sign(b1 · m + (1 − b1) · g);   m ← b2 · m + (1 − b2) · g;   p ← p − a · (u + λ · p)

  Args:
    learning_rate: the step a, which multiplies the decay too; about a tenth of Adam's.
    b1: share of the kept momentum in the direction.
    b2: decay of the kept momentum.
    weight_decay: λ, decoupled.

  Source: Chen et al. 2023, Algorithm 2, https://arxiv.org/abs/2302.06675; `optax.lion`. The
  authors' code has λ = 0 unless told otherwise. With b1 = b2 and λ = 0 it is `signum`.
  """
  return chain(scale_by_lion(b1, b2), add_decayed_weights(weight_decay), scale_by_learning_rate(learning_rate))


@named
def rprop(
  learning_rate: Hyperparameter,
  *,
  eta_minus: Hyperparameter = 0.5,
  eta_plus: Hyperparameter = 1.2,
  min_step_size: Hyperparameter = 1e-6,
  max_step_size: Hyperparameter = 50.0,
):
  """Rprop: a step size for each element, which grows while its gradient keeps its sign.

      s ← s · η₊ if g · g′ > 0;   s · η₋, and g ← 0, if g · g′ < 0;   then s ← min(max(s, low), high)
      p ← p − s · sign(g),   g′ the gradient before, 0 where it had turned

  It reads signs from one step to the next, which wants the gradient of all data, not of batches.

  Args:
    learning_rate: the first step size s; a schedule is read at the start only.
    eta_minus: η₋, the factor after a turn.
    eta_plus: η₊, the factor without one.
    min_step_size: the bound from below.
    max_step_size: the bound from above.

  Source: Riedmiller & Braun 1993, as iRprop− of Igel & Hüsken 2000; torch's Rprop. `optax.rprop`
  moves one step late: it emits the update of the step before, at first 0.
  """
  steps = scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size)
  return chain(steps, scale(-1.0))
