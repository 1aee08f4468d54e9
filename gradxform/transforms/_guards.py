"""Repairs of single elements."""

import jax.numpy as jnp

from gradxform._checks import check_real
from gradxform.core import named
from gradxform.rules import elementwise


@named
def zero_nans():
  """Puts 0 in the place of NaN.

      u ← 0 where u is NaN

  Source: `optax.zero_nans`, which also keeps in its state whether there were any.
  """
  return elementwise("zero_nans", lambda u: jnp.where(jnp.isnan(u), 0, u))


@named
def keep_params_nonnegative():
  """Shortens the steps that would make a parameter negative, so that they end at 0.

      u ← −p where p + u < 0

  It stands last, after the learning rate. It reads the parameters.

  Raises:
    ValueError: if `update` is not given the parameters.
    TypeError: for complex updates.

  Source: `optax.keep_params_nonnegative`.
  """

  def rule(u, *, param):
    check_real("keep_params_nonnegative", u)
    return jnp.where(param + u < 0, -param, u)

  return elementwise("keep_params_nonnegative", rule)
