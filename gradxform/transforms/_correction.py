"""Corrections that depend on the count alone."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from gradxform._checks import check_fraction, check_integer, check_number, check_positive, is_number
from gradxform.core import Hyperparameter, named
from gradxform.rules import elementwise
from gradxform.tree import sqrt


def gathered_weight(decay: Any, t: jax.Array) -> jax.Array:
  """1 − decayᵗ without cancellation: the logarithm in float64 where the decay is a number."""
  if not is_number(decay):
    decay = jnp.asarray(decay, t.dtype)
    none = decay == 0  # where the logarithm has no derivative, though the weight has
    power = -_expm1(t * jnp.log(jnp.where(none, 0.5, decay)))
    return jnp.where(none, jnp.where(t == 1, 1 - decay, 1), power)
  return -_expm1(t * (math.log(decay) if decay > 0 else -math.inf))


def _expm1(x: jax.Array) -> jax.Array:
  """eˣ − 1 for x ≤ 0 within 2.5e-7 in float32, where XLA's own on CPU is off by up to 3.3e-7.

  For small x, and with u the rounded eˣ, it is (u − 1) · x / log u: the errors of u cancel
  (Kahan). XLA would see through `log`; through `log1p` it does not. It ends in a division, so that
  XLA computes it once and does not repeat it for each leaf.
  """
  if x.dtype == jnp.float64:
    return jnp.expm1(x)
  less = jnp.exp(x) - 1
  near = (x > -0.5) & (less != 0)
  safe_x, safe_less = jnp.where(near, x, -1), jnp.where(near, less, -0.5)  # derivatives stay finite
  numerator = jnp.where(near, safe_less * safe_x, jnp.where(x > -0.5, x, less))
  return numerator / jnp.where(near, jnp.log1p(safe_less), 1)


@named
def bias_correction(decay: Hyperparameter, *, power: Hyperparameter = 1.0, lead: int = 0):
  """Divides by the weight that a moving average of this decay has gathered since it began at zero.

      u ← u / (1 − bᵗ)^power,   t = updates made, this one included, + lead

  For a scheduled decay, bᵗ is the product of the decays so far. For a decay that is a Python number
  the factor is within 3e-7 of the exact one in float32 (`benchmarks/bias_correction.py`); ``1 - b**t``
  is off by 2e-5 for 0.999. A decay that is an array, or comes from a schedule, has been rounded
  to float32 itself, and the factor is that of the rounded decay.

  Args:
    decay: b in [0, 1), that of the average.
    power: 1 for an average, ½ for one whose root was already taken; negative to multiply, where what
      was divided by was not corrected.
    lead: 1 to take the factor of the next step, as Nadam does for its first moment; −1 for that of
      the step before, as ACProp does for a `previous` average (at the first step it is the
      first's); else 0.

  State: none; for a schedule ``correction``, the factor 1 − Πb, a scalar.

  Source: Kingma & Ba 2015, section 3, https://arxiv.org/abs/1412.6980.
  """
  check_fraction("bias_correction", decay=decay)
  check_number("bias_correction", power=power)
  check_integer("bias_correction", minimum=-1, maximum=1, lead=lead)

  def weight(*, t, decay):
    t = jnp.maximum(t - 1, 1) if lead < 0 else t + lead
    return gathered_weight(decay, t.astype(jnp.result_type(float)))

  def divisor(*, weight, power):
    return weight if is_number(power) and power == 1 else weight**power

  def rule(u, *, divisor):
    return u / divisor

  if not callable(decay):
    once = {"weight": weight, "divisor": divisor}
    return elementwise("bias_correction", rule, once=once, decay=decay, power=power)

  def correction(*, correction, decay):
    return average_of_one(correction, decay)

  def weight_before(*, t, correction):
    return jnp.where(t == 1, 1, correction)

  def weight_ahead(*, correction, next_decay):
    return average_of_one(correction, next_decay) if lead else correction

  early = {"weight": weight_before} if lead < 0 else {}  # reads the factor before it is updated
  late = {} if lead < 0 else {"weight": weight_ahead}
  return elementwise(
    "bias_correction",
    rule,
    scalars={"correction": 0.0},
    once={**early, "correction": correction, **late, "divisor": divisor},
    decay=decay,
    next_decay=lambda count: decay(count + 1),
    power=power,
  )


def average_of_one(average: jax.Array, decay: Any) -> jax.Array:
  """The moving average of the constant 1: one step more of 1 − Πb, without cancellation."""
  decay = jnp.asarray(decay, average.dtype)
  return decay * average + (1 - decay)


@named
def rectify(decay: Hyperparameter, threshold: Hyperparameter = 5.0):
  """Divides by RAdam's rectification of a second moment's root; 1 until there is one.

      ρ∞ = 2 / (1 − b) − 1;   ρ = ρ∞ − 2 · t · bᵗ / (1 − bᵗ)
      r = √((ρ − 4) (ρ − 2) ρ∞ / ((ρ∞ − 4) (ρ∞ − 2) ρ))
      u ← u / r if ρ ≥ threshold, else 1

  ρ is the length of the simple moving average that is as good as the exponential one; r is not
  defined where it is 4 or less. In float32 the formula cancels: with b = 0.999 it is off by 0.04 at
  the first steps; computed as here, ρ is within a relative 1e-6 where b is a number.

  Args:
    decay: b in [0, 1), that of the average.
    threshold: the least ρ at which the divisor is used; 4 if it is less.

  Source: Liu et al. 2020, Algorithm 2, https://arxiv.org/abs/1908.03265, which has ρ > 4; the
  authors' code, torch and Optax have 5.
  """
  check_fraction("rectify", decay=decay)
  check_positive("rectify", threshold=threshold)

  def rectification(*, t, decay, threshold):
    """r, or 0 where there is none."""
    longest, rho = _lengths(decay, t.astype(jnp.result_type(float)))
    defined = (rho >= threshold) & (rho > 4)
    rho, longest = jnp.where(defined, rho, 5), jnp.where(defined, longest, 6)  # derivatives stay finite
    square = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
    return jnp.where(defined, sqrt(square), 0)

  def rule(u, *, rectification):
    return jnp.where(rectification > 0, u / jnp.where(rectification > 0, rectification, 1), 1)

  return elementwise("rectify", rule, once={"rectification": rectification}, decay=decay, threshold=threshold)


def _lengths(decay: Any, t: jax.Array) -> tuple[Any, jax.Array]:
  """ρ∞ and ρ, which is 2 / L · (1 − x / (eˣ − 1)) + (ρ∞ − 2 / L), x = t · L, L = −log b."""
  if is_number(decay):
    decay = max(float(decay), 1e-30)
    rate = -math.log(decay)
  else:
    decay = jnp.maximum(jnp.asarray(decay, t.dtype), 1e-30)
    rate = -jnp.log(decay)
  longest = 2 / (1 - decay) - 1
  x = jnp.minimum(rate * t, 80.0)  # beyond, the share is 1 and eˣ overflows
  near = x < 0.3
  small, large = jnp.where(near, x, 0), jnp.where(near, 1, x)
  series = small / 2 - small**2 / 12 + small**4 / 720 - small**6 / 30240 + small**8 / 1209600
  share = jnp.where(near, series, 1 - large / jnp.expm1(large))
  return longest, 2 / rate * share + (longest - 2 / rate)
