"""What theory says of rates of convergence on quadratics."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradxform._checks import check_integer
from gradxform.core import Transform
from gradxform.objectives import Objective
from gradxform.trajectories._programs import Function

_MOST_VARIABLES = 200
_STEPS = 5  # in which a step must prove to be linear
_LATER = 10_007  # updates made, at which it must be the same; a prime, which no short period divides
_SEEN = 1e-9  # of a mode of unit norm: less of it in the point is rounding


@dataclasses.dataclass(frozen=True)
class BestRates:
  """The best that theory allows on a convex quadratic with curvatures from m to L, κ = L / m.

  Attributes:
    learning_rate: of gradient descent, 2 / (L + m).
    rate: its error ratio, (κ − 1) / (κ + 1).
    momentum_learning_rate: of the heavy ball, 4 / (√L + √m)².
    momentum: ((√κ − 1) / (√κ + 1))².
    momentum_rate: its error ratio in the long run, (√κ − 1) / (√κ + 1).
    conjugate_gradient_steps: the number n of variables, which conjugate gradients need at most.
  """

  learning_rate: float
  rate: float
  momentum_learning_rate: float
  momentum: float
  momentum_rate: float
  conjugate_gradient_steps: int

  def conjugate_gradient_bound(self, step: int) -> float:
    """Bounds the error of conjugate gradients after k steps, in the energy norm √(eᵀ H e), by that at the start.

        min(1, 2 ((√κ − 1) / (√κ + 1))ᵏ),   and 0 from k = n on

    Args:
      step: k, at least 0.

    Raises:
      ValueError: if it is negative.

    Source: Nocedal & Wright 2006, theorem 5.1 and equation 5.36. Exact arithmetic; rounding delays the end.
    """
    check_integer("conjugate_gradient_bound", minimum=0, step=step)
    return 0.0 if step >= self.conjugate_gradient_steps else min(1.0, 2 * self.momentum_rate**step)


def best_rates(objective: Objective) -> BestRates:
  """Computes the best settings and rates for a convex quadratic.

  Args:
    objective: a quadratic, with a constant ``hessian``.

  Raises:
    ValueError: if it is not known to be a convex quadratic.

  Source: Polyak 1964; Nocedal & Wright 2006, sections 3.3 and 5.1.

  >>> from gradxform import objectives
  >>> round(best_rates(objectives.bowl()).rate, 6)
  0.904762
  """
  kappa, (least, greatest) = objective.condition_number, objective.curvature
  root = np.sqrt(kappa)
  slow = float((root - 1) / (root + 1))
  momentum_learning_rate = float(4 / (np.sqrt(greatest) + np.sqrt(least)) ** 2)
  return BestRates(
    2 / (greatest + least), (kappa - 1) / (kappa + 1), momentum_learning_rate, slow**2, slow, objective.n
  )


def linear_rate(optimizer: Transform, objective: Objective) -> float:
  """Computes the rate in theory of an optimizer on a quadratic, where its step is linear.

      ρ = max |λ(J)|,   J the Jacobian of (point, state) ↦ one step

  So for gradient descent ρ = max |1 − a λ(H)|; momentum, with its state, has the roots of its
  second-order recurrence. What only the state does, and the point never sees, does not count. That
  the step is linear and stays the same is tested, not assumed: powers of J must tell the first
  steps and some much later ones.

  Args:
    optimizer: a transform of this package.
    objective: what it descends on.

  Returns:
    The spectral radius; NaN where the objective is no quadratic or has more than 200 variables,
    where the step is not linear, as that of Adam or of a line search, changes with the number of
    updates, as under a schedule, or asks for an extra argument that `record` does not give by itself.

  Source: Polyak 1964; Nocedal & Wright 2006, section 3.3.

  >>> import gradxform as gx
  >>> from gradxform import objectives
  >>> round(linear_rate(gx.sgd(0.4), objectives.bowl()), 6)
  0.92
  """
  if objective.hessian is None or objective.n > _MOST_VARIABLES or optimizer.part.reads - {"value_fn", "param"}:
    return np.nan
  with jax.enable_x64(True), np.errstate(over="ignore", invalid="ignore"):
    minimum = jnp.asarray(objective.minima[0] if len(objective.minima) else np.zeros(objective.n), jnp.float64)
    try:
      jacobian = _linear_step(optimizer, minimum, objective.fn)
    except (TypeError, ValueError):  # however a transform may word that it needs another argument
      return np.nan
  if jacobian is None:
    return np.nan
  eigenvalues, modes = np.linalg.eig(jacobian)
  seen = np.linalg.norm(modes[: objective.n], axis=0) > _SEEN
  return float(np.abs(eigenvalues[seen]).max(initial=0.0))


def _linear_step(optimizer: Transform, minimum: jax.Array, fn: Function) -> np.ndarray | None:
  """The matrix of a step; `None` if it has none."""
  size = _size(optimizer, minimum)
  zero, once = np.zeros(size), np.random.default_rng(0).normal(size=size)
  walks = {}
  for later in (0, _LATER):
    rest, walks[later], twice = (
      np.asarray(_walk(optimizer, minimum, moved, later, fn=fn, steps=_STEPS)) for moved in (zero, once, 2 * once)
    )
    walks[later] = walks[later] - rest
    if not _agree(twice - rest, 2 * walks[later], once):  # before the Jacobian, which takes longer to compile
      return None
  jacobian = np.asarray(_jacobian(optimizer, minimum, zero, 0, fn=fn, steps=1))[0]
  told = [once]
  for _ in range(_STEPS):
    told.append(jacobian @ told[-1])
  return jacobian if all(_agree(walk, np.stack(told[1:]), once) for walk in walks.values()) else None


def _agree(walk: np.ndarray, told: np.ndarray, moved: np.ndarray) -> bool:
  """Whether two walks are the same at each step, but for rounding."""
  scale = np.maximum(np.linalg.norm(told, axis=1), 1e-3 * np.linalg.norm(moved))
  return bool((np.linalg.norm(walk - told, axis=1) <= 1e-9 * scale).all())


def _numbers(optimizer: Transform, minimum: jax.Array) -> tuple[list[jax.Array], list[bool], Any]:
  """The leaves of the point and the first state, and which of them are no counts or keys."""
  leaves, structure = jax.tree.flatten((minimum, optimizer.init(minimum)))
  return leaves, [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves], structure


def _size(optimizer: Transform, minimum: jax.Array) -> int:
  leaves, floating, _ = _numbers(optimizer, minimum)
  return sum(leaf.size for leaf, is_floating in zip(leaves, floating, strict=True) if is_floating)


@functools.partial(jax.jit, static_argnames=("fn", "steps"))
def _walk(
  optimizer: Transform, minimum: jax.Array, moved: jax.Array, later: jax.Array, *, fn: Function, steps: int
) -> jax.Array:
  """The numbers of point and state after each step, started beside the minimum and with later counts."""
  leaves, floating, structure = _numbers(optimizer, minimum)

  def vector(leaves: list[jax.Array]) -> jax.Array:
    return ravel_pytree([leaf for leaf, is_floating in zip(leaves, floating, strict=True) if is_floating])[0]

  def step(leaves: list[jax.Array], _: None) -> tuple[list[jax.Array], jax.Array]:
    point, state = jax.tree.unflatten(structure, leaves)
    value, grad = jax.value_and_grad(fn)(point)
    leaves = jax.tree.leaves(optimizer.step(grad, state, point, value=value, grad=grad, value_fn=fn))
    return leaves, vector(leaves)

  origin, unravel = ravel_pytree([leaf for leaf, is_floating in zip(leaves, floating, strict=True) if is_floating])
  started = iter(unravel(origin + moved))
  for index, is_floating in enumerate(floating):
    if is_floating:
      leaves[index] = next(started)
    elif jnp.issubdtype(leaves[index].dtype, jnp.signedinteger):
      leaves[index] = leaves[index] + jnp.asarray(later, leaves[index].dtype)
  return jax.lax.scan(step, leaves, length=steps)[1]


_jacobian = jax.jit(jax.jacfwd(_walk, argnums=2), static_argnames=("fn", "steps"))
