"""Sums of squares that are kept for each row and each column alone: SM3."""

import functools

import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_real, check_unit_interval
from gradxform.combinators import chain, divide, identity
from gradxform.core import Hyperparameter, named
from gradxform.rules import Slot, per_array
from gradxform.transforms._moments import scale_by_momentum
from gradxform.transforms._pointwise import root, square


@named
def covered_sum(decay: Hyperparameter = 1.0):
  """Replaces positive updates by a bound on their sum so far, kept for each slice of the array alone.

      v = minₖ cₖ + u,   or b · minₖ cₖ + (1 − b) · u where b < 1;   cₖ ← max v;   u ← v

  The minimum at an element is over the slices that cover it, one along each axis, and the maximum
  over the elements of a slice. Of vectors and numbers v itself is kept.

  Args:
    decay: b in [0, 1]; 1 for a sum, less for a moving average.

  State: ``covers``, the maxima c of the slices along the first axis, then those along the second,
  and so on, in one vector; of vectors and numbers the sum v itself.

  Raises:
    TypeError: for complex updates.

  Source: Anil et al. 2019, SM3-II, https://arxiv.org/abs/1901.11150; that with a decay is Optax's.
  """
  check_unit_interval("covered_sum", decay=decay)

  def rule(u, covers, *, decay):
    check_real("covered_sum", u)
    if u.size == 0:
      return u, covers
    total = decay * _least(covers, u.shape) + jnp.where(decay == 1, 1, 1 - decay) * u
    return total, _largest(total)

  slots = {"covers": Slot(shape=lambda shape: shape if len(shape) < 2 else (sum(shape),))}
  return per_array("covered_sum", rule, slots, decay=decay)


def _least(covers, shape):
  """At each element the least of the covers of its slices."""
  if len(shape) < 2:
    return covers
  axes = jnp.split(covers, np.cumsum(shape)[:-1])
  spread = [jnp.expand_dims(c, [i for i in range(len(shape)) if i != k]) for k, c in enumerate(axes)]
  return functools.reduce(jnp.minimum, spread)


def _largest(total):
  """The maxima of the slices along each axis, one axis after the other."""
  if total.ndim < 2:
    return total
  axes = range(total.ndim)
  return jnp.concatenate([jnp.max(total, axis=[i for i in axes if i != k]) for k in axes])


@named
def scale_by_sm3(b1: Hyperparameter = 0.9, b2: Hyperparameter = 1.0, eps: Hyperparameter = 1e-8):
  """Divides by the root of a bound on the sum of squares, then averages: the core of SM3.

      v = the bound of `covered_sum` on g²;   u = m ← b1 · m + (1 − b1) · g / √(v + eps)

  Args:
    b1: decay of the momentum, in [0, 1).
    b2: 1 for a sum of squares, less for a moving average, in [0, 1].
    eps: inside the root; at least 0.

  Source: Anil et al. 2019, SM3-II, https://arxiv.org/abs/1901.11150; `optax.scale_by_sm3`, which fails
  on numbers.
  """
  by = chain(square(), covered_sum(b2), root(eps_root=eps))
  return chain(divide(identity(), by=by), scale_by_momentum(b1))
