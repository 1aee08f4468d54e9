"""Conjugate directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def solve(formula, eigenvalues, steps):
  q = np.linalg.qr(np.random.default_rng(0).normal(size=(len(eigenvalues), len(eigenvalues))))[0]
  matrix = jnp.asarray(q @ np.diag(eigenvalues) @ q.T)
  fn = lambda x: 0.5 * x @ matrix @ x
  optimizer = gx.chain(gx.conjugate_directions(formula), gx.scale(-1.0), gx.exact_line_search())
  x = jnp.ones(len(eigenvalues))
  step = jax.jit(lambda x, state: optimizer.step(jax.grad(fn)(x), state, x, value_fn=fn))
  state = optimizer.init(x)
  for _ in range(steps):
    x, state = step(x, state)
  return float(jnp.linalg.norm(jax.grad(fn)(x)))


@pytest.mark.parametrize("formula", ["fletcher_reeves", "polak_ribiere", "hestenes_stiefel"])
def test_a_quadratic_of_n_dimensions_is_solved_in_n_steps(formula, float64):
  assert solve(formula, np.linspace(1, 100, 20), 20) < 1e-8
  assert solve(formula, np.array([1.0, 20.0]), 2) < 1e-12


def test_it_restarts_where_the_direction_would_not_descend():
  transform = gx.conjugate_directions("fletcher_reeves")
  state = transform.init(jnp.zeros(2))
  _, state = transform.update(jnp.asarray([1.0, 0.0]), state)
  grown = jnp.asarray([-10.0, 0.0])  # 100 · (1, 0) on top of it would point uphill
  direction, _ = transform.update(grown, state)
  np.testing.assert_allclose(direction, grown)


def test_an_unknown_formula_is_refused_with_the_known():
  with pytest.raises(ValueError, match=r"`conjugate_directions\(formula=...\)` must be one of 'fletcher_reeves', "):
    gx.conjugate_directions("dai_yuan")
