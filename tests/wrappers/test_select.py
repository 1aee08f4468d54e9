"""Matrices get one transform, all else another."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.ones(3), "k": jnp.ones((2, 2, 2)), "none": None}
GRADS = jax.tree.map(lambda p: 2.0 * p, PARAMS)


def once(transform, **extra):
  return transform.update(GRADS, transform.init(PARAMS), PARAMS, **extra)[0]


def test_each_leaf_gets_its_own_transform_and_no_other_state():
  transform = gx.route_matrices(gx.trace(0.9), others=gx.scale(-1.0))
  state = transform.init(PARAMS)
  assert list(state["route_matrices"]) == ["matrices"]
  assert [leaf.shape for leaf in jax.tree.leaves(state["route_matrices"])] == [(2, 3)]
  updates, _ = transform.update(GRADS, state, PARAMS)
  np.testing.assert_array_equal(updates["w"], GRADS["w"])
  np.testing.assert_array_equal(updates["b"], -GRADS["b"])
  np.testing.assert_array_equal(updates["k"], -GRADS["k"])


def test_a_global_norm_inside_is_that_of_its_own_leaves_and_outside_that_of_all():
  clip = gx.clip_by_global_norm(1.0)
  inside = once(gx.route_matrices(clip, others=gx.identity()))
  np.testing.assert_allclose(jnp.linalg.norm(inside["w"]), 1.0, rtol=1e-6)
  np.testing.assert_array_equal(inside["b"], GRADS["b"])
  outside = once(gx.chain(clip, gx.route_matrices(gx.identity(), others=gx.identity())))
  np.testing.assert_allclose(gx.tree.global_norm(outside), 1.0, rtol=1e-6)


def test_it_agrees_with_optaxs_partition_of_optaxs_transforms():
  labels = lambda params: jax.tree.map(lambda p: "matrices" if p.ndim == 2 else "others", params)
  parts = {"matrices": optax.adamw(0.1), "others": optax.sgd(0.2, momentum=0.9)}
  ours, theirs = gx.route_matrices(parts["matrices"], others=parts["others"]), optax.partition(parts, labels)
  state, reference, params = ours.init(PARAMS), theirs.init(PARAMS), PARAMS
  for _ in range(3):
    mine, state = ours.update(params, state, params)
    wanted, reference = theirs.update(params, reference, params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), mine, wanted)
    params = gx.apply_updates(params, mine)


def test_shared_values_and_the_objective_are_those_of_its_own_leaves():
  body = gx.route_matrices(gx.subtract(gx.identity(), gx.shared("m")), others=gx.shared("m"))
  updates = once(gx.share(body, m=gx.moving_average(0.75)))
  np.testing.assert_allclose(updates["w"], 0.75 * GRADS["w"])
  np.testing.assert_allclose(updates["b"], 0.25 * GRADS["b"])
  objective = lambda p: jnp.sum(p["b"][0] * p["w"] ** 2) + jnp.sum(p["k"])
  curved = gx.route_matrices(gx.hessian_diagonal(), others=gx.identity())
  np.testing.assert_allclose(once(curved, value_fn=objective)["w"], 2.0)


def test_it_nests_and_works_without_matrices():
  inner = gx.route_matrices(gx.trace(0.9), others=gx.scale(3.0))
  nested = once(gx.route_matrices(inner, others=inner))
  np.testing.assert_array_equal(nested["w"], GRADS["w"])
  np.testing.assert_array_equal(nested["b"], 3 * GRADS["b"])
  alone = inner.init({"b": jnp.ones(3)})
  np.testing.assert_array_equal(inner.update({"b": jnp.ones(3)}, alone)[0]["b"], 3.0)


def test_each_group_has_noise_of_its_own_key():
  noise = gx.hutchinson_diagonal()
  transform = gx.route_matrices(noise, others=noise)
  params = {"w": jnp.ones((3, 5)), "b": jnp.ones(15)}
  coupled = lambda p: jnp.sum(p["w"]) ** 2 + jnp.sum(p["b"]) ** 2
  updates, _ = transform.update(params, transform.init(params), params, value_fn=coupled, key=jax.random.key(0))
  assert np.all(updates["w"] != 0) and np.all(updates["b"] != 0)
  assert not np.array_equal(updates["w"].ravel(), updates["b"])


def test_what_is_no_transform_is_refused():
  with pytest.raises(TypeError, match=r"`route_matrices\(others=...\)` must be a gradient transformation"):
    gx.route_matrices(gx.identity(), others=gx.trace)
