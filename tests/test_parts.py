"""Parts: the derivation of the version for a tree from that for a leaf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx
from gradxform.parts import Like, Scope, get, put


def test_nested_states_are_read_and_written_by_path():
  state = {}
  put(state, ("a", "b"), 1)
  put(state, ("a", "c"), 2)
  assert state == {"a": {"b": 1, "c": 2}}
  assert get(state, ("a", "c")) == 2
  with pytest.raises(ValueError, match=r"the state must have the entries \['a/x'\], got \['b', 'c'\]"):
    get(state, ("a", "x"))


def test_what_flows_is_in_float32_at_least_and_filled_like_its_parameter():
  like = Like.of(jnp.ones((2, 3), jnp.bfloat16))
  assert (like.shape, like.dtype) == ((2, 3), jnp.float32)
  assert like.full(0.5).dtype == jnp.float32
  assert like.full(0.5, (1,)).shape == (1,)
  assert Like.of(2.0).full(1.0).shape == ()


def test_scopes_are_ordered_and_an_expression_has_the_largest_of_its_parts():
  assert Scope.ELEMENTWISE < Scope.PER_ARRAY < Scope.WHOLE_TREE
  assert gx.adam(1e-3).scope is Scope.ELEMENTWISE
  assert gx.chain(gx.adam(1e-3), gx.clip_by_block_rms(1.0)).scope is Scope.PER_ARRAY
  assert gx.add(gx.clip_by_global_norm(1.0), gx.sign()).scope is Scope.WHOLE_TREE


def kinds_traced(params, transform):
  jaxpr = jax.make_jaxpr(transform.update)(params, transform.init(params), params)
  calls = [eqn for eqn in jaxpr.eqns if eqn.params.get("name") == "leaf"]
  return len(calls), len({id(eqn.params["jaxpr"]) for eqn in calls})


def test_leaves_of_one_kind_share_one_trace_and_single_leaves_are_inlined():
  twins, alone = jnp.ones((2, 2)), jnp.ones(3)
  assert kinds_traced([twins] * 7 + [alone], gx.adam(1e-3)) == (7, 1)
  assert kinds_traced([twins] * 2 + [twins.astype(jnp.float16)] * 2, gx.adam(1e-3)) == (4, 1)  # in float32 all
  assert kinds_traced([twins, alone], gx.adam(1e-3)) == (0, 0)
  assert kinds_traced([twins] * 7, gx.momentum(1e-3)) == (0, 0)  # two rules: not worth a call


def test_whole_tree_stages_split_the_run_of_leaves():
  # Two runs of stages that work leaf by leaf, around one that does not: two calls for each leaf.
  transform = gx.chain(gx.scale_by_adam(), gx.clip_by_global_norm(1.0), gx.scale_by_adam(), gx.scale(0.1))
  assert kinds_traced([jnp.ones(2)] * 5, transform) == (10, 2)


def test_shared_traces_give_each_leaf_its_own_numbers():
  params = [jnp.full(2, float(i)) for i in range(4)]
  transform = gx.chain(gx.add_decayed_weights(1.0), gx.trace(0.9))
  state = transform.init(params)
  updates, state = jax.jit(transform.update)(params, state, params)
  for index, update in enumerate(updates):
    np.testing.assert_array_equal(update, [2.0 * index] * 2)


def test_traced_hyperparameters_reach_shared_traces():
  params = [jnp.ones(2)] * 3
  step = jax.jit(lambda t: t.step(params, t.init(params), params)[0])
  np.testing.assert_allclose(step(gx.sgd(0.25))[2], 0.75)
  np.testing.assert_allclose(step(gx.sgd(0.5))[2], 0.5)
