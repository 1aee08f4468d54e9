"""Bounds on updates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

TREE = {"a": jnp.asarray([3.0, 0.0]), "b": jnp.asarray([[4.0]])}


def clipped(transform, tree=TREE):
  return transform.update(tree, transform.init(tree))[0]


def test_by_value():
  np.testing.assert_allclose(clipped(gx.clip(3.5))["b"], [[3.5]])
  np.testing.assert_allclose(clipped(gx.clip(3.5), jnp.asarray([-9.0, 1.0])), [-3.5, 1.0])


def test_by_the_root_mean_square_of_each_array():
  updates = clipped(gx.clip_by_block_rms(1.0))
  np.testing.assert_allclose(updates["a"], [np.sqrt(2.0), 0.0], rtol=1e-6)
  np.testing.assert_allclose(updates["b"], [[1.0]], rtol=1e-6)
  np.testing.assert_allclose(clipped(gx.clip_by_block_rms(10.0))["a"], TREE["a"])


def test_by_the_norm_of_all():
  updates = clipped(gx.clip_by_global_norm(1.0))
  np.testing.assert_allclose(updates["a"], [0.6, 0.0], rtol=1e-6)
  np.testing.assert_allclose(updates["b"], [[0.8]], rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, clipped(gx.clip_by_global_norm(5.5)), TREE)
  jax.tree.map(np.testing.assert_array_equal, clipped(gx.clip_by_global_norm(float("inf"))), TREE)


@pytest.mark.parametrize("make", [gx.clip_by_block_rms, gx.clip_by_global_norm, gx.limit_norm_growth])
def test_zero_stays_zero(make):
  zeros = jax.tree.map(jnp.zeros_like, TREE)
  jax.tree.map(np.testing.assert_array_equal, clipped(make(0.5), zeros), zeros)


def test_by_the_norm_of_the_last_step(float64):
  transform, got, wanted, last = gx.limit_norm_growth(1.5, 1e-3), [], [], 0.0
  state = transform.init(jnp.zeros(2))
  for length in [0.0, 1.0, 9.0, 2.0, 0.5, 4.0]:
    update, state = transform.update(jnp.asarray([0.6, -0.8]) * length, state)
    got.append(jnp.linalg.norm(update))
    last = length if last == 0 else length / (max(length / (last + 1e-3), 1.5) / 1.5)
    wanted.append(last)
  np.testing.assert_allclose(got, wanted, rtol=1e-12)
  assert wanted[:3] == [0.0, 1.0, 1.5 * 1.001]  # after 0 there is no bound
  assert state["limit_norm_growth"]["norm"] == pytest.approx(wanted[-1])
  stack = jnp.zeros((3, 2, 2))
  assert gx.limit_norm_growth().init(stack)["limit_norm_growth"]["norm"].shape == (3, 1, 1)  # for each matrix one


def test_by_a_bound_that_grows_with_the_updates_made():
  transform, got = gx.clip_by_count(0.5), []
  state = transform.init(jnp.ones(2))
  for _ in range(5):
    update, state = transform.update(jnp.asarray([10.0, -0.5]), state)
    got.append(update)
  np.testing.assert_allclose([u[0] for u in got], np.sqrt(np.arange(5.0)), rtol=1e-6)
  np.testing.assert_allclose([u[1] for u in got], [0.0, -0.5, -0.5, -0.5, -0.5])
