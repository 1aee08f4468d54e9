"""What a whole array comes down to."""

import dataclasses

import jax.numpy as jnp

from gradxform.core import named
from gradxform.parts import Like
from gradxform.rules import as_real, per_array


def _as_real_scalar(like: Like) -> Like:
  return dataclasses.replace(as_real(like), shape=())


@named
def sum_of_squares():
  """Replaces each array by its squared Euclidean norm, one number.

      u ← ‖u‖² = Σ |uᵢ|²

  What follows keeps one number for each array, until a combinator spreads it over the array again:
  ``divide(identity(), by=chain(sum_of_squares(), ...))``.

  Source: the second moment of NovoGrad, Ginsburg et al. 2019, https://arxiv.org/abs/1905.11286.
  """

  def rule(u):
    return jnp.sum(jnp.square(jnp.abs(u)))

  return per_array("sum_of_squares", rule, output=_as_real_scalar)
