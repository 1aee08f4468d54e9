"""Coin betting, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def test_cocob_by_hand():
  optimizer = gx.cocob(alpha=4.0, eps=0.5)
  param, gradients = jnp.asarray([2.0, 2.0]), [[2.0, 0.1], [1.0, -0.1], [-8.0, 0.0], [0.5, 0.0]]
  state, now = optimizer.init(param), np.asarray([2.0, 2.0])
  largest, absolute, reward, total = np.full(2, 0.5), np.zeros(2), np.zeros(2), np.zeros(2)
  for gradient in map(np.asarray, gradients):
    param, state = optimizer.step(jnp.asarray(gradient), state, param)
    largest, absolute = np.maximum(largest, np.abs(gradient)), absolute + np.abs(gradient)
    reward, total = np.maximum(reward - gradient * (now - 2.0), 0), total - gradient
    now = 2.0 + total / (largest * np.maximum(absolute + largest, 4.0 * largest)) * (largest + reward)
    np.testing.assert_allclose(param, now, rtol=1e-6)


def test_the_scale_of_an_element_makes_no_difference():
  optimizer, params = gx.cocob(), jnp.zeros(2)
  state = optimizer.init(params)
  for gradient in (1.0, 3.0, -2.0, 0.5):
    params, state = optimizer.step(gradient * jnp.asarray([1.0, 1e4]), state, params)
  np.testing.assert_allclose(params[0], params[1], rtol=1e-5)


def test_without_gradients_it_stays_at_the_start():
  optimizer, params = gx.cocob(), jnp.asarray([3.0, -1.0])
  stepped, _ = optimizer.step(jnp.zeros(2), optimizer.init(params), params)
  np.testing.assert_array_equal(stepped, params)


def test_it_must_have_seen_something_to_divide_by():
  with pytest.raises(ValueError, match=r"`scale_by_cocob\(eps=...\)` must be greater than 0, got 0.0"):
    gx.scale_by_cocob(eps=0.0)
