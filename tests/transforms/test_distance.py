"""Distances over gradients, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

START = {"w": jnp.asarray([3.0, 0.0]), "b": jnp.asarray(4.0)}  # of norms 3, 4 and together 5
GRADIENTS = {"w": jnp.asarray([0.0, 6.0]), "b": jnp.asarray(8.0)}  # of norms 6, 8 and together 10
DISTANCES = [gx.scale_by_dog, gx.scale_by_distance_over_gradients, gx.scale_by_dowg]


def factors(transform, points):
  """What the gradients are multiplied by, leaf by leaf, at each of the points."""
  state, got = transform.init(START), []
  for point in points:
    updates, state = transform.update(GRADIENTS, state, point)
    got.append((float(updates["w"][1]) / 6, float(updates["b"]) / 8))
  return np.asarray(got)


def moved(w, b):
  return {"w": START["w"] + jnp.asarray([0.0, w]), "b": START["b"] + b}


def test_dog_keeps_its_longest_distance_and_adds_up_its_gradients():
  got = factors(gx.scale_by_dog(0.1, eps=0.0), [START, moved(3.0, 4.0), moved(0.3, 0.4)])
  wanted = np.asarray([0.1 * 6 / 10, 5 / np.sqrt(200), 5 / np.sqrt(300)])
  np.testing.assert_allclose(got, np.stack([wanted, wanted], axis=1), rtol=1e-6)


def test_layer_wise_it_is_dog_of_each_array():
  points = [START, moved(3.0, 4.0), moved(1.0, 5.0)]
  got = factors(gx.scale_by_distance_over_gradients(0.1, eps=0.0), points)
  np.testing.assert_allclose(got[:, 0], [0.1 * 4 / 6, 3 / np.sqrt(72), 3 / np.sqrt(108)], rtol=1e-6)
  np.testing.assert_allclose(got[:, 1], [0.1 * 5 / 8, 4 / np.sqrt(128), 5 / np.sqrt(192)], rtol=1e-6)
  alone, together = gx.scale_by_dog(0.1), gx.scale_by_distance_over_gradients(0.1)
  b = GRADIENTS["b"], alone.init(START["b"]), points[1]["b"]
  np.testing.assert_allclose(
    alone.update(*b)[0], together.update(GRADIENTS, together.init(START), points[1])[0]["b"], rtol=1e-6
  )


def test_dowg_weighs_gradients_by_the_distance_of_their_time():
  got = factors(gx.scale_by_dowg(0.25, eps=1.0), [START, moved(3.0, 4.0)])
  wanted = np.asarray([0.25 / (np.sqrt(0.25 * 100) + 1), 25 / (np.sqrt(0.25 * 100 + 25 * 100) + 1)])
  np.testing.assert_allclose(got, np.stack([wanted, wanted], axis=1), rtol=1e-6)
  without = factors(gx.scale_by_dowg(eps=1.0), [START])
  np.testing.assert_allclose(without, factors(gx.scale_by_dowg(1.0, eps=1.0), [START]))


@pytest.mark.parametrize("make", DISTANCES)
def test_without_gradients_and_eps_it_does_not_move(make):
  transform = make() if make is gx.scale_by_dowg else make(eps=0.0)
  zeros = jax.tree.map(jnp.zeros_like, START)
  updates, _ = transform.update(zeros, transform.init(START), START)
  jax.tree.map(np.testing.assert_array_equal, updates, zeros)


@pytest.mark.parametrize("make", DISTANCES)
def test_the_parameters_are_asked_for(make):
  with pytest.raises(ValueError, match="needs the parameters"):
    make().update(START, make().init(START))


@pytest.mark.parametrize("make", DISTANCES)
def test_a_distance_in_half_precision_does_not_overflow(make):
  params = jnp.full(4096, 200.0, jnp.float16)  # of squared norm 1.6e8, beyond float16
  transform = make()
  updates, _ = transform.update(params, transform.init(params), params)
  assert updates.dtype == jnp.float16
  assert np.all(np.isfinite(updates))


def test_layer_wise_it_keeps_one_number_for_each_array():
  state = gx.scale_by_distance_over_gradients().init({"w": jnp.ones((3, 2), complex)})
  kept = state["scale_by_distance_over_gradients"]
  assert {name: (leaf["w"].shape, leaf["w"].dtype) for name, leaf in kept.items()} == {
    "start": ((3, 2), jnp.complex64),
    "longest": ((), jnp.float32),
    "total": ((), jnp.float32),
  }
