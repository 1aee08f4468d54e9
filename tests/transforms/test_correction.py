"""Bias correction."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradxform as gx


def factors(transform, steps):
  state, got = transform.init(jnp.ones(())), []
  for _ in range(steps):
    update, state = transform.update(jnp.ones(()), state)
    got.append(float(1 / update))
  return got


def test_by_hand():
  np.testing.assert_allclose(factors(gx.bias_correction(0.5), 3), [0.5, 0.75, 0.875], rtol=1e-6)
  np.testing.assert_allclose(factors(gx.bias_correction(0.5, lead=1), 2), [0.75, 0.875], rtol=1e-6)
  np.testing.assert_allclose(factors(gx.bias_correction(0.5, lead=-1), 3), [0.5, 0.5, 0.75], rtol=1e-6)
  np.testing.assert_allclose(factors(gx.bias_correction(0.75, power=0.5), 1), [0.5], rtol=1e-6)
  np.testing.assert_allclose(factors(gx.bias_correction(0.75, power=-0.5), 1), [2.0], rtol=1e-6)
  np.testing.assert_allclose(factors(gx.bias_correction(0.0), 2), [1.0, 1.0])


def test_a_schedule_multiplies_its_decays():
  decays = [0.5, 0.25, 0.8, 0.1]
  schedule = lambda count: jnp.asarray(decays)[count]
  wanted = 1 - np.cumprod(decays)
  np.testing.assert_allclose(factors(gx.bias_correction(schedule), 3), wanted[:3], rtol=1e-6)
  np.testing.assert_allclose(factors(gx.bias_correction(schedule, lead=1), 3), wanted[1:], rtol=1e-6)
  np.testing.assert_allclose(factors(gx.bias_correction(schedule, lead=-1), 4), [1.0, *wanted[:3]], rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 0.9999), st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3), st.integers(1, 6))
def test_a_constant_stream_is_that_constant_at_every_step(decay, constant, steps):
  for b in (decay, optax.constant_schedule(decay), jnp.float32(decay)):
    transform = gx.chain(gx.moving_average(b), gx.bias_correction(b))
    state = transform.init(1.0)
    for _ in range(steps):
      update, state = transform.update(jnp.float32(constant), state)
    # A decay that is an array has been rounded to float32 already, and 1 - decay with it.
    tolerance = 1e-6 if isinstance(b, float) else 1e-7 / (1 - decay) + 1e-6
    np.testing.assert_allclose(update, constant, rtol=tolerance)


@pytest.mark.parametrize("decay", [0.5, 0.9999])
def test_its_derivative_by_a_traced_decay_is_the_analytic_one(decay, float64):
  transform = lambda b: gx.bias_correction(b).update(jnp.ones(()), {"count": jnp.int32(6)})[0]
  slope = 7 * decay**6 / (1 - decay**7) ** 2
  np.testing.assert_allclose(jax.grad(transform)(decay), slope, rtol=1e-8)
  with jax.enable_x64(False):
    np.testing.assert_allclose(jax.grad(transform)(jnp.float32(decay)), slope, rtol=1e-2)


def rectifications(decay, steps, threshold=5.0):
  """1 / what `rectify` makes of 1."""
  return np.asarray(factors(gx.rectify(decay, threshold), steps))


def test_the_rectification_is_the_papers():
  got = rectifications(0.999, 1000)  # `factors` inverts: r
  np.testing.assert_array_equal(got[:5], 1.0)
  np.testing.assert_allclose(got[[5, 9, 99, 999]], [0.02582111, 0.04899801, 0.21533544, 0.64532565], rtol=2e-6)


def test_a_decay_that_forgets_too_soon_is_never_rectified():
  for decay in (0.0, 0.3, 0.6):
    np.testing.assert_array_equal(rectifications(decay, 8, threshold=1.0), 1.0)
