"""MoMo, against its formulas in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

START = np.asarray([1.0, -2.0])
GRADIENTS = [np.asarray(g) for g in ([1.0, 2.0], [3.0, -1.0], [0.0, 0.5])]
VALUES = [3.0, 0.1, 2.0]


def steps_of(transform):
  param = jnp.asarray(START)
  state, got = transform.init(param), []
  for gradient, value in zip(GRADIENTS, VALUES, strict=True):
    update, state = transform.update(jnp.asarray(gradient), state, param, value=value)
    param = param + update
    got.append(update)
  return got


@pytest.mark.parametrize("longest", [0.05, 100.0])
def test_momo_by_hand(longest, float64):
  got = steps_of(gx.scale_by_momo(longest, beta=0.8, lower_bound=0.25, weight_decay=0.1))
  param, m, mean, product = START, GRADIENTS[0], VALUES[0], GRADIENTS[0] @ START
  for t, (g, f, update) in enumerate(zip(GRADIENTS, VALUES, got, strict=True)):
    if t:
      m, mean, product = 0.8 * m + 0.2 * g, 0.8 * mean + 0.2 * f, 0.8 * product + 0.2 * g @ param
    shrink = 1 + 0.1 * longest
    step = min(longest, max(shrink * (mean - 0.25 - product) + m @ param, 0) / (m @ m))
    np.testing.assert_allclose(update, param / shrink - step * m - param, rtol=1e-12)
    param = param + update


@pytest.mark.parametrize("longest", [0.05, 100.0])
def test_momo_adam_by_hand(longest, float64):
  got = steps_of(gx.scale_by_momo_adam(longest, b1=0.8, b2=0.9, eps=1e-3, lower_bound=0.25, weight_decay=0.1))
  param, m, v, mean, product = START, 0.0, 0.0, 0.0, 0.0
  for t, (g, f, update) in enumerate(zip(GRADIENTS, VALUES, got, strict=True), start=1):
    m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
    mean, product = 0.8 * mean + 0.2 * f, 0.8 * product + 0.2 * g @ param
    weight, shrink = 1 - 0.8**t, 1 + 0.1 * longest
    d = m / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
    step = min(longest / weight, max(shrink * (mean - weight * 0.25 - product) + m @ param, 0) / (m @ d))
    np.testing.assert_allclose(update, param / shrink - step * d - param, rtol=1e-12)
    param = param + update


@pytest.mark.parametrize("make", [gx.scale_by_momo, gx.scale_by_momo_adam])
def test_below_its_bound_it_stays(make):
  transform, params = make(lower_bound=10.0), jnp.ones(2)
  updates, _ = transform.update(jnp.ones(2), transform.init(params), params, value=3.0)
  np.testing.assert_array_equal(updates, 0.0)


@pytest.mark.parametrize("make", [gx.scale_by_momo, gx.scale_by_momo_adam])
def test_the_value_and_the_parameters_are_asked_for(make):
  transform, params = make(), jnp.ones(2)
  with pytest.raises(ValueError, match="needs the extra argument `value`"):
    transform.update(params, transform.init(params), params)
  with pytest.raises(ValueError, match="needs the parameters"):
    transform.update(params, transform.init(params), value=1.0)


def test_the_first_step_of_momo_is_polyaks():
  params, gradient = jnp.asarray([1.0, -1.0]), jnp.asarray([3.0, 4.0])
  momo, polyak = gx.momo(10.0, lower_bound=-1.0), gx.polyak_sgd(max_learning_rate=10.0, f_min=-1.0)
  got, _ = momo.update(gradient, momo.init(params), params, value=4.0)
  np.testing.assert_allclose(got, polyak.update(gradient, polyak.init(params), params, value=4.0)[0], rtol=1e-6)
