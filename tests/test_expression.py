"""Expressions: what they print, what is a leaf, when they are equal."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx


def test_the_leaves_of_adam_are_its_four_arguments_each_once():
  assert jax.tree.leaves(gx.adam(1e-3)) == [1e-3, 0.9, 0.999, 1e-8]
  paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(gx.adam(1e-3))]
  assert paths == [".learning_rate", ".b1", ".b2", ".eps"]


def test_it_prints_as_its_expression():
  assert repr(gx.adam(1e-3)) == "adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08)"
  nested = gx.chain(gx.add(gx.identity(), gx.trace(0.9)), head=gx.divide(gx.sign(), by=gx.absolute()))
  assert repr(nested) == "chain(add(identity(), trace(decay=0.9)), head=divide(sign(), by=absolute()))"


def test_arrays_schedules_and_optax_print_as_what_they_are():
  assert repr(gx.scale(jnp.float32(0.5))) == "scale(step_size=0.5)"
  assert repr(jax.vmap(gx.scale)(jnp.ones(3))) == "scale(step_size=float32[3])"
  assert repr(gx.chain(optax.clip(1.0), gx.scale(2.0))) == "chain(<optax clip>, scale(step_size=2.0))"
  seen = []
  jax.jit(lambda c: seen.append(repr(gx.scale(c))))(1.0)
  assert seen == ["scale(step_size=float32[])"]


def test_what_it_prints_is_python_also_for_infinity_and_after_keywords():
  assert repr(gx.clip(float("inf"))) == "clip(max_delta=float('inf'))"
  assert eval(repr(gx.clip(float("inf"))), vars(gx).copy()) == gx.clip(float("inf"))

  @gx.named
  def wrapped(rate, inner, *rest):
    return gx.chain(inner, *rest, gx.scale(rate))

  @gx.named
  def scaled(rate, inner):
    return gx.chain(inner, gx.scale(rate))

  scope = vars(gx) | {"wrapped": wrapped, "scaled": scaled}
  for transform in (wrapped(0.1, gx.sign(), gx.square()), scaled(0.1, gx.sign())):
    assert eval(repr(transform), dict(scope)) == transform
  assert repr(scaled(0.1, gx.sign())) == "scaled(rate=0.1, inner=sign())"


def test_a_lift_prints_as_what_it_names():
  assert repr(gx.elementwise("double", lambda u, *, c: c * u, c=2.0)) == "double(c=2.0)"


def test_equality_is_structural():
  assert gx.adam(1e-3) == gx.adam(1e-3, b1=0.9)
  assert gx.adam(1e-3) != gx.adam(1e-2)
  assert gx.adam(1e-3) != gx.adamw(1e-3)
  assert gx.adam(1e-3) != optax.adam(1e-3)
  assert gx.adam(jnp.float32(0.5)) == gx.adam(jnp.float32(0.5))
  assert gx.adam(jnp.float32(0.5)) != gx.adam(0.5)  # another program, and equal ones share a hash
  assert hash(gx.adam(jnp.float32(0.5))) == hash(gx.adam(jnp.float32(0.5)))
  schedule = optax.constant_schedule(1e-3)
  assert gx.adam(schedule) == gx.adam(schedule)
  assert gx.adam(schedule) != gx.adam(optax.constant_schedule(1e-3))
  assert len({gx.adam(1e-3), gx.adam(1e-3), gx.sgd(1e-3)}) == 2


def test_what_is_no_number_is_structure():
  schedule = optax.constant_schedule(1e-3)
  assert jax.tree.leaves(gx.adam(schedule)) == [0.9, 0.999, 1e-8]
  assert jax.tree.leaves(gx.bias_correction(0.9, lead=1)) == [0.9, 1.0]
  assert jax.tree.leaves(gx.chain(optax.adam(1e-3), gx.scale(2))) == [2.0]
  assert jax.tree.structure(gx.bias_correction(0.9, lead=1)) != jax.tree.structure(gx.bias_correction(0.9, lead=0))


def test_a_callable_pytree_keeps_its_leaves():
  schedule = jax.tree_util.Partial(lambda peak, count: peak * 0.5**count, jnp.float32(0.1))
  transform = gx.sgd(schedule)
  assert len(jax.tree.leaves(transform)) == 1
  updates, _ = transform.update(jnp.ones(2), transform.init(jnp.ones(2)))
  np.testing.assert_allclose(updates, -0.1, rtol=1e-6)
  slope = jax.grad(lambda t: t.update(jnp.ones(()), t.init(jnp.ones(())))[0])(transform)
  assert jax.tree.leaves(slope) == [-1.0]


def test_anything_may_stand_in_place_of_the_leaves():
  axes = jax.tree.map(lambda _: 0, gx.adam(1e-3))
  assert jax.tree.leaves(axes) == [0, 0, 0, 0]
  names = jax.tree.map(lambda _: "x", gx.chain(gx.scale(1.0), head=gx.clip(1.0)))
  assert jax.tree.leaves(names) == ["x", "x"]
  assert jax.tree.structure(names) == jax.tree.structure(gx.chain(gx.scale(1.0), head=gx.clip(1.0)))
  batched = jax.vmap(lambda t: t.update(jnp.ones(2), t.init(jnp.ones(2)))[0], in_axes=(axes,))
  assert batched(jax.tree.map(lambda leaf: jnp.asarray([leaf] * 3), gx.adam(1e-3))).shape == (3, 2)


def test_the_order_of_named_stages_is_kept():
  transform = gx.chain(z=gx.scale(2.0), a=gx.clip(1.0))
  again = jax.tree.unflatten(jax.tree.structure(transform), jax.tree.leaves(transform))
  assert repr(again) == "chain(z=scale(step_size=2.0), a=clip(max_delta=1.0))"
  assert again.update(jnp.float32(0.75), again.init(1.0))[0] == 1.0


def test_it_cannot_be_changed():
  with pytest.raises(AttributeError, match=r"cannot be changed: `gx.replace\(t, {'b1': 0.5}\)`"):
    gx.adam(1e-3).b1 = 0.5


def test_it_behaves_as_the_pair_of_functions_that_optax_has():
  transform = gx.adam(1e-3)
  init, update = transform
  assert (init, update) == (transform.init, transform.update) == (transform[0], transform[1])
  assert len(transform) == 2
