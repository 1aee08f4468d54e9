"""Optax's transforms as parts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx
from gradxform.foreign import foreign_name

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}

CALLED = {
  "clip": optax.clip(1.0),
  "trace": optax.trace(0.9),
  "identity": optax.identity(),
  "scale_by_adam": optax.scale_by_adam(),
  "chain": optax.adam(1e-3),
  "masked": optax.masked(optax.trace(0.9), True),
  "multisteps": optax.MultiSteps(optax.sgd(1.0), 2),
}


@pytest.mark.parametrize("name", CALLED)
def test_its_name_is_that_of_the_function_that_made_it(name):
  assert foreign_name(CALLED[name]) == name


def test_extra_arguments_reach_it():
  transform = gx.chain(optax.polyak_sgd(), gx.scale(1.0))
  updates, _ = transform.update(PARAMS, transform.init(PARAMS), PARAMS, value=9.0)
  np.testing.assert_allclose(updates["b"], -1.0)  # f / ‖g‖² = 9 / 9, and at most 1


def test_its_state_lies_in_ours_as_it_is():
  state = gx.chain(gx.clip(1.0), optax.scale_by_adam()).init(PARAMS)
  assert isinstance(state["scale_by_adam"], optax.ScaleByAdamState)


def test_its_layout_is_derived():
  layout = gx.layout(gx.chain(optax.scale_by_adam(), gx.trace(0.9)), PARAMS)
  assert layout["scale_by_adam"].count.kind == "scalar"
  assert layout["scale_by_adam"].mu["w"] == gx.StateLeaf("slot", "w", (2, 3), jnp.dtype("float32"))
  alone = gx.layout(optax.adam(1e-3), PARAMS)
  assert alone[0].nu["b"].parameter == "b"


def test_one_without_leaves_in_its_state_is_made_again_at_each_step():
  transform = gx.chain(optax.clip(0.5), optax.masked(optax.clip(0.1), {"w": True, "b": False}))
  state = transform.init(PARAMS)
  assert list(state) == ["count"]
  updates, state = jax.jit(transform.update)(PARAMS, state)
  np.testing.assert_allclose(updates["w"], 0.1)
  np.testing.assert_allclose(updates["b"], 0.5)


def test_one_that_returns_another_tree_is_refused():
  broken = optax.GradientTransformation(lambda p: optax.EmptyState(), lambda u, s, p=None: ({"w": u["w"]}, s))
  transform = gx.chain(broken)
  with pytest.raises(ValueError, match="the state's 'updates' must have the tree structure"):
    transform.update(PARAMS, transform.init(PARAMS))


def test_it_works_in_every_place_of_an_expression():
  adam = gx.divide(
    gx.chain(optax.ema(0.9, debias=True)),
    by=gx.chain(gx.square(), optax.ema(0.999, debias=True), gx.root(1e-8)),
  )
  updates, _ = adam.update(PARAMS, adam.init(PARAMS))
  reference = optax.scale_by_adam()
  expected, _ = reference.update(PARAMS, reference.init(PARAMS))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), updates, expected)
