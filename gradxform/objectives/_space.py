"""Objectives of as many variables as one likes."""

import itertools
import math

import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_integer, check_number, rejected
from gradxform.objectives._objective import Objective, registered


def _alternating(first: float, second: float, n: int) -> np.ndarray:
  """A point with two coordinates by turns."""
  return np.resize([first, second], n)


@registered
def rosenbrock(n: int = 2) -> Objective:
  """Makes Rosenbrock's function: a curved valley, easy to find and hard to follow.

  Args:
    n: the number of variables, at least 2.
  """
  check_integer("rosenbrock", minimum=2, n=n)
  return Objective(
    name="rosenbrock",
    fn=lambda point: jnp.sum(100.0 * (point[1:] - point[:-1] ** 2) ** 2 + (1.0 - point[:-1]) ** 2),
    formula="100·(y − x²)² + (1 − x)²" if n == 2 else "Σ 100·(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²",
    start=_alternating(-1.2, 1.0, n),
    minima=np.ones((1, n)),
    minimum=0.0,
    window=((-2.0, 2.0), *[(-1.5, 3.0)] * (n - 1)),
    source="Rosenbrock 1960; in n variables Moré, Garbow & Hillstrom 1981, problem 21, has other sums: "
    "this is the chain of `scipy.optimize.rosen`, which has a second minimum near (−1, 1, …, 1) for n from 4 to 7",
  )


@registered
def styblinski_tang(n: int = 2) -> Objective:
  """Makes the function of Styblinski and Tang: two minima in every coordinate, one of them lower.

  Args:
    n: the number of variables, at least 1. All 2ⁿ − 1 local minima are listed for n up to 4.
  """
  check_integer("styblinski_tang", minimum=1, n=n)
  low, high = -2.903534027771177, 2.746802770990837
  corners = list(itertools.product([low, high], repeat=n)) if n <= 4 else [(low,) * n]
  side = (-5.0, 5.0)
  return Objective(
    name="styblinski_tang",
    fn=lambda point: jnp.sum(point**4 - 16.0 * point**2 + 5.0 * point) / 2.0,
    formula="½ Σ xᵢ⁴ − 16xᵢ² + 5xᵢ",
    start=_alternating(-1.0, 4.0, n),
    minima=corners[:1],
    minimum=n * (low**4 - 16.0 * low**2 + 5.0 * low) / 2.0,
    local_minima=corners[1:],
    window=side if n == 1 else (side,) * n,
    source="Styblinski & Tang 1990, Neural Networks 3, 467–483",
  )


@registered
def rastrigin(n: int = 2) -> Objective:
  """Makes Rastrigin's function: a bowl with a minimum near every point of integers.

  Args:
    n: the number of variables, at least 1. The local minima are not listed.
  """
  check_integer("rastrigin", minimum=1, n=n)
  side = (-5.12, 5.12)
  return Objective(
    name="rastrigin",
    # 10 − 10·cos(2πx) = 20·sin²(πx), which loses no digits near the minimum
    fn=lambda point: jnp.sum(point**2 + 20.0 * jnp.sin(math.pi * point) ** 2),
    formula="Σ xᵢ² + 10 − 10·cos(2πxᵢ)",
    start=_alternating(-3.4, 2.3, n),
    minima=np.zeros((1, n)),
    minimum=0.0,
    window=side if n == 1 else (side,) * n,
    source="Rastrigin 1974, Systems of Extreme Control; in n variables Mühlenbein, Schomisch & Born 1991",
  )


@registered
def ackley(n: int = 2) -> Objective:
  """Makes Ackley's function: a funnel with a sharp tip among many shallow minima.

  At the tip it has no gradient; what is returned there is 0.

  Args:
    n: the number of variables, at least 1. The local minima are not listed.
  """
  check_integer("ackley", minimum=1, n=n)

  def fn(point):
    square = jnp.mean(point**2)
    away = square > 0.0  # the root has no derivative at 0
    distance = jnp.where(away, jnp.sqrt(jnp.where(away, square, 1.0)), 0.0)
    # cos(2πx) − 1 = −2·sin²(πx), and expm1 for exp − 1: no digits are lost near the tip
    waves = -2.0 * jnp.mean(jnp.sin(math.pi * point) ** 2)
    return -20.0 * jnp.expm1(-0.2 * distance) - math.e * jnp.expm1(waves)

  side = (-5.0, 5.0)
  return Objective(
    name="ackley",
    fn=fn,
    formula="20 + e − 20·exp(−0.2·√(Σ xᵢ²/n)) − exp(Σ cos(2πxᵢ)/n)",
    start=_alternating(-3.6, 2.7, n),
    minima=np.zeros((1, n)),
    minimum=0.0,
    window=side if n == 1 else (side,) * n,
    source="Ackley 1987, A Connectionist Machine for Genetic Hillclimbing; in n variables Bäck 1996",
  )


@registered
def quadratic(n: int = 2, condition_number: float = 100.0, *, rotation: int | None = None) -> Objective:
  """Makes a quadratic with a chosen condition number, its eigenvalues evenly spaced by their logarithm.

      f(x) = ½ xᵀ H x,   H = Q diag(λ) Qᵀ,   λᵢ = κ^((i − 1)/(n − 1)) from 1 to κ

  The start has the coordinate 1 along every eigenvector. `Objective.curvature` is (1, κ).

  Args:
    n: the number of variables, at least 2.
    condition_number: κ, at least 1.
    rotation: the seed of a random rotation Q; if not given, the eigenvectors are the axes.

  Raises:
    ValueError: for an argument out of its range.
  """
  check_integer("quadratic", minimum=2, n=n)
  check_number("quadratic", condition_number=condition_number)
  if condition_number < 1:
    wanted = f"at least 1, got {condition_number!r}."
    raise rejected(ValueError, "quadratic", "condition_number", condition_number, wanted)
  eigenvalues = np.geomspace(1.0, condition_number, n)
  axes = np.eye(n)
  if rotation is not None:
    check_integer("quadratic", minimum=0, rotation=rotation)
    axes, triangle = np.linalg.qr(np.random.default_rng(rotation).normal(size=(n, n)))
    axes = axes * np.sign(np.diag(triangle))  # so Q is uniform over all rotations and reflections

  def fn(point):
    along = point if rotation is None else jnp.asarray(axes.T, point.dtype) @ point
    return jnp.sum(jnp.asarray(eigenvalues, point.dtype) * along**2) / 2.0

  start = axes @ np.ones(n)
  side = 1.25 * float(np.abs(start).max())
  return Objective(
    name="quadratic",
    fn=fn,
    formula=f"½ xᵀHx, κ = {condition_number:g}",
    start=start,
    minima=np.zeros((1, n)),
    minimum=0.0,
    window=((-side, side),) * n,
    hessian=(axes * eigenvalues) @ axes.T,
    source="Nocedal & Wright 2006, Numerical Optimization, section 5.1",
  )
