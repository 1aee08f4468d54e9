"""The core of Dion: what its power iteration finds, and what it does where there is nothing to find."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def random(*shape):
  return jnp.asarray(np.random.default_rng(0).normal(size=shape))


def run(transform, grads, like):
  state, update = transform.init(like), jax.jit(transform.update)
  out = []
  for g in grads:
    u, state = update(g, state)
    out.append(u)
  return out, state["scale_by_dion"]


def test_of_a_constant_gradient_it_finds_the_leading_singular_vectors(float64):
  left, _, right = np.linalg.svd(np.asarray(random(6, 4)), full_matrices=False)
  g = jnp.asarray(left @ np.diag([4.0, 3.0, 0.3, 0.1]) @ right)
  outs, state = run(gx.scale_by_dion(2, 0.999), [g] * 30, g)
  np.testing.assert_allclose(outs[-1], left[:, :2] @ right[:2], atol=1e-4)
  assert state["momentum"].shape == (6, 4)
  assert state["basis"].shape == (6, 2)


def test_what_is_left_out_stays_in_the_momentum_and_has_its_turn(float64):
  g = jnp.diag(jnp.asarray([1.0, 0.6]))
  outs, _ = run(gx.scale_by_dion(1, 0.0), [g, *[jnp.zeros((2, 2))] * 3], g)
  moved = np.abs(np.asarray(outs))
  assert np.all(np.linalg.matrix_rank(moved[:2], 1e-6) == 1)
  np.testing.assert_allclose(np.linalg.norm(moved[:2], axis=(1, 2)), 1, rtol=1e-6)
  np.testing.assert_allclose(moved[2:], 0, atol=1e-6)  # after two steps of rank 1 nothing is left


@pytest.mark.parametrize(("shape", "rank"), [((5, 3), 3), ((3, 5), 3), ((4, 1), 1), ((1, 4), 1), ((4,), 1), ((), 1)])
def test_with_the_whole_rank_the_momentum_decays_as_a_whole(shape, rank, float64):
  g = random(*shape)
  (u,), state = run(gx.scale_by_dion(), [g], g)
  np.testing.assert_allclose(state["momentum"], 0.95 * g, rtol=1e-10)
  values = np.linalg.svd(np.asarray(u).reshape(-1, *([1] * (u.ndim < 2)), *shape[-1:] * (u.ndim > 1)), compute_uv=False)
  assert np.linalg.norm(values) == pytest.approx(np.sqrt(rank), rel=1e-6)


def test_rows_as_outputs_are_the_transposed_of_columns(float64):
  g = random(5, 3)
  rows, _ = run(gx.scale_by_dion(2, outputs="rows"), [g, g + 1], g)
  columns, _ = run(gx.scale_by_dion(2, outputs="columns"), [g.T, g.T + 1], g.T)
  np.testing.assert_allclose(rows[1], columns[1].T, rtol=1e-12)


def test_a_stack_is_its_matrices_each_by_itself_but_for_their_first_bases(float64):
  stack = random(3, 5, 4)
  transform = gx.scale_by_dion()  # with the whole rank the momentum does not know of bases
  _, state = run(transform, [stack, -2 * stack + 1], stack)
  for index in range(3):
    _, alone = run(transform, [stack[index], -2 * stack[index] + 1], stack[index])
    np.testing.assert_allclose(state["momentum"][index], alone["momentum"], rtol=1e-10, atol=1e-12)
  assert not np.allclose(transform.init(stack)["scale_by_dion"]["basis"][0], state["basis"][1])


def test_matrices_that_are_alike_are_factorized_together():
  params = {"a": jnp.ones((6, 4)), "b": jnp.ones((3, 6, 4)), "c": jnp.ones((6, 4)), "d": jnp.ones((4, 6))}
  transform = gx.scale_by_dion()
  program = jax.jit(transform.update).lower(params, transform.init(params)).compile().as_text()
  assert program is not None
  assert program.count("lapack_sgeqrf_ffi") == 2


def test_the_rank_is_a_fraction_of_the_shorter_side_or_given():
  for options, wanted in [({}, 8), ({"rank_fraction": 0.3}, 2), ({"rank_fraction": 0.01}, 1), ({"rank": 5}, 5)]:
    basis = gx.scale_by_dion(**options).init(jnp.ones((20, 8)))["scale_by_dion"]["basis"]
    assert basis.shape == (20, wanted)
  other = gx.scale_by_dion(key=1).init(jnp.ones((20, 8)))["scale_by_dion"]["basis"]
  assert not np.allclose(other, gx.scale_by_dion().init(jnp.ones((20, 8)))["scale_by_dion"]["basis"])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64"])
def test_gradients_of_zero_change_nothing_and_those_of_rank_one_stay_finite(dtype):
  zeros = jnp.zeros((4, 3), dtype)
  before = gx.scale_by_dion(2).init(zeros)["scale_by_dion"]["basis"]
  (u,), state = run(gx.scale_by_dion(2), [zeros], zeros)
  np.testing.assert_array_equal(np.asarray(u, np.complex64), 0)
  directions = lambda basis: basis / jnp.linalg.norm(basis, axis=0)
  np.testing.assert_allclose(state["basis"], directions(before), rtol=1e-5)
  g = jnp.outer(jnp.arange(1.0, 5.0), jnp.asarray([1.0, -2.0, 0.5])).astype(dtype)
  (_, u), _ = run(gx.scale_by_dion(2), [zeros, g], zeros)
  u, unit = np.asarray(u, np.complex64), np.asarray(g, np.complex64)
  unit = unit / np.linalg.norm(unit)
  assert np.real(np.vdot(unit, u)) == pytest.approx(1, rel=0.02)
  assert np.linalg.norm(u) < 1.5  # at most one more direction, of what was rounded away
  (u,), _ = run(gx.scale_by_dion(1), [g], zeros)
  np.testing.assert_allclose(np.asarray(u, np.complex64), unit, atol=0.01)


@pytest.mark.parametrize(
  ("name", "value", "error", "wanted"),
  [
    ("rank", 0, ValueError, "at least 1"),
    ("rank", 2.0, TypeError, "a Python integer"),
    ("rank_fraction", 0.0, ValueError, "greater than 0"),
    ("rank_fraction", 1.5, ValueError, "at most 1"),
    ("decay", 1.0, ValueError, "in "),
    ("eps", 0.0, ValueError, "greater than 0"),
    ("outputs", "neurons", ValueError, "one of 'columns', 'rows'"),
    ("key", -1, ValueError, "at least 0"),
  ],
)
def test_arguments_that_cannot_be_are_refused(name, value, error, wanted):
  with pytest.raises(error, match=rf"`scale_by_dion\({name}=...\)` must be {wanted}"):
    gx.scale_by_dion(**{name: value})
