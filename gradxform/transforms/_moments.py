"""Filters: one slot for each parameter, whose new value is also what they emit."""

import jax.numpy as jnp

from gradxform._checks import (
  check_fraction,
  check_integer,
  check_not_negative,
  check_number,
  check_real,
  check_unit_interval,
  is_normal,
)
from gradxform.core import Hyperparameter, named
from gradxform.rules import as_real, elementwise
from gradxform.tree import mixed


@named
def moving_average(decay: Hyperparameter, *, initial: Hyperparameter = 0.0):
  """Replaces the update by its exponential moving average.

      m ← b · m + (1 − b) · u;   u ← m

  Starting from zero it is biased towards zero: `bias_correction` with the same decay corrects it.

  Args:
    decay: b in [0, 1).
    initial: the average before the first update.

  State: ``moment``, the average m, like the parameters.

  Source: Kingma & Ba 2015, Algorithm 1, https://arxiv.org/abs/1412.6980. `optax.ema` corrects the
  bias unless told not to; torch's momentum with ``dampening`` takes the first update undamped.
  """
  check_fraction("moving_average", decay=decay)
  check_number("moving_average", initial=initial)

  def rule(u, moment, *, decay):
    moment = mixed(moment, u, decay)
    return moment, moment

  return elementwise("moving_average", rule, slots={"moment": initial}, is_filter=True, decay=decay)


@named
def scale_by_momentum(decay: Hyperparameter):
  """Replaces the update by its exponential moving average: `moving_average` as a first moment.

      m ← b · m + (1 − b) · u;   u ← m

  Args:
    decay: b in [0, 1).

  State: ``moment``, the average m, like the parameters.

  Source: the first moment of Kingma & Ba 2015, Algorithm 1, https://arxiv.org/abs/1412.6980. The
  heavy ball, which does not damp the incoming update, is `trace`.
  """
  check_fraction("scale_by_momentum", decay=decay)
  return moving_average(decay)


@named
def trace(decay: Hyperparameter):
  """Accumulates the updates with decay: the heavy ball.

      m ← μ · m + u;   u ← m

  Args:
    decay: μ in [0, 1].

  State: ``momentum``, the accumulated m, like the parameters, from zero.

  Source: Polyak 1964; `optax.trace`, whose ``nesterov=True`` is
  ``add(identity(), chain(trace(μ), scale(μ)))``.
  """
  check_unit_interval("trace", decay=decay)

  def rule(u, momentum, *, decay):
    momentum = decay * momentum + u
    return momentum, momentum

  return elementwise("trace", rule, slots=("momentum",), is_filter=True, decay=decay)


@named
def running_sum(initial: Hyperparameter = 0.0):
  """Replaces the update by the sum of all updates so far.

      s ← s + u;   u ← s

  Args:
    initial: the sum before the first update.

  State: ``total``, the sum s, like the parameters.

  Source: the accumulator of Duchi et al. 2011, Adagrad.
  """
  check_number("running_sum", initial=initial)

  def rule(u, total):
    total = total + u
    return total, total

  return elementwise("running_sum", rule, slots={"total": initial}, is_filter=True)


@named
def apply_every(k: int = 1):
  """Emits the sum of the last k updates at every k-th, and 0 at those between.

      s ← s + u;   u ← s and s ← 0 at every k-th update, else u ← 0

  What comes before or after it in a chain advances at every update.

  Args:
    k: the number of updates, at least 1.

  State: ``total``, the sum s, like the parameters.

  Source: `optax.apply_every`.
  """
  check_integer("apply_every", minimum=1, k=k)

  def rule(u, total, *, count):
    total = jnp.where(count % k == 0, 0, total) + u
    return jnp.where(count % k == k - 1, total, 0), total

  return elementwise("apply_every", rule, slots=("total",))


@named
def running_max():
  """Replaces the update by the largest so far, element by element; at least 0.

      m ← max(m, u);   u ← m

  State: ``largest``, the maximum m, like the parameters, from zero.

  Raises:
    TypeError: for complex updates.

  Source: Reddi et al. 2018, AMSGrad, Algorithm 2, https://arxiv.org/abs/1904.09237.
  """

  def rule(u, largest):
    check_real("running_max", u)
    largest = jnp.maximum(largest, u)
    return largest, largest

  return elementwise("running_max", rule, slots=("largest",), is_filter=True)


@named
def decayed_max(decay: Hyperparameter, eps: Hyperparameter = 0.0):
  """Replaces the update by a decaying maximum of its absolute value: an infinity norm.

      m ← max(b · m, |u| + eps);   u ← m

  Args:
    decay: b in [0, 1).
    eps: added to the absolute value; at least 0.

  State: ``largest``, the maximum m, like the parameters (real), from zero.

  Source: Kingma & Ba 2015, section 7.1, https://arxiv.org/abs/1412.6980, which has no eps; Optax
  and torch have it here, inside the maximum, Keras outside.
  """
  check_fraction("decayed_max", decay=decay)
  check_not_negative("decayed_max", eps=eps)

  def rule(u, largest, *, decay, eps):
    largest = jnp.maximum(decay * largest, jnp.abs(u) + eps)
    return largest, largest

  return elementwise(
    "decayed_max",
    rule,
    slots=("largest",),
    output=as_real,
    is_filter=True,
    positive=is_normal(eps),
    decay=decay,
    eps=eps,
  )


@named
def average_from_first(decay: Hyperparameter):
  """Replaces the update by its moving average, which begins with the first update itself.

      m ← u at the first update, then b · m + (1 − b) · u;   u ← m

  Args:
    decay: b in [0, 1).

  State: ``moment``, the average m, like the updates.

  Source: the second moments of NovoGrad, https://arxiv.org/abs/1905.11286, and of ADOPT,
  https://arxiv.org/abs/2411.02853.
  """
  check_fraction("average_from_first", decay=decay)

  def rule(u, moment, *, t, decay):
    moment = jnp.where(t == 1, u, mixed(moment, u, decay))
    return moment, moment

  return elementwise("average_from_first", rule, slots=("moment",), is_filter=True, decay=decay)


@named
def additive_average(decay: Hyperparameter, *, initial: Hyperparameter = 0.0):
  """Moves a value towards the updates by a share of the update, not of the distance.

      v ← v − (1 − b) · sign(v − u) · u;   u ← v

  Args:
    decay: b in [0, 1).
    initial: v before the first update.

  State: ``moment``, the value v, like the parameters.

  Raises:
    TypeError: for complex updates.

  Source: the second moment of Yogi, Zaheer et al. 2018, Algorithm 2, where u is g².
  """
  check_fraction("additive_average", decay=decay)
  check_number("additive_average", initial=initial)

  def rule(u, moment, *, decay):
    check_real("additive_average", u)
    moment = moment - (1 - decay) * jnp.sign(moment - u) * u
    return moment, moment

  return elementwise("additive_average", rule, slots={"moment": initial}, is_filter=True, decay=decay)


@named
def difference():
  """Replaces the update by its change since the step before; at first 0.

      u ← u − u′

  State: ``last``, the update u′ of the step before, like the parameters.

  Source: the change of the gradient in Xie et al. 2022, Adan, https://arxiv.org/abs/2208.06677.
  """

  def rule(u, last, *, t):
    return jnp.where(t == 1, 0 * u, u - last), u

  return elementwise("difference", rule, slots=("last",))
