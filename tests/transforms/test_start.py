"""What is reckoned from the start, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def test_the_displacement_is_from_where_init_was():
  start, now = jnp.asarray([1.0, -2.0]), jnp.asarray([4.0, -2.0])
  transform = gx.displacement()
  state = transform.init(start)
  for _ in range(2):
    got, state = transform.update(jnp.asarray([9.0, 9.0]), state, now)
    np.testing.assert_array_equal(got, [3.0, 0.0])
  np.testing.assert_array_equal(state["displacement"]["start"], start)


def test_the_start_is_a_copy_in_float32_at_least():
  params = {"half": jnp.ones(2, jnp.bfloat16), "single": jnp.ones(2), "number": 1.0}
  start = gx.displacement().init(params)["displacement"]["start"]
  assert {name: leaf.dtype for name, leaf in start.items()} == dict.fromkeys(params, jnp.float32)
  assert start["single"].unsafe_buffer_pointer() != params["single"].unsafe_buffer_pointer()


def test_parameters_and_state_can_both_be_donated():
  optimizer = gx.madgrad(0.1)
  params = jnp.ones(3)
  step = jax.jit(optimizer.step, donate_argnums=(1, 2))
  params, state = step(jnp.ones(3), optimizer.init(params), params)
  params, state = step(jnp.ones(3), state, params)
  assert np.all(np.isfinite(params))


def test_madgrad_by_hand():
  optimizer, param = gx.madgrad(0.5, momentum=0.75, eps=0.25), jnp.asarray(2.0)
  state = optimizer.init(param)
  lam, squares, total, wanted = 0.0, 0.0, 0.0, 2.0
  for t, gradient in enumerate([4.0, -1.0, 0.5], start=1):
    param, state = optimizer.step(jnp.asarray(gradient), state, param)
    lam = (0.5 + 0.25) * np.sqrt(t)
    squares, total = squares + lam * gradient**2, total + lam * gradient
    wanted = 0.75 * wanted + 0.25 * (2.0 - total / (np.cbrt(squares) + 0.25))
    np.testing.assert_allclose(param, wanted, rtol=1e-6)


def test_madgrad_without_momentum_forgets_where_it_is():
  optimizer, start = gx.madgrad(0.1, momentum=0.0), jnp.asarray([1.0])
  state = optimizer.init(start)
  near, _ = optimizer.step(jnp.ones(1), state, start)
  far, _ = optimizer.step(jnp.ones(1), state, start + 100)
  np.testing.assert_allclose(far, near, rtol=1e-5)


@pytest.mark.parametrize("make", [gx.displacement, lambda: gx.scale_by_madgrad(0.1)])
def test_the_parameters_are_asked_for(make):
  with pytest.raises(ValueError, match="`displacement` needs the parameters"):
    make().update(jnp.ones(2), make().init(jnp.ones(2)))
