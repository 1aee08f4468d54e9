"""Conjugate directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import cg

import gradxform as gx
from gradxform import objectives


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


@pytest.mark.parametrize("rotation", [None, 0])
@pytest.mark.parametrize("formula", ["fletcher_reeves", "polak_ribiere", "hestenes_stiefel"])
def test_an_ill_conditioned_quadratic_takes_at_most_a_tenth_more_steps_than_scipys_cg(formula, rotation, float64):
  # Rounding costs both their finite end. SciPy's cg solves H z = −H x₀ for the way z from the start to the minimum.
  known = objectives.quadratic(50, 1e4, rotation=rotation)
  iterations = []
  _, info = cg(known.hessian, -known.hessian @ known.start, rtol=0, atol=1e-8, callback=iterations.append)
  assert info == 0
  optimizer = gx.nonlinear_cg(formula=formula, linesearch=gx.exact_line_search())
  result = gx.minimize(optimizer, known.fn, known.start, tolerance=1e-8)
  assert result.converged
  assert result.steps <= 1.1 * len(iterations)
