"""Noise."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

ZEROS = {"a": jnp.zeros(20_000), "b": jnp.zeros(20_000)}


def noise(transform, steps=1):
  state, got = transform.init(ZEROS), []
  for _ in range(steps):
    updates, state = transform.update(ZEROS, state)
    got.append(updates)
  return got


def test_its_variance_falls_with_the_steps():
  got = noise(gx.add_noise(0.04, 0.5), 4)
  for t, updates in enumerate(got, start=1):
    np.testing.assert_allclose(np.std(updates["a"]), np.sqrt(0.04 / t**0.5), rtol=0.03)
    np.testing.assert_allclose(np.mean(updates["a"]), 0, atol=0.006)


def test_leaves_steps_and_keys_have_noise_of_their_own():
  first, second = noise(gx.add_noise(1.0, 0.0), 2)
  (other,) = noise(gx.add_noise(1.0, 0.0, key=1))
  for a, b in [(first["a"], first["b"]), (first["a"], second["a"]), (first["a"], other["a"])]:
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_the_same_key_gives_the_same_noise_again():
  np.testing.assert_array_equal(
    noise(gx.add_noise(1.0, 0.5, 3), 2)[1]["b"], noise(gx.add_noise(1.0, 0.5, 3), 2)[1]["b"]
  )


def test_noise_without_variance_is_none():
  np.testing.assert_array_equal(noise(gx.add_noise(0.0, 0.5))[0]["a"], ZEROS["a"])


def test_a_key_that_is_no_seed_is_refused():
  with pytest.raises(TypeError, match=r"`add_noise\(key=...\)` must be a Python integer"):
    gx.add_noise(0.1, 0.5, key=1.5)
