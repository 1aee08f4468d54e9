"""SM3's covers, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def run(transform, *updates):
  state, got = transform.init(updates[0]), None
  for u in updates:
    got, state = transform.update(u, state)
  return got, state["covered_sum"]["covers"]


def test_rows_and_columns_keep_their_largest_sum():
  first, second = jnp.asarray([[1.0, 2.0, 0.0], [0.0, 5.0, 3.0]]), jnp.ones((2, 3))
  got, covers = run(gx.covered_sum(), first)
  np.testing.assert_allclose(got, first)
  np.testing.assert_allclose(covers, [2, 5, 1, 5, 3])
  got, covers = run(gx.covered_sum(), first, second)
  np.testing.assert_allclose(got, [[2, 3, 3], [2, 6, 4]])
  np.testing.assert_allclose(covers, [3, 6, 2, 6, 4])


def test_it_bounds_the_sum_of_all_updates_from_above_for_three_axes():
  updates = jnp.asarray(np.random.default_rng(0).uniform(size=(10, 2, 3, 4)))
  bound, covers = run(gx.covered_sum(), *updates)
  assert jnp.all(bound >= jnp.sum(updates, 0) - 1e-6)
  assert covers.shape == (9,)


@pytest.mark.parametrize("shape", [(), (4,)])
def test_vectors_and_numbers_have_the_sum_itself(shape):
  u = jnp.full(shape, 2.0)
  np.testing.assert_allclose(run(gx.covered_sum(), u, u)[0], 4.0)
  np.testing.assert_allclose(run(gx.covered_sum(0.75), u, u)[0], 0.75 * 0.5 + 0.5)


def test_without_momentum_it_is_adagrad_on_vectors():
  sm3, adagrad = gx.scale_by_sm3(0.0), gx.scale_by_rss(0.0, 1e-8)
  s, a, u = sm3.init(jnp.ones(3)), adagrad.init(jnp.ones(3)), jnp.asarray([1.0, -2.0, 0.0])
  for _ in range(3):
    ours, s = sm3.update(u, s)
    wanted, a = adagrad.update(u, a)
    np.testing.assert_allclose(ours, wanted, rtol=1e-6)


def test_a_matrix_costs_its_rows_and_columns_besides_the_momentum():
  layout = gx.layout(gx.scale_by_sm3(), jax.ShapeDtypeStruct((512, 256), jnp.float32))
  sizes = sorted(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(layout))
  assert sizes == [1, 512 + 256, 512 * 256]


def test_wrong_arguments_are_refused():
  with pytest.raises(ValueError, match=r"`covered_sum\(decay=...\)` must be in \[0, 1\], got 2.0"):
    gx.covered_sum(2.0)
