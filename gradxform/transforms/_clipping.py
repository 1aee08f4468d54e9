"""Bounds on updates: element by element, array by array, all together, and from step to step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gradxform._checks import check_not_negative, check_positive, check_real
from gradxform.core import Hyperparameter, named
from gradxform.rules import Slot, elementwise, per_array, whole_tree
from gradxform.tree import global_norm, matrix_norms, norms, real_dtype, sqrt


@named
def clip(max_delta: Hyperparameter):
  """Clips each element.

      u ← min(max(u, −c), c)

  Args:
    max_delta: the bound c, greater than 0.

  Raises:
    TypeError: for complex updates.

  Source: `optax.clip`.
  """
  check_positive("clip", max_delta=max_delta)

  def rule(u, *, max_delta):
    check_real("clip", u)
    return jnp.clip(u, -max_delta, max_delta)

  return elementwise("clip", rule, max_delta=max_delta)


@named
def clip_by_block_rms(threshold: Hyperparameter):
  """Scales each array down so that its root mean square is at most the threshold.

      u ← u / max(1, rms(u) / c),   rms(u) = √(mean |u|²)

  Args:
    threshold: the bound c, greater than 0.

  Source: Shazeer & Stern 2018, Adafactor, section 6, https://arxiv.org/abs/1804.04235;
  `optax.clip_by_block_rms`.
  """
  check_positive("clip_by_block_rms", threshold=threshold)

  def rule(u, *, threshold):
    if u.size == 0:
      return u
    rms = sqrt(jnp.mean(jnp.square(jnp.abs(u))))
    return u / jnp.maximum(1, rms / threshold)

  return per_array("clip_by_block_rms", rule, threshold=threshold)


@named
def limit_norm_growth(growth: Hyperparameter = 1.01, eps: Hyperparameter = 1e-8):
  """Scales each matrix down so that its norm is at most a multiple of what it was at the last step.

      u ← u · min(1, c · (n + eps) / ‖u‖);   n ← ‖u‖, of what comes out

  At the first step, and after one whose norm was 0, there is no bound. The matrix is in the last two
  axes, those before count them; a vector is a matrix of one row.

  Args:
    growth: the multiple c, greater than 0; with less than 1 norms have to shrink.
    eps: added to the norm of the last step; greater than 0.

  State: ``norm``, n, one number for each matrix.

  Source: Chen et al. 2024, Fira, https://arxiv.org/abs/2410.01623, as in the authors' code, in
  which a norm of 0 at the last step bounds the next by c · eps.
  """
  check_positive("limit_norm_growth", growth=growth, eps=eps)

  def rule(u, last, *, growth, eps):
    now = matrix_norms(u)
    ratio = jnp.where(last == 0, 0, now / jnp.where(last == 0, 1, last + eps))
    excess = jnp.maximum(ratio, growth) / growth
    return u / excess, now / excess

  slots = {"norm": Slot(shape=lambda shape: shape[:-2] + (1,) * len(shape[-2:]), real=True)}
  return per_array("limit_norm_growth", rule, slots, growth=growth, eps=eps)


@named
def clip_by_global_norm(max_norm: Hyperparameter):
  """Scales all updates together so that their global norm is at most the bound.

      u ← u · min(1, c / ‖u‖),   ‖u‖ over all leaves

  The norm is accumulated in float32 at least, whatever the dtype of the updates.

  Args:
    max_norm: the bound c, greater than 0.

  Source: Pascanu et al. 2013, https://arxiv.org/abs/1211.5063; `optax.clip_by_global_norm`, which
  adds the squares of bfloat16 leaves in bfloat16.
  """
  check_positive("clip_by_global_norm", max_norm=max_norm)

  def rule(updates, *, max_norm):
    total = global_norm(updates)
    max_norm = jnp.asarray(max_norm, total.dtype)
    factor = jnp.where(total < max_norm, 1, max_norm / jnp.where(total == 0, 1, total))
    return jax.tree.map(lambda u: u * factor.astype(real_dtype(u.dtype)), updates)

  return whole_tree("clip_by_global_norm", rule, max_norm=max_norm)


@named
def clip_by_count(power: Hyperparameter = 0.25):
  """Clips each element to a bound that grows from 0 with the updates made.

      u ← min(max(u, −c), c),   c = kᵖ, k = updates made before this one

  Args:
    power: p, greater than 0.

  Raises:
    TypeError: for complex updates.

  Source: Taniguchi et al. 2024, ADOPT, Algorithm 2, https://arxiv.org/abs/2411.02853, with p = ¼.
  """
  check_positive("clip_by_count", power=power)

  def bound(*, count, power):
    made = jnp.maximum(count, 1).astype(jnp.result_type(float))  # of 0 the power has no derivative
    return jnp.where(count == 0, 0, made ** jnp.asarray(power, made.dtype))

  def rule(u, *, bound):
    check_real("clip_by_count", u)
    return jnp.clip(u, -bound, bound)

  return elementwise("clip_by_count", rule, once={"bound": bound}, power=power)


@named
def adaptive_grad_clip(clipping: Hyperparameter, eps: Hyperparameter = 1e-3):
  """Bounds the norm of each unit's update by a multiple of the norm of its parameters.

      u ← u · min(1, c · max(‖p‖, eps) / ‖u‖),   norms over each unit

  A unit is what feeds one output: the whole of a vector; along the first axis of arrays with two or
  three axes; along all but the last of arrays with more, such as the kernels of convolutions.

  Args:
    clipping: the multiple c, greater than 0.
    eps: the least norm of a unit's parameters; at least 0.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Brock et al. 2021, equation 3, https://arxiv.org/abs/2102.06171; `optax.adaptive_grad_clip`,
  which refuses arrays of more than five axes.
  """
  return clip_by_units(clipping, eps, _axes_of_units)


def clip_by_units(clipping: Hyperparameter, eps: Hyperparameter, axes_of: Callable[[Any], Any]):
  """`adaptive_grad_clip` with units along these axes of an array."""
  check_positive("adaptive_grad_clip", clipping=clipping)
  check_not_negative("adaptive_grad_clip", eps=eps)

  def rule(u, *, param, clipping, eps):
    limit, own = clipping * jnp.maximum(norms(param, axes_of(param)), eps), norms(u, axes_of(u))
    return jnp.where(own < limit, u, u * (limit / jnp.where(own == 0, 1, own)))

  return per_array("adaptive_grad_clip", rule, clipping=clipping, eps=eps)


def _axes_of_units(x):
  if sum(length != 1 for length in x.shape) < 2:
    return tuple(range(x.ndim))
  return tuple(range(x.ndim - 1)) if x.ndim > 3 else (0,)
