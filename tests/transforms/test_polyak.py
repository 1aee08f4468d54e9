"""Polyak's step size, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

UPDATES = {"w": jnp.asarray([3.0, 0.0]), "b": jnp.asarray(4.0)}  # of squared norm 25


def step(transform, value, updates=UPDATES):
  got, _ = transform.update(updates, transform.init(updates), value=value)
  return float(got["b"]) / 4


def test_the_step_is_the_gap_over_the_squared_norm():
  np.testing.assert_allclose(step(gx.scale_by_polyak(), 5.0), 0.2, rtol=1e-6)
  np.testing.assert_allclose(step(gx.scale_by_polyak(1.0), 5.0), 0.16, rtol=1e-6)
  np.testing.assert_allclose(step(gx.scale_by_polyak(eps=75.0), 5.0), 0.05, rtol=1e-6)
  np.testing.assert_allclose(step(gx.scale_by_polyak(), 1000.0), 1.0)
  np.testing.assert_allclose(step(gx.scale_by_polyak(max_learning_rate=7.0), 1000.0), 7.0)


def test_below_the_bound_it_goes_uphill_or_nowhere():
  np.testing.assert_allclose(step(gx.scale_by_polyak(3.0), 2.0), -0.04, rtol=1e-6)
  np.testing.assert_array_equal(step(gx.scale_by_polyak(3.0, variant="sps+"), 2.0), 0.0)


def test_where_there_is_no_gradient_there_is_no_step():
  nothing = jax.tree.map(lambda u: 1e-9 * u, UPDATES)
  np.testing.assert_array_equal(step(gx.scale_by_polyak(), 1.0, nothing), 0.0)


@pytest.mark.parametrize("extra", [{}, {"value": None}, {"loss": 1.0}])
def test_the_value_is_asked_for(extra):
  transform = gx.polyak_sgd()
  with pytest.raises(ValueError, match=r"`scale_by_polyak` needs the extra argument `value`: pass `value=...`"):
    transform.update(UPDATES, transform.init(UPDATES), **extra)


@pytest.mark.parametrize("chain", [gx.chain, optax.chain])
def test_the_value_goes_through_chains(chain):
  around = chain(optax.clip(2.0), gx.scale_by_polyak(), optax.identity())
  got, _ = around.update(UPDATES, around.init(UPDATES), UPDATES, value=4.0)
  np.testing.assert_allclose(got["b"], 1.0)  # clipped to 2 and 2, of squared norm 8


@pytest.mark.parametrize("value", [jnp.float16(5.0), np.float64(5.0), 5])
def test_the_value_may_be_of_any_dtype(value):
  np.testing.assert_allclose(step(gx.scale_by_polyak(), value), 0.2, rtol=1e-6)


def test_a_value_that_is_not_finite_shows():
  assert np.isnan(step(gx.scale_by_polyak(), jnp.nan))
  np.testing.assert_allclose(step(gx.scale_by_polyak(), jnp.inf), 1.0)


def test_an_unknown_variant_is_refused():
  with pytest.raises(ValueError, match=r"`scale_by_polyak\(variant=...\)` must be one of 'sps', 'sps\+', got 'sps-'"):
    gx.scale_by_polyak(variant="sps-")
