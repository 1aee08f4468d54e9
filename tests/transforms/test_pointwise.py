"""Functions of each element, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

U = jnp.asarray([3.0, -0.25, 0.0])

BY_HAND = [
  (gx.scale(-2.0), [-6.0, 0.5, 0.0]),
  (gx.scale_by_learning_rate(0.5), [-1.5, 0.125, 0.0]),
  (gx.square(), [9.0, 0.0625, 0.0]),
  (gx.absolute(), [3.0, 0.25, 0.0]),
  (gx.sign(), [1.0, -1.0, 0.0]),
  (gx.at_least(-0.125), [3.0, -0.125, 0.0]),
  (gx.chain(gx.square(), gx.root()), [3.0, 0.25, 0.0]),
  (gx.cube_root(1.0), [np.cbrt(3.0) + 1, 1 - np.cbrt(0.25), 1.0]),
  (gx.chain(gx.square(), gx.root(1.0)), [4.0, 1.25, 1.0]),
  (gx.chain(gx.square(), gx.root(0.5, 16.0)), [5.5, np.sqrt(16.0625) + 0.5, 4.5]),
]


@pytest.mark.parametrize(("transform", "wanted"), BY_HAND, ids=lambda x: repr(x)[:40])
def test_by_hand(transform, wanted):
  updates, _ = transform.update(U, transform.init(U))
  np.testing.assert_allclose(updates, wanted, rtol=1e-6)


def test_complex_elements_have_a_modulus_and_a_direction():
  z = jnp.asarray([3 + 4j, 0j])
  for transform, wanted in [(gx.square(), [25, 0]), (gx.absolute(), [5, 0]), (gx.sign(), [0.6 + 0.8j, 0])]:
    np.testing.assert_allclose(transform.update(z, transform.init(z))[0], wanted, rtol=1e-6)


def test_nan_and_infinity_are_passed_on():
  u = jnp.asarray([jnp.nan, jnp.inf, -jnp.inf])
  for transform, wanted in [
    (gx.sign(), [np.nan, 1, -1]),
    (gx.clip(1.0), [np.nan, 1, -1]),
    (gx.at_least(0.0), [np.nan, np.inf, 0]),
    (gx.scale(2.0), [np.nan, np.inf, -np.inf]),
  ]:
    np.testing.assert_array_equal(transform.update(u, transform.init(u))[0], wanted)


@pytest.mark.parametrize(
  ("transform", "wanted"),
  [(gx.chain(gx.square(), gx.root()), [1.0, -1.0, 0.0]), (gx.cube_root(), [9 ** (-1 / 3) / 3, 16 ** (1 / 3) / 3, 0.0])],
)
def test_the_derivative_of_the_root_at_zero_is_zero(transform, wanted):
  slope = jax.grad(lambda u: jnp.sum(transform.update(u, transform.init(u))[0]))(U)
  np.testing.assert_allclose(slope, wanted, rtol=1e-6)


def test_there_is_no_one_cube_root_of_a_complex_number():
  with pytest.raises(TypeError, match="`cube_root` is not defined for complex updates"):
    gx.cube_root().update(jnp.ones(1, complex), gx.cube_root().init(jnp.ones(1, complex)))


def test_what_depends_on_the_count_by_hand():
  weighed, begun = gx.scale_by_count(0.5), gx.begin_with(7.0)
  states, got = [weighed.init(U), begun.init(U)], []
  for _ in range(3):
    a, states[0] = weighed.update(U, states[0])
    b, states[1] = begun.update(U, states[1])
    got.append((a[0] / 3, b[1]))
  np.testing.assert_allclose(got, [(1, 7), (np.sqrt(2), -0.25), (np.sqrt(3), -0.25)], rtol=1e-6)


def test_stop_after_passes_the_first_updates_alone():
  transform, got = gx.stop_after(2), []
  state = transform.init(U)
  for _ in range(3):
    out, state = transform.update(U, state)
    got.append(out[0])
  np.testing.assert_array_equal(got, [U[0], U[0], 0.0])
  with pytest.raises(ValueError, match=r"`stop_after\(steps=\.\.\.\)` must be at least 0, got -1"):
    gx.stop_after(-1)


def test_zero_is_zero_even_of_nan():
  transform, u = gx.set_to_zero(), jnp.asarray([1.0, jnp.nan, -jnp.inf])
  np.testing.assert_array_equal(transform.update(u, transform.init(u))[0], [0.0, 0.0, 0.0])


def test_scale_by_param_size_takes_the_absolute_value_of_each():
  params = jnp.asarray([-2.0, 0.0, 0.5])
  transform = gx.scale_by_param_size(0.1)
  updates, _ = transform.update(jnp.asarray([1.0, -1.0, 2.0]), transform.init(params), params)
  np.testing.assert_allclose(updates, [2.1, -0.1, 1.2], rtol=1e-6)
