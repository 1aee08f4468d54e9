"""KL-Shampoo's core, and what its eigenvalues converge to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def test_the_first_call_only_sets_the_bases_up(float64):
  g = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5)))
  core = gx.scale_by_kl_shampoo()
  u, state = core.update(g, core.init(g))
  kept = state["scale_by_kl_shampoo"]
  assert not np.any(u)
  assert not np.any(kept["momentum"])
  np.testing.assert_allclose(kept["left"], 0.02 * g @ g.T / 5, atol=1e-15)
  inside = kept["left_basis"].T @ g @ g.T @ kept["left_basis"]
  np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-12)
  np.testing.assert_array_equal(kept["left_values"], 0.1)


def test_it_whitens_what_is_a_product_of_covariances(float64):
  """Of gradients A z Bᵀ, z white, the covariances found are A Aᵀ ⊗ B Bᵀ, and the updates are white."""
  rng = np.random.default_rng(0)
  a, b = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [3.0, 1.0, 0.5], np.diag([2.0, 1.0, 0.7, 0.4])
  grads = jnp.asarray(np.einsum("ij,tjk,lk->til", a, rng.normal(size=(3000, 3, 4)), b))
  core = gx.scale_by_kl_shampoo(b1=0.0, b2=0.995)

  def body(state, g):
    u, state = core.update(g, state)
    return state, u

  state, updates = jax.jit(lambda: jax.lax.scan(body, core.init(grads[0]), grads))()
  kept = state["scale_by_kl_shampoo"]
  found = np.kron(kept["left"], kept["right"])
  wanted = np.kron(a @ a.T, b @ b.T)
  assert np.linalg.norm(found - wanted) < 0.15 * np.linalg.norm(wanted)
  white = np.asarray(updates[1500:]).reshape(1500, 12)
  np.testing.assert_allclose(white.T @ white / 1500, np.eye(12), atol=0.2)


def test_stacked_layers_are_as_many_matrices(float64):
  rng = np.random.default_rng(0)
  core = gx.scale_by_kl_shampoo(precondition_frequency=2)
  stack = jnp.asarray(rng.normal(size=(2, 4, 4)))
  state, own = core.init(stack), [core.init(u) for u in stack]
  update = jax.jit(core.update)
  for _ in range(4):
    g = jnp.asarray(rng.normal(size=stack.shape))
    together, state = update(g, state)
    for i, u in enumerate(g):
      alone, own[i] = update(u, own[i])
      np.testing.assert_allclose(together[i], alone, atol=1e-11)


def test_roots_are_bounded_however_small_the_gradients():
  g = jnp.full((3, 12), 1e-6)
  core = gx.scale_by_kl_shampoo(b1=0.0, b2=0.0)
  _, state = core.update(g, core.init(g))
  _, state = core.update(g, state)
  kept = state["scale_by_kl_shampoo"]
  assert 1 / np.sqrt(kept["left_values"].min()) == pytest.approx(10, rel=1e-5)
  assert 1 / np.sqrt(kept["right_values"].min()) == pytest.approx(12, rel=1e-5)


DEGENERATE = {
  "zeros": lambda rng: np.zeros((4, 3)),
  "of rank 1": lambda rng: np.outer(np.arange(1.0, 5.0), np.arange(1.0, 4.0)) * rng.normal(),
  "tiny": lambda rng: 1e-18 * rng.normal(size=(4, 3)),
  "huge": lambda rng: 1e12 * rng.normal(size=(4, 3)),
  "a row": lambda rng: rng.normal(size=(1, 5)),
  "a column": lambda rng: rng.normal(size=(5, 1)),
  "a number": lambda rng: rng.normal(),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_updates_are_finite_whatever_the_gradients(name, dtype):
  transform, rng = gx.scale_by_kl_shampoo(precondition_frequency=2), np.random.default_rng(0)
  state, update = transform.init(jnp.asarray(DEGENERATE[name](rng), dtype)), jax.jit(transform.update)
  for _ in range(5):
    u, state = update(jnp.asarray(DEGENERATE[name](rng), dtype), state)
    assert u.dtype == dtype
    assert np.all(np.isfinite(np.asarray(u).astype("complex64")))
    assert name != "zeros" or not np.any(u)


@pytest.mark.parametrize(
  ("name", "value"), [("b1", 1.0), ("b2", -0.1), ("eps", -1.0), ("precondition_frequency", 0), ("initial", 0.0)]
)
def test_arguments_that_cannot_be_are_refused(name, value):
  with pytest.raises(ValueError, match=rf"`scale_by_kl_shampoo\({name}=...\)` must be "):
    gx.scale_by_kl_shampoo(**{name: value})
