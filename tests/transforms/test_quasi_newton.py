"""Quasi-Newton directions: against Optax, and against SciPy's count of evaluations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

import gradxform as gx


def rosenbrock(x):
  return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def beale(x):
  a, b = x
  return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def styblinski_tang(x):
  return jnp.sum(x**4 - 16 * x**2 + 5 * x) / 2


PROBLEMS = [
  (rosenbrock, np.array([-1.2, 1.0])),
  (rosenbrock, np.tile([-1.2, 1.0], 50)),
  (beale, np.array([1.0, 1.0])),
  (styblinski_tang, np.array([0.5, -0.3])),
]


@pytest.mark.parametrize(("fn", "start"), PROBLEMS, ids=["rosenbrock", "rosenbrock of 100", "beale", "styblinski_tang"])
@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B"])
def test_it_needs_no_more_evaluations_than_scipy_by_a_fifth(method, fn, start, float64):
  value_and_grad = jax.jit(jax.value_and_grad(fn))
  options = {"gtol": 1e-8, "norm": 2} if method == "BFGS" else {"gtol": 1e-9, "ftol": 0, "maxfun": 10_000}
  options["maxiter"] = 5_000
  theirs = minimize(
    lambda x: [np.asarray(y) for y in value_and_grad(x)], start, jac=True, method=method, options=options
  )
  ours = gx.minimize(gx.bfgs() if method == "BFGS" else gx.lbfgs(), fn, start, tolerance=1e-8, max_steps=2000)
  assert ours.converged
  assert ours.evaluations <= 1.2 * theirs.nfev


def test_lbfgs_has_the_numbers_of_optax_where_the_curvature_is_positive(float64):
  curvature = jnp.logspace(0, 2, 12).reshape(3, 4)
  fn = lambda p: 0.5 * jnp.sum(curvature * p["w"] ** 2) + jnp.sum(p["b"] ** 4 + p["b"] ** 2)
  params = {"w": jnp.ones((3, 4)), "b": jnp.asarray([1.0, -2.0])}
  ours, theirs = gx.scale_by_lbfgs(3), optax.scale_by_lbfgs(3)
  state, reference = ours.init(params), theirs.init(params)
  for _ in range(25):
    grads = jax.grad(fn)(params)
    updates, state = ours.update(grads, state, params)
    wanted, reference = theirs.update(grads, reference, params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), updates, wanted)
    params = jax.tree.map(lambda p, u: p - 0.3 * u, params, updates)


@pytest.mark.parametrize("make", [gx.scale_by_bfgs, gx.scale_by_lbfgs])
def test_pairs_of_negative_curvature_are_passed_over(make):
  transform, params = make(), jnp.asarray([1.0, 2.0])
  state = transform.init(params)
  _, state = transform.update(params, state, params)
  updates, _ = transform.update(params - 1.0, state, params + 1.0)  # the gradient falls as p grows
  assert jnp.vdot(updates, params - 1.0) > 0
