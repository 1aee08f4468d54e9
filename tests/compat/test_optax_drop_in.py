"""What makes expressions Optax's: names and dtypes of slots, masks, signatures; by hand and with their refusals."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax as reference
import pytest

import gradxform as gx
from gradxform.compat.optax._drop_in import called, drop_in, where

PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.array(0.5)}


def test_slots_are_called_as_asked_and_stand_under_the_states_name():
  t = called(gx.add(gx.moving_average(0.9), gx.trace(0.9)), state="Both", first=None, second="bfloat16")
  state = gx.chain(gx.scale(2.0), t).init(PARAMS)
  assert state.keys() == {"count", "Both"}
  assert {name: entry["w"].dtype for name, entry in state["Both"].items()} == {
    "first": jnp.float32, "second": jnp.bfloat16
  }  # fmt: skip


def test_a_slot_is_kept_in_its_dtype_and_used_before_it_is_rounded():
  t = called(gx.trace(0.5), state="TraceState", trace=jnp.bfloat16)
  u = jnp.array(1.0 + 2.0**-10)  # no bfloat16 is so near to 1
  updates, state = t.update(u, t.init(u))
  assert updates == u
  assert state["TraceState"]["trace"] == 1.0
  updates, state = t.update(u, state)
  assert updates == u + 0.5


def test_entries_of_rules_for_whole_trees_have_names_and_dtypes_too():
  t = called(gx.scale_by_dog(), state="DoGState", init_params="bfloat16", max_dist=None, total=None)
  state = t.init(PARAMS)
  assert state["DoGState"].keys() == {"init_params", "max_dist", "total"}
  assert state["DoGState"]["init_params"]["w"].dtype == jnp.bfloat16
  updates, after = t.update(PARAMS, state, PARAMS)
  expected, _ = gx.scale_by_dog().update(PARAMS, gx.scale_by_dog().init(PARAMS), PARAMS)
  chex.assert_trees_all_equal(updates, expected)
  chex.assert_trees_all_equal_shapes_and_dtypes(after, state)


def test_scalars_keep_their_names_where_they_are_given_none():
  t = called(gx.scale_by_dog(), state="DoGState", init_params=None)
  assert t.init(PARAMS)["DoGState"].keys() == {"init_params", "longest", "total"}


@pytest.mark.parametrize("entries", [{}, {"mu": None, "nu": None}])
def test_too_few_or_too_many_names_are_refused(entries):
  with pytest.raises(ValueError, match=r"must name .* of trace\(decay=0.9\), got"):
    called(gx.trace(0.9), state="TraceState", **entries)


@pytest.mark.parametrize(
  "mask", [{"w": True, "b": False}, lambda tree: {"w": True, "b": False}, lambda tree: {k: k == "w" for k in tree}]
)
def test_a_mask_is_a_tree_or_makes_one(mask):
  updates, _ = where(gx.scale(3.0), mask).update(PARAMS, where(gx.scale(3.0), mask).init(PARAMS))
  np.testing.assert_array_equal(updates["w"], [3.0, -6.0])
  assert updates["b"] == 0.5


def test_a_mask_may_be_a_prefix_or_a_flag():
  tree = {"layer": PARAMS, "head": PARAMS}
  updates, _ = where(gx.scale(0.0), {"layer": True, "head": False}).update(tree, {"count": jnp.int32(0)})
  chex.assert_trees_all_equal(updates, {"layer": jax.tree.map(jnp.zeros_like, PARAMS), "head": PARAMS})
  for flag, factor in ((True, 3.0), (None, 3.0), (False, 1.0)):
    updates, _ = where(gx.scale(3.0), flag).update(PARAMS, {"count": jnp.int32(0)})
    chex.assert_trees_all_equal(updates, jax.tree.map(lambda x, factor=factor: factor * x, PARAMS))


def test_a_masked_transform_is_one_compilation_for_equal_masks():
  step = jax.jit(lambda t, u: t.update(u, t.init(u))[0])
  step(where(gx.scale(3.0), {"w": True, "b": False}), PARAMS)
  step(where(gx.scale(4.0), {"w": True, "b": False}), PARAMS)
  assert step._cache_size() == 1


def test_a_drop_in_has_the_defaults_of_its_model_though_its_own_function_has_none():
  @drop_in(reference.sgd)
  def sgd(learning_rate, momentum, nesterov, accumulator_dtype):
    """Theirs."""
    return gx.chain(gx.trace(momentum or 0.5), gx.scale(-learning_rate))

  assert repr(sgd(1, 0.9)) == "optax.sgd(learning_rate=1.0, momentum=0.9, nesterov=False, accumulator_dtype=None)"
  with pytest.raises(TypeError, match="Its arguments are: learning_rate, momentum, nesterov, accumulator_dtype"):
    sgd(1, decay=0.9)
