"""Optimizers that need no learning rate, and others that reckon from where the parameters began."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import add_decayed_weights, scale_by_madgrad


@named
def madgrad(
  learning_rate: Hyperparameter,
  *,
  momentum: Hyperparameter = 0.9,
  weight_decay: Hyperparameter = 0.0,
  eps: Hyperparameter = 1e-6,
):
  """MADGRAD: dual averaging with the cube root of a sum of squares, and momentum.

      g ← g + w · p;   λ = (a + eps) · √t;   G ← G + λ · g²;   s ← s + λ · g
      z = p₀ − s / (∛G + eps);   p ← μ · p + (1 − μ) · z

  Args:
    learning_rate: the step a.
    momentum: μ.
    weight_decay: w, of the gradient (L2).
    eps: outside the root, and added to the learning rate.

  Source: Defazio & Jelassi 2021, Algorithm 1, https://arxiv.org/abs/2101.11075;
  ``optax.contrib.madgrad``.
  """
  return chain(add_decayed_weights(weight_decay), scale_by_madgrad(learning_rate, momentum, eps))
