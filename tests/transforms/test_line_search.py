"""Line searches: the conditions that they promise hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradxform as gx


def wild(x):
  return jnp.sum(x**4 - 3 * x**2 + x) + jnp.sin(3 * x[0]) * jnp.cos(2 * x[-1])


def searched(search, fn, x, scale=1.0):
  value, grad = jax.value_and_grad(fn)(x)
  direction = -scale * grad
  updates, state = search.update(direction, search.init(x), x, value=value, grad=grad, value_fn=fn)
  return value, grad, direction, updates, state[search.name]


WOLFE = jax.jit(lambda x, scale: searched(gx.zoom_line_search(curvature=0.1), wild, x, scale))
ARMIJO = jax.jit(lambda x, scale: searched(gx.backtracking_line_search(), wild, x, scale))
points = st.lists(st.floats(-3, 3), min_size=2, max_size=2).map(np.array)
scales = st.sampled_from([1e-3, 0.1, 1.0, 30.0])


@settings(max_examples=60, deadline=None)
@given(points, scales)
def test_the_strong_wolfe_conditions_hold(x, scale):
  with jax.enable_x64(True):
    x = jnp.asarray(x, jnp.float64)
    value, grad, direction, updates, state = WOLFE(x, scale)
    slope = jnp.vdot(grad, direction)
    if slope > -1e-9:
      return  # as good as a stationary point
    new, new_grad = jax.value_and_grad(wild)(x + updates)
    assert new <= value + 1e-4 * state["step_size"] * slope + 1e-12
    assert abs(jnp.vdot(new_grad, direction)) <= -0.1 * slope * (1 + 1e-9)
    np.testing.assert_allclose(state["value"], new, rtol=1e-12)
    np.testing.assert_allclose(state["grad"], new_grad, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(points, scales)
def test_armijos_condition_holds(x, scale):
  with jax.enable_x64(True):
    x = jnp.asarray(x, jnp.float64)
    value, grad, direction, updates, state = ARMIJO(x, scale)
    assert wild(x + updates) <= value + 1e-4 * state["step_size"] * jnp.vdot(grad, direction) + 1e-12


def test_exact_line_search_on_the_bowl_takes_the_textbook_step(float64):
  bowl = lambda x: 0.1 * x[0] ** 2 + 2 * x[1] ** 2
  x = jnp.asarray([-4.0, -6.0])
  optimizer = gx.chain(gx.scale(-1.0), gx.exact_line_search())
  first, state = optimizer.step(jax.grad(bowl)(x), optimizer.init(x), x, value_fn=bowl)
  np.testing.assert_allclose(first, [-3.7997889006166323, 0.006332981501027568], rtol=1e-12)
  second, _ = optimizer.step(jax.grad(bowl)(first), state, first, value_fn=bowl)
  np.testing.assert_allclose(bowl(second) / bowl(first), 0.019618, rtol=1e-4)


@pytest.mark.parametrize("search", [gx.backtracking_line_search(), gx.zoom_line_search()], ids=lambda s: s.name)
def test_a_direction_uphill_and_an_objective_of_nan_move_nothing(search):
  x = jnp.asarray([1.0, 2.0])
  _, _, _, updates, _ = searched(search, wild, x, scale=-1.0)
  np.testing.assert_array_equal(updates, 0)
  nowhere = lambda p: jnp.where(jnp.all(p == x), jnp.sum(p**2), jnp.nan)
  updates, _ = search.update(-x, search.init(x), x, value=5.0, grad=2 * x, value_fn=nowhere)
  np.testing.assert_array_equal(x + updates, x)


def test_what_a_line_search_misses_is_named():
  with pytest.raises(ValueError, match="`zoom_line_search` needs the extra argument `"):
    gx.zoom_line_search().update(jnp.ones(2), gx.zoom_line_search().init(jnp.ones(2)), jnp.ones(2))
