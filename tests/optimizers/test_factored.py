"""Adafactor, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

import gradxform as gx


def test_the_first_step_is_a_share_of_the_size_of_the_array():
  params, grads = {"w": jnp.full((4, 4), 3.0), "b": jnp.zeros(2)}, {"w": jnp.full((4, 4), -7.0), "b": jnp.ones(2)}
  optimizer = gx.adafactor(0.1)
  new, _ = optimizer.step(grads, optimizer.init(params), params)
  np.testing.assert_allclose(new["w"], 3.3, rtol=1e-6)
  np.testing.assert_allclose(new["b"], -1e-4, rtol=1e-6)  # of zeros the size is taken as 0.001


def test_a_large_matrix_costs_its_rows_and_columns():
  layout = gx.layout(gx.adafactor(0.1), jax.ShapeDtypeStruct((512, 256), jnp.float32))
  assert sum(np.prod(leaf.shape, dtype=int) for leaf in jax.tree.leaves(layout)) == 512 + 256 + 1
  assert {leaf.kind for leaf in jax.tree.leaves(layout)} == {"factor", "scalar"}


def test_weight_decay_is_not_multiplied_by_the_learning_rate():
  params = jnp.full(3, 2.0)
  optimizer = gx.adafactor(0.0, weight_decay_rate=0.25)
  new, _ = optimizer.step(jnp.ones(3), optimizer.init(params), params)
  np.testing.assert_allclose(new, 1.5)
