"""What holds of every wrapper in every wrapper, around optimizers of all scopes, ours and Optax's."""

import functools
import inspect

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from examples import WRAPPERS, extras, grads_like, signature_of

import gradxform as gx
from gradxform import wrappers

OPTIMIZERS = {
  "elementwise": lambda: gx.adam(0.1),
  "matrix": lambda: gx.muon(0.1, ns_steps=1),
  "whole_tree": lambda: gx.chain(gx.clip_by_global_norm(0.5), gx.momentum(0.1)),
  "optax_elementwise": lambda: optax.adam(0.1),
  "optax_matrix": lambda: optax.contrib.muon(0.1, ns_steps=1),
  "optax_whole_tree": lambda: optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1, 0.9)),
}
# What a wrapper asks of what it wraps, and other wrappers are not; it says so when it is made.
IN_EIGENBASIS = dict.fromkeys(["in_eigenbasis", "in_exact_eigenbasis"], "a transform that does not")
LOW_RANK = dict.fromkeys(["in_low_rank", "in_low_rank_and_rest", "rescale_in_low_rank"], "must not read the parameters")
IN_COORDINATES = {**IN_EIGENBASIS, **LOW_RANK}
REFUSED = {
  (outer, name): message
  for outer, message in IN_COORDINATES.items()
  for name, wrap in WRAPPERS.items()
  if "param" in wrap(gx.adam(0.1)).part.reads or (name == "split_real_and_imaginary" and outer in IN_EIGENBASIS)
}

NAMES = list(WRAPPERS)
KINDS = list(OPTIMIZERS)
PAIRS = [(outer, inner) for outer in NAMES for inner in NAMES]
works = pytest.mark.parametrize(("outer", "inner"), [pair for pair in PAIRS if pair not in REFUSED])


def wrapped(outer, inner, kind):
  return WRAPPERS[outer](WRAPPERS[inner](OPTIMIZERS[kind]()))


def kinds_of(outer, inner):
  """The optimizers that a pair is tried around: one of Optax's by turns, and the three of ours, by turns the first."""
  if {outer, inner} & set(IN_COORDINATES):  # Muon's decay reads the parameters
    return ["elementwise", "whole_tree", "optax_whole_tree"]
  turn = (NAMES.index(outer) + NAMES.index(inner)) % 3
  return [KINDS[turn], KINDS[3 + (turn + 1) % 3], KINDS[(turn + 1) % 3], KINDS[(turn + 2) % 3]]


def some_params():
  return {"w": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "b": jnp.array([1.0, 2.0], jnp.bfloat16)}


def one_step(transform, grads, state, params):
  return transform.step(grads, state, params, **extras(params, grads))


def one_update(transform, grads, state, params):
  return transform.update(grads, state, params, **extras(params, grads))


@works
def test_a_pair_keeps_structure_shapes_and_dtypes(outer, inner):
  params = some_params()
  grads = grads_like(params, 0)
  for turn, kind in enumerate(kinds_of(outer, inner)):
    transform = wrapped(outer, inner, kind)
    state = jax.eval_shape(transform.init, params)
    for act, like in ((one_step, params), (one_update, grads))[: 2 - turn // 2]:
      out, new = jax.eval_shape(functools.partial(act, transform), grads, state, params)
      assert signature_of(out) == signature_of(like)
      assert signature_of(new) == signature_of(state)  # so that a second call is not compiled again
    assert jax.tree.structure(gx.layout(transform, params)) == jax.tree.structure(state)


def compiled_pairs():
  """Each wrapper outside and inside of a few others: all are too many to compile."""
  count = len(NAMES)
  offsets = {0, 1, 3, 7}
  return [
    (outer, inner)
    for i, outer in enumerate(NAMES)
    for j, inner in enumerate(NAMES)
    if (j - i) % count in offsets and (outer, inner) not in REFUSED
  ]


@pytest.mark.parametrize(("outer", "inner"), compiled_pairs())
def test_a_compiled_pair_equals_an_eager_one(outer, inner):
  params = some_params()
  transform = wrapped(outer, inner, kinds_of(outer, inner)[0])
  traces = []

  @jax.jit
  def compiled(grads, state, params):
    traces.append(None)
    return one_step(transform, grads, state, params)

  state, moved = transform.init(params), params
  for index in range(3):
    moved, state = compiled(grads_like(params, index), state, moved)
  assert len(traces) == 1
  chex.assert_tree_all_finite(moved)
  first = grads_like(params, 0)
  fresh = transform.init(params)
  chex.assert_trees_all_close(
    compiled(first, fresh, params), one_step(transform, first, fresh, params), rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize(("outer", "inner"), list(REFUSED))
def test_a_pair_that_cannot_work_says_why_when_it_is_made(outer, inner):
  with pytest.raises(ValueError, match=REFUSED[outer, inner]):
    wrapped(outer, inner, "elementwise")


@pytest.mark.parametrize("name", NAMES)
def test_the_state_of_another_transform_is_refused(name):
  params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
  wrapper = WRAPPERS[name](gx.adam(0.1))
  with pytest.raises(ValueError, match=r"the state must have the entries \[.*\], got \["):
    wrapper.update(params, gx.sgd(0.1).init(params), params, **extras(params, params))


def test_every_wrapper_is_nested():
  takes_inner = {n for n in wrappers.__all__ if "inner" in inspect.signature(getattr(gx, n)).parameters}
  assert takes_inner <= set(WRAPPERS)
