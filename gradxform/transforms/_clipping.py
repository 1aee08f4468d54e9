"""Bounds on updates: element by element, array by array, all together."""

import jax
import jax.numpy as jnp

from gradxform._checks import check_positive, check_real
from gradxform.core import Hyperparameter, named
from gradxform.rules import elementwise, per_array, whole_tree
from gradxform.tree import global_norm, real_dtype, sqrt


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
    norm = global_norm(updates)
    max_norm = jnp.asarray(max_norm, norm.dtype)
    factor = jnp.where(norm < max_norm, 1, max_norm / jnp.where(norm == 0, 1, norm))
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
