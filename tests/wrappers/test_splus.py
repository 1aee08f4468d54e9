"""Transforms in exact eigenbases: what is linear loses nothing, a sign is SPlus."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

SHAPES = {"square": (4, 4), "wide": (3, 5), "row": (1, 3), "cube": (2, 3, 4), "vector": (3,), "number": ()}


def gradients(step, shapes=SHAPES):
  rng = np.random.default_rng(step)
  return {name: jnp.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}


INNER = {
  "ours": gx.chain(gx.trace(0.9), gx.scale(-0.1)),
  "optax's": optax.sgd(0.1, 0.9),
  "ours that sees everything": gx.chain(gx.trace(0.9), gx.clip_by_global_norm(0.5)),
  "ours with a pace of its own": gx.accumulate(gx.trace(0.9), 2),
}


@pytest.mark.parametrize("name", INNER)
def test_what_is_linear_and_elementwise_alike_loses_nothing(name, float64):
  """A momentum is turned with the bases, at each refresh, and from the first step on there is an update."""
  inner = INNER[name]
  transform = gx.in_exact_eigenbasis(inner, 0.9, 3)
  params = jax.tree.map(jnp.zeros_like, gradients(0))
  state, plain = transform.init(params), inner.init(params)
  update, update_plain = jax.jit(transform.update), jax.jit(inner.update)
  for step in range(8):
    updates, state = update(gradients(step), state)
    wanted, plain = update_plain(gradients(step), plain)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), updates, wanted)


def test_bases_are_eigenvectors_after_the_first_and_every_kth_step(float64):
  transform = gx.in_exact_eigenbasis(gx.sign(), 0.9, 4)
  state, g = transform.init(jnp.zeros((4, 3))), None
  changed, last = [], [np.eye(4), np.eye(3)]
  np.testing.assert_array_equal(jax.tree.leaves(state["in_exact_eigenbasis"]["basis"])[0], np.eye(4))
  for step in range(9):
    g = gradients(step, {"w": (4, 3)})["w"]
    _, state = transform.update(g, state)
    kept = state["in_exact_eigenbasis"]
    changed.append(not np.array_equal(kept["basis"][0], last[0]))
    last = kept["basis"]
    if changed[-1]:
      for q, factor in zip(kept["basis"], kept["factors"], strict=True):
        inside = q.T @ factor @ q
        np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-12)
  assert changed == [True, False, False, True, False, False, False, True, False]


def test_the_core_of_splus_is_the_sign_of_a_momentum_wherever_that_is_kept(float64):
  shapes = {"square": (4, 4), "row": (1, 3), "vector": (3,)}
  g = gradients(0, shapes)
  core = gx.scale_by_splus(0.9, 0.99, 2)
  expression = gx.in_exact_eigenbasis(gx.chain(gx.scale_by_momentum(0.9), gx.sign()), 0.99, 2, axes=2)
  first, state = core.update(g, core.init(g))
  jax.tree.map(lambda u, x: np.testing.assert_allclose(u, jnp.sign(x)), first, g)  # in the matrix's own basis
  _, other = expression.update(g, expression.init(g))
  for step in range(1, 5):
    u, state = core.update(gradients(step, shapes), state)
    wanted, other = expression.update(gradients(step, shapes), other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), u, wanted)


def test_stacked_layers_are_as_many_matrices(float64):
  shapes = {"stack": (2, 3, 4, 4)}
  core = gx.scale_by_splus(0.9, 0.9, 2)
  stack = gradients(0, shapes)["stack"]
  state, own = core.init(stack), [core.init(u) for u in stack.reshape(6, 4, 4)]
  update, alone = jax.jit(core.update), jax.jit(core.update)
  for step in range(4):
    g = gradients(step, shapes)["stack"]
    together, state = update(g, state)
    for i, u in enumerate(g.reshape(6, 4, 4)):
      wanted, own[i] = alone(u, own[i])
      np.testing.assert_allclose(together.reshape(6, 4, 4)[i], wanted, atol=1e-12)
  layout = gx.layout(core, jnp.zeros((2, 3, 4, 5)))["scale_by_splus"]["body"]["in_exact_eigenbasis"]
  assert [leaf.shape for leaf in layout["basis"]] == [(2, 3, 4, 4), (2, 3, 5, 5)]


DEGENERATE = {
  "zeros": lambda rng: np.zeros((4, 3)),
  "of rank 1": lambda rng: np.outer(np.arange(1.0, 5.0), np.arange(1.0, 4.0)) * rng.normal(),
  "a row": lambda rng: rng.normal(size=(1, 5)),
  "a column": lambda rng: rng.normal(size=(5, 1)),
  "stacked": lambda rng: rng.normal(size=(2, 4, 3)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_updates_are_finite_and_no_longer_than_signs(name, dtype):
  transform, rng = gx.scale_by_splus(inverse_every=1), np.random.default_rng(0)
  state, update = transform.init(jnp.asarray(DEGENERATE[name](rng), dtype)), jax.jit(transform.update)
  for _ in range(3):
    u, state = update(jnp.asarray(DEGENERATE[name](rng), dtype), state)
    assert u.dtype == dtype
    u = np.asarray(u).astype("complex64")
    assert np.linalg.norm(u) <= 1.01 * np.sqrt(u.size)
    assert name != "zeros" or not np.any(u)


def test_what_cannot_turn_is_refused_at_once():
  with pytest.raises(
    ValueError, match=r"`in_exact_eigenbasis\(inner=...\)` must be a transform that does not keep the"
  ):
    gx.in_exact_eigenbasis(gx.lookahead(gx.sgd(0.1)))
  with pytest.raises(ValueError, match=r"`in_exact_eigenbasis\(update_every=...\)` must be at least 1"):
    gx.in_exact_eigenbasis(gx.sign(), update_every=0)
