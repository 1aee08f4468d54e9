"""Adam and its kin: what the papers say of their steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

KIN = [gx.adam, gx.adamw, gx.adamax, gx.nadam, gx.nadamw, gx.amsgrad]


@pytest.mark.parametrize("make", KIN, ids=lambda f: f.__name__)
def test_it_finds_the_minimum_of_a_bowl(make):
  optimizer, curvature = make(0.1), jnp.asarray([1.0, 30.0])
  params = jnp.asarray([2.0, -1.0])

  def body(carry, _):
    params, state = carry
    return optimizer.step(curvature * params, state, params), None

  (params, _), _ = jax.lax.scan(body, (params, optimizer.init(params)), None, length=300)
  assert np.all(np.abs(params) < 0.05)


@pytest.mark.parametrize("make", [gx.adam, gx.adamax, gx.amsgrad], ids=lambda f: f.__name__)
def test_the_first_step_is_the_learning_rate_whatever_the_gradient(make):
  optimizer = make(0.1)
  gradient = jnp.asarray([1e-3, -1e3, 2.0])
  update, _ = optimizer.update(gradient, optimizer.init(gradient))
  np.testing.assert_allclose(update, -0.1 * np.sign(gradient), rtol=1e-4)


def test_the_decay_of_adamw_is_not_divided_by_the_second_moment():
  params, nothing = jnp.asarray([4.0]), jnp.zeros(1)
  optimizer = gx.adamw(0.5, weight_decay=0.1)
  shrunk, _ = optimizer.step(nothing, optimizer.init(params), params)
  np.testing.assert_allclose(shrunk, 4.0 * (1 - 0.5 * 0.1), rtol=1e-6)


def test_the_decay_may_have_a_schedule_of_its_own():
  optimizer = gx.adamw(0.5, weight_decay=lambda count: 0.1 * count)
  params, nothing = jnp.asarray([4.0]), jnp.zeros(1)
  state = optimizer.init(params)
  params, state = optimizer.step(nothing, state, params)
  assert params == 4.0
  params, state = optimizer.step(nothing, state, params)
  np.testing.assert_allclose(params, 4.0 * 0.95, rtol=1e-6)
