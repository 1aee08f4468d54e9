"""Muon, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

import gradxform as gx

PARAMS = {"kernel": jnp.zeros((2, 8)), "bias": jnp.zeros(8), "stack": jnp.zeros((2, 2, 2))}


def test_matrices_move_by_about_orthogonal_steps_and_all_else_as_adam():
  grads = {k: jnp.asarray(np.random.default_rng(0).normal(size=p.shape), jnp.float32) for k, p in PARAMS.items()}
  optimizer, others = gx.muon(0.1), gx.nadam(0.1)
  new, state = optimizer.step(grads, optimizer.init(PARAMS), PARAMS)
  values = jnp.linalg.svd(new["kernel"], compute_uv=False)
  assert jnp.all((values > 2 * 0.067) & (values < 2 * 0.121))  # √(8 / 2) = 2
  adam, _ = others.step(grads, others.init(PARAMS), PARAMS)
  np.testing.assert_allclose(new["bias"], adam["bias"], rtol=1e-6)
  np.testing.assert_allclose(new["stack"], adam["stack"], rtol=1e-6)
  kept = state["muon"]  # one momentum of the matrix, two moments of all else
  assert [leaf.shape for leaf in jax.tree.leaves(kept["matrices"])] == [(2, 8)]
  assert sorted(leaf.shape for leaf in jax.tree.leaves(kept["others"])) == [(2, 2, 2), (2, 2, 2), (8,), (8,)]


def test_each_kind_of_leaf_has_its_own_weight_decay():
  params = jax.tree.map(jnp.ones_like, PARAMS)
  zeros = jax.tree.map(jnp.zeros_like, PARAMS)
  optimizer = gx.muon(0.5, weight_decay=0.2, adam_weight_decay=0.4)
  new, _ = optimizer.step(zeros, optimizer.init(params), params)
  np.testing.assert_allclose(new["kernel"], 0.9, rtol=1e-6)
  np.testing.assert_allclose(new["bias"], 0.8, rtol=1e-6)
