"""D-Adaptation and Prodigy, against their formulas in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

ESTIMATING = [gx.scale_by_prodigy, gx.scale_by_dadapt]
START, GRADIENTS = np.asarray([1.0, -2.0]), [np.asarray(g) for g in ([1.0, 2.0], [3.0, -1.0], [0.5, 0.5])]


def steps_of(transform):
  param = jnp.asarray(START)
  state, got = transform.init(param), []
  for gradient in GRADIENTS:
    update, state = transform.update(jnp.asarray(gradient), state, param)
    param = param + update
    got.append(update)
  return got, state


def test_prodigy_by_hand(float64):
  got, state = steps_of(gx.scale_by_prodigy(0.5, b1=0.8, b2=0.9, eps=1e-3, estim_lr0=0.1, weight_decay=0.01))
  param, d, r, m, v, s, b3 = START, 0.1, 0.0, 0.0, 0.0, 0.0, np.sqrt(0.9)
  for t, (gradient, update) in enumerate(zip(GRADIENTS, got, strict=True), start=1):
    rate = d * 0.5 * np.sqrt(1 - 0.9**t) / (1 - 0.8**t)
    r = b3 * r + d / 0.1 * rate * (gradient @ (START - param))
    s = b3 * s + d / 0.1 * rate * gradient
    m, v = 0.8 * m + 0.2 * d * gradient, 0.9 * v + 0.1 * (d * gradient) ** 2
    new = max(d, r / np.sum(np.abs(s)))
    wanted = -rate * (m / (np.sqrt(v) + new * 1e-3) + 0.01 * param)
    np.testing.assert_allclose(update, wanted, rtol=1e-12)
    param, d = param + wanted, new
  np.testing.assert_allclose(state["scale_by_prodigy"]["estimate"], d, rtol=1e-12)


def test_d_adaptation_by_hand(float64):
  got, state = steps_of(gx.scale_by_dadapt(0.5, b1=0.8, b2=0.9, eps=1e-3, estim_lr0=0.1, weight_decay=0.01))
  param, d, r, m, v, s, b3 = START, 0.1, 0.0, 0.0, 0.0, np.zeros(2), np.sqrt(0.9)
  for t, (gradient, update) in enumerate(zip(GRADIENTS, got, strict=True), start=1):
    rate = d * 0.5 * np.sqrt(1 - 0.9**t) / (1 - 0.8**t)
    r = b3 * r + (1 - b3) * rate * (gradient @ (s / (np.sqrt(v) + 1e-3)))
    s = b3 * s + (1 - b3) * rate * gradient
    m, v = 0.8 * m + 0.2 * rate * gradient, 0.9 * v + 0.1 * gradient**2
    wanted = -m / (np.sqrt(v) + 1e-3) - 0.01 * rate * param
    np.testing.assert_allclose(update, wanted, rtol=1e-12)
    param, d = param + wanted, max(d, r / ((1 - b3) * np.sum(np.abs(s))))
  np.testing.assert_allclose(state["scale_by_dadapt"]["estimate"], d, rtol=1e-12)


@pytest.mark.parametrize("make", ESTIMATING)
def test_the_estimate_never_falls_and_comes_near_the_distance(make):
  transform, target = make(), jnp.asarray([3.0, -4.0])

  def step(carry, _):
    param, state = carry
    param, state = transform.step(jnp.sign(param - target), state, param)
    return (param, state), state[transform.name]["estimate"]

  start = jnp.zeros(2)
  (param, _), estimates = jax.lax.scan(step, (start, transform.init(start)), None, length=1000)
  assert np.all(np.diff(estimates) >= 0)
  assert estimates[0] < 1e-5
  assert 0.04 < estimates[-1] < 40  # of the order of the largest element of the distance, 4
  np.testing.assert_allclose(param, target, atol=1.0)


@pytest.mark.parametrize("make", ESTIMATING)
def test_gradients_of_zero_leave_the_estimate(make):
  transform, params = make(), jnp.ones(2)
  updates, state = transform.update(jnp.zeros(2), transform.init(params), params)
  np.testing.assert_array_equal(updates, 0.0)
  np.testing.assert_allclose(state[transform.name]["estimate"], 1e-6)


@pytest.mark.parametrize("make", ESTIMATING)
def test_what_is_divided_by_must_be_positive(make):
  with pytest.raises(ValueError, match=r"estim_lr0=...\)` must be greater than 0, got 0.0"):
    make(estim_lr0=0.0)
  with pytest.raises(ValueError, match=r"eps=...\)` must be greater than 0, got 0.0"):
    make(eps=0.0)
