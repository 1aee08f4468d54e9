"""Optimizers that look further back: at the change of the gradient, or at a second, slower average."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  add_decayed_weights,
  scale_by_adan,
  scale_by_ademamix,
  scale_by_learning_rate,
  scale_by_nadam,
  scale_by_optimistic_gradient,
  scale_by_simplified_ademamix,
)


@named
def optimistic_gradient_descent(
  learning_rate: Hyperparameter, *, alpha: Hyperparameter = 1.0, beta: Hyperparameter = 1.0
):
  """Optimistic gradient descent, which does not go round in circles in a game of two players.

      p ← p − a · (α · g + β · (g − g′)),   g′ the gradient before, at first g

  Args:
    learning_rate: the step a.
    alpha: α, of the gradient.
    beta: β, of its change.

  Source: Mokhtari et al. 2020, https://arxiv.org/abs/1901.08511; `optax.optimistic_gradient_descent`.
  """
  return chain(scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate))


@named
def optimistic_adam_v2(
  learning_rate: Hyperparameter,
  *,
  alpha: Hyperparameter = 1.0,
  beta: Hyperparameter = 1.0,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
):
  """Optimistic Adam: Nadam's direction, and its change since the step before.

      u = Nadam's direction;   p ← p − a · (α · u + β · (u − u′)),   u′ = u at first

  Args:
    learning_rate: the step a.
    alpha: α, of the direction.
    beta: β, of its change.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.

  Source: Daskalakis et al. 2018, Algorithm 1, https://arxiv.org/abs/1711.00141, which has Adam's
  direction: `scale_by_adam` in the place of `scale_by_nadam`; `optax.optimistic_adam_v2`. The
  deprecated `optax.optimistic_adam`, of rate a and optimism o, is that of rate 1 with α = a, β = o.
  """
  direction = chain(scale_by_nadam(b1, b2, eps), scale_by_optimistic_gradient(alpha, beta))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def adan(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.98,
  b2: Hyperparameter = 0.92,
  b3: Hyperparameter = 0.99,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 0.0,
):
  """Adan: Adam with Nesterov's look ahead, estimated from the change of the gradient.

      d = g − g′, at first 0;   m ← b1 · m + (1 − b1) · g;   e ← b2 · e + (1 − b2) · d
      n ← b3 · n + (1 − b3) · (g + b2 · d)²
      u = (m / (1 − b1ᵗ) + b2 · e / (1 − b2ᵗ)) / (√(n / (1 − b3ᵗ)) + eps);   p ← p − a · (u + λ · p)

  Args:
    learning_rate: the step a, which multiplies the decay too.
    b1: decay of the first moment.
    b2: decay of the average change, and its weight.
    b3: decay of the second moment.
    eps: outside the root.
    weight_decay: λ, decoupled.

  Source: Xie et al. 2022, Algorithm 1, https://arxiv.org/abs/2208.06677, whose betas are one minus
  these, and the authors' code with ``no_prox=True``; else it divides p − a · u by 1 + a · λ.
  `optax.adan` has 1 − b2 as the weight of the change, and an eps inside the root.
  """
  direction = chain(scale_by_adan(b1, b2, b3, eps), add_decayed_weights(weight_decay))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def ademamix(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  b3: Hyperparameter = 0.9999,
  alpha: Hyperparameter = 5.0,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 0.0,
):
  """AdEMAMix: Adam with a second, much slower first moment.

      m ← b1 · m + (1 − b1) · g;   n ← b3 · n + (1 − b3) · g;   v ← b2 · v + (1 − b2) · g²
      u = (m / (1 − b1ᵗ) + α · n) / (√(v / (1 − b2ᵗ)) + eps);   p ← p − a · (u + λ · p)

  Args:
    learning_rate: the step a, which multiplies the decay too.
    b1: decay of the first moment.
    b2: decay of the second moment.
    b3: decay of the slow average; the paper lets it grow from b1 at first, by a schedule.
    alpha: the weight α of the slow average; the paper lets it grow from 0 at first.
    eps: outside the root.
    weight_decay: λ, decoupled.

  Source: Pagliardini et al. 2024, Algorithm 1, https://arxiv.org/abs/2409.03137;
  ``optax.contrib.ademamix``.
  """
  direction = chain(scale_by_ademamix(b1, b2, b3, alpha, eps), add_decayed_weights(weight_decay))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def simplified_ademamix(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.99,
  b2: Hyperparameter = 0.95,
  alpha: Hyperparameter = 0.0,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 0.0,
):
  """Simplified AdEMAMix: one accumulated momentum, and the gradient itself in place of the fast average.

      m ← b1 · m + g;   v ← b2 · v + (1 − b2) · g²
      u = (m + α · g) / (√(v / (1 − b2ᵗ)) + eps);   p ← p − a · (u + λ · p)

  Args:
    learning_rate: the step a; m sums 1 / (1 − b1) gradients, so it is that much smaller than Adam's.
    b1: decay of the accumulated momentum.
    b2: decay of the second moment.
    alpha: the weight α of the gradient.
    eps: outside the root.
    weight_decay: λ, decoupled.

  Source: Morwani et al. 2025, https://arxiv.org/abs/2502.02431; ``optax.contrib.simplified_ademamix``.
  """
  direction = chain(scale_by_simplified_ademamix(b1, b2, alpha, eps), add_decayed_weights(weight_decay))
  return chain(direction, scale_by_learning_rate(learning_rate))
