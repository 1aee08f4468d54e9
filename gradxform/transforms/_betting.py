"""Coin betting: each element bets its gains on the outcome of the next gradient."""

import jax.numpy as jnp

from gradxform._checks import check_positive, check_real
from gradxform.core import Hyperparameter, named
from gradxform.rules import elementwise
from gradxform.transforms._start import START


@named
def scale_by_cocob(alpha: Hyperparameter = 100.0, eps: Hyperparameter = 1e-8):
  """Goes from the start as far as a gambler would bet who has seen these gradients: COCOB.

      L ← max(L, |g|);   G ← G + |g|;   R ← max(R − g · (p − p₀), 0);   C ← C − g
      u = p₀ + C / (L · max(G + L, α · L)) · (L + R) − p

  It comes last: the sign of descent is in it, and there is no learning rate.

  Args:
    alpha: α, how little of the wealth is bet at first; greater than 0.
    eps: L before the first gradient; greater than 0.

  State, like the parameters: ``start`` p₀, ``largest`` L, ``absolute`` G, ``reward`` R, ``total`` C.

  Raises:
    ValueError: if `update` is not given the parameters.
    TypeError: for complex updates.

  Source: Orabona & Tommasi 2017, Algorithm 2, https://arxiv.org/abs/1705.07795;
  ``optax.contrib.scale_by_cocob``.
  """
  check_positive("scale_by_cocob", alpha=alpha, eps=eps)

  def rule(g, start, largest, absolute, reward, total, *, param, alpha):
    check_real("scale_by_cocob", g)
    largest = jnp.maximum(largest, jnp.abs(g))
    absolute, total = absolute + jnp.abs(g), total - g
    reward = jnp.maximum(reward - g * (param - start), 0)
    share = total / (largest * jnp.maximum(absolute + largest, alpha * largest))
    return start + share * (largest + reward) - param, start, largest, absolute, reward, total

  slots = {"start": START, "largest": eps, "absolute": 0.0, "reward": 0.0, "total": 0.0}
  return elementwise("scale_by_cocob", rule, slots, alpha=alpha)
