"""Complex leaves as pairs, by hand and against Optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

PARAMS = {"z": jnp.asarray([1 + 2j, -3j]), "x": jnp.asarray([1.0, -1.0])}


def test_what_needs_an_order_acts_on_both_halves():
  transform = gx.split_real_and_imaginary(gx.clip(1.0))
  updates, _ = transform.update(PARAMS, transform.init(PARAMS), PARAMS)
  np.testing.assert_allclose(updates["z"], [1 + 1j, -1j])
  np.testing.assert_allclose(updates["x"], [1.0, -1.0])


@pytest.mark.parametrize("inner", [gx.adamw(0.1), optax.adamw(0.1)], ids=["ours", "optax's"])
def test_it_is_optaxs(inner, float64):
  ours, theirs = gx.split_real_and_imaginary(inner), optax.contrib.split_real_and_imaginary(optax.adamw(0.1))
  params = {"z": jnp.asarray([1 + 2j, -3j]), "x": jnp.asarray([1.0, -1.0])}
  state, reference = ours.init(params), theirs.init(params)
  for _ in range(5):
    mine, state = ours.update(params, state, params)
    wanted, reference = theirs.update(params, reference, params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), mine, wanted)
    params = gx.apply_updates(params, mine)


def test_the_state_has_both_halves_and_a_layout():
  transform = gx.split_real_and_imaginary(gx.trace(0.9))
  state = transform.init(PARAMS)
  momentum = state["split_real_and_imaginary"]["trace"]["momentum"]
  assert jax.tree.map(lambda leaf: leaf.dtype.name, momentum) == {
    "z": {"imaginary": "float32", "real": "float32"},
    "x": "float32",
  }
  layout = gx.layout(transform, PARAMS)["split_real_and_imaginary"]["trace"]["momentum"]
  assert layout["z"]["real"].kind == "slot" and layout["z"]["imaginary"].parameter == "z"


def test_the_objective_is_a_function_of_the_halves():
  transform = gx.split_real_and_imaginary(gx.hessian_diagonal())
  objective = lambda p: jnp.sum(2 * jnp.real(p["z"]) ** 2 + 3 * jnp.imag(p["z"]) ** 2) + jnp.sum(p["x"] ** 2)
  updates, _ = transform.update(PARAMS, transform.init(PARAMS), PARAMS, value_fn=objective)
  np.testing.assert_allclose(updates["z"], 4 + 6j)
  np.testing.assert_allclose(updates["x"], 2.0)


def test_what_is_no_transform_is_refused():
  with pytest.raises(TypeError, match=r"`split_real_and_imaginary\(inner=...\)` must be a gradient transformation"):
    gx.split_real_and_imaginary(3.0)
