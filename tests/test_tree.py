"""Arithmetic on pytrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose

import gradxform as gx
from gradxform import tree

leaves = hnp.arrays(
  np.float32,
  hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
  elements=st.floats(-8, 8, width=16, allow_subnormal=False),
)
trees = st.recursive(
  leaves | st.none(),
  lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/c", min_size=1, max_size=3), inner, max_size=3)
  ),
  max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(trees)
def test_the_global_norm_is_that_of_all_elements_in_a_row(t):
  row = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(t)] or [np.zeros(0)])
  assert_allclose(tree.global_norm(t), np.linalg.norm(row.astype(np.float64)), rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(trees)
def test_sums_and_products_are_those_of_all_elements_in_a_row(t):
  row = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(t)] or [np.zeros(0)]).astype(np.float64)
  assert_allclose(tree.absolute_sum(t), np.sum(np.abs(row)), rtol=1e-5)
  assert_allclose(tree.squared_norm(t), row @ row, rtol=1e-5)
  assert_allclose(tree.vdot(t, tree.scaled(jnp.float32(-2.0), t)), -2 * row @ row, rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(trees)
def test_applying_updates_adds_leaf_by_leaf_and_keeps_the_tree(t):
  total = gx.apply_updates(t, t)
  assert jax.tree.structure(total) == jax.tree.structure(t)
  jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, 2 * b), total, t)


@settings(max_examples=50, deadline=None)
@given(trees)
def test_every_leaf_has_a_path(t):
  assert len(tree.paths(jax.tree.structure(t))) == len(jax.tree.leaves(t))


@settings(max_examples=25, deadline=None)
@given(trees)
def test_any_tree_of_floats_can_be_optimised(t):
  transform = gx.chain(gx.clip_by_global_norm(1.0), gx.adamw(0.1))
  state = transform.init(t)
  updates, new = transform.update(t, state, t)
  assert jax.tree.structure(updates) == jax.tree.structure(t)
  assert jax.tree.structure(new) == jax.tree.structure(state)


def test_paths_read_as_they_are_printed():
  assert tree.paths(jax.tree.structure({"a": [0, 0], "b": {"c": 0}})) == ["a/0", "a/1", "b/c"]


def test_the_norm_of_nothing_is_zero_and_of_complex_numbers_their_modulus():
  assert tree.global_norm({}) == 0
  assert_allclose(tree.global_norm([jnp.asarray(3 + 4j), jnp.zeros(0)]), 5.0)


def test_the_norm_of_mixed_precisions_is_computed_in_the_widest(float64):
  assert tree.global_norm([jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.float64)]).dtype == jnp.float64
  assert tree.global_norm([jnp.ones(2, jnp.bfloat16)]).dtype == jnp.float32


def test_the_sum_is_rounded_once_to_the_parameters_dtype():
  params = jnp.asarray(1.0, jnp.bfloat16)
  assert gx.apply_updates(params, jnp.float32(1 / 256)).dtype == jnp.bfloat16
  assert gx.apply_updates(params, jnp.float32(3 / 512)) == jnp.asarray(1 + 3 / 512, jnp.bfloat16)
  assert gx.apply_updates({"a": None}, {"a": None}) == {"a": None}


def test_mismatched_trees_and_shapes_are_refused():
  with pytest.raises(ValueError, match="`params` must have the tree structure of the updates"):
    gx.apply_updates({"a": jnp.ones(2)}, {"b": jnp.ones(2)})
  with pytest.raises(ValueError, match=r"the update of 'a' has shape \(1,\), its parameter has shape \(2,\)"):
    gx.apply_updates({"a": jnp.ones(2)}, {"a": jnp.ones(1)})


def test_computing_dtypes():
  wide = {jnp.float16: jnp.float32, jnp.bfloat16: jnp.float32, jnp.float32: jnp.float32, jnp.complex64: jnp.complex64}
  for dtype, wanted in wide.items():
    assert tree.computing_dtype(jnp.zeros((), dtype)) == wanted
  assert tree.computing_dtype(jnp.zeros((), jnp.complex64), jnp.zeros((), jnp.bfloat16)) == jnp.complex64
  assert tree.real_dtype(jnp.complex64) == jnp.float32
