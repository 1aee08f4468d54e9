"""Norms, means and factors of the shape of matrices, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def once(transform, u):
  return transform.update(u, transform.init(u))[0]


def test_each_matrix_of_a_stack_has_its_norm_and_a_vector_is_a_row():
  unit = gx.divide(gx.identity(), by=gx.matrix_norm())
  stack = jnp.asarray([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
  np.testing.assert_allclose(once(unit, stack), [[[0.6, 0.0], [0.0, 0.8]], np.zeros((2, 2))], rtol=1e-6)
  np.testing.assert_allclose(once(unit, jnp.asarray([3.0, 4.0])), [0.6, 0.8], rtol=1e-6)
  np.testing.assert_allclose(once(unit, jnp.asarray(-2.0)), -1.0)


def test_means_are_over_rows_or_columns_of_each_matrix_and_a_vector_is_a_row():
  rows, columns = gx.mean_over(), gx.mean_over("columns")
  spread = lambda mean: gx.divide(gx.identity(), by=mean)
  stack = jnp.asarray([[[1.0, 2.0], [3.0, 6.0]], [[1.0, 1.0], [1.0, 3.0]]])
  np.testing.assert_allclose(once(spread(rows), stack), [[[0.5, 0.5], [1.5, 1.5]], [[1, 0.5], [1, 1.5]]], rtol=1e-6)
  np.testing.assert_allclose(once(spread(columns), stack)[0], [[2 / 3, 4 / 3], [2 / 3, 4 / 3]], rtol=1e-6)
  np.testing.assert_allclose(once(spread(rows), jnp.asarray([1.0, 3.0])), 1.0)
  np.testing.assert_allclose(once(spread(columns), jnp.asarray([1.0, 3.0])), [0.5, 1.5])
  np.testing.assert_allclose(once(spread(rows), jnp.asarray(2.0)), 1.0)
  kept = gx.chain(rows, gx.moving_average(0.9)).init({"w": jnp.zeros((2, 5, 3)), "b": jnp.zeros(3)})
  assert [leaf.shape for leaf in jax.tree.leaves(kept["moving_average"])] == [(3,), (2, 1, 3)]


def test_factors_of_the_shape():
  wide, tall = jnp.ones((2, 8)), jnp.ones((3, 8, 2))
  np.testing.assert_allclose(once(gx.scale_by_shape(), wide), 2 * wide)
  np.testing.assert_allclose(once(gx.scale_by_shape(), tall), tall)
  np.testing.assert_allclose(once(gx.scale_by_shape("rows_by_columns"), tall), 2 * tall)
  np.testing.assert_allclose(once(gx.scale_by_shape("longer_side"), wide), np.sqrt(8) * wide, rtol=1e-6)
  np.testing.assert_allclose(once(gx.scale_by_shape("longer_side"), jnp.ones(9)), 3.0)
  np.testing.assert_allclose(once(gx.scale_by_shape("size"), tall), 4 * tall, rtol=1e-6)
  np.testing.assert_allclose(once(gx.scale_by_shape("inverse_mean_side"), tall), tall / 5, rtol=1e-6)
  np.testing.assert_allclose(once(gx.scale_by_shape("columns_to_rows"), tall), tall / 2)
  np.testing.assert_allclose(once(gx.scale_by_shape("rows_to_columns"), tall), 2 * tall)
  np.testing.assert_allclose(once(gx.scale_by_shape("inverse_rows"), tall), tall / 8)
  np.testing.assert_allclose(once(gx.scale_by_shape("inverse_columns"), tall), tall / 2)


def test_an_unknown_choice_is_refused():
  with pytest.raises(ValueError, match=r"`scale_by_shape\(factor=...\)` must be one of 'columns_by_rows'"):
    gx.scale_by_shape("wide")
  with pytest.raises(ValueError, match=r"`mean_over\(lines=...\)` must be one of 'rows', 'columns', got 'both'"):
    gx.mean_over("both")
