"""Objective: a function to minimize, with what is known about it; and the registry of all."""

import collections
import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import bound

P = ParamSpec("P")

_KEPT = 32  # objectives for each factory: the matrices and data of the last ones stay in memory


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Objective:
  """A function to minimize, and what is known about it.

  A point is an array ``[n]``, in one dimension too, where n is 1. The function works in the dtype
  of its point, under `jax.jit`, `jax.vmap` and `jax.grad`. What is known is kept in NumPy's
  float64. Two objectives are equal if they are the same object; the factories of this package
  return the same object for the same arguments, so what is compiled for it is compiled once.

  Attributes:
    name: a short name, a Python identifier.
    fn: ``point [n] -> scalar``, in JAX.
    start: the point ``[n]`` where a descent starts if it is told nothing else.
    formula: the formula, in Unicode.
    minima: the known points of the least value, ``[k, n]``; none (k = 0) where there is no least
      value, or where none is known.
    minimum: the least value in the window; −∞ where the function falls without bound and has no
      minimum, NaN if unknown.
    local_minima: other minima in the window, of higher value, ``[m, n]``; not always all of them.
    window: what to draw, ``((low, high), …)`` for each coordinate, and in one dimension
      ``(low, high)``; ``None`` if not chosen. It holds the start and the minima.
    hessian: the Hessian ``[n, n]`` where it is the same at every point, that is of a quadratic.
    source: where the function was published.

  Raises:
    ValueError: if shapes do not fit each other.

  >>> Objective("half", lambda point: (point**2).sum() / 2, start=[3.0, 4.0])([3.0, 4.0])
  Array(12.5, dtype=float32)
  """

  name: str
  fn: Callable[[jax.Array], jax.Array]
  start: Any
  formula: str = ""
  minima: Any = ()
  minimum: float = math.nan
  local_minima: Any = ()
  window: Any = None
  hessian: Any = None
  source: str = ""

  def __post_init__(self) -> None:
    start = _frozen(self.start)
    if start.ndim != 1 or not start.size:
      raise ValueError(f"`Objective(start=...)` must be a point of shape (n,), got shape {start.shape}.")
    n = start.size
    fields: dict[str, Any] = {"start": start, "minimum": float(self.minimum)}
    for name in ("minima", "local_minima"):
      points = _frozen(getattr(self, name))
      fields[name] = points = points.reshape(-1, n) if not points.size else points
      if points.ndim != 2 or points.shape[1] != n:
        raise ValueError(f"`Objective({name}=...)` must have the shape (k, {n}) of k points, got {points.shape}.")
    if self.hessian is not None:
      fields["hessian"] = hessian = _frozen(self.hessian)
      if hessian.shape != (n, n):
        raise ValueError(f"`Objective(hessian=...)` must have the shape ({n}, {n}), got {hessian.shape}.")
    if self.window is not None and np.shape(self.window) != ((n, 2) if n > 1 else (2,)):
      wanted = f"{n} pairs (low, high)" if n > 1 else "a pair (low, high)"
      raise ValueError(f"`Objective(window=...)` must be {wanted}, got {self.window!r}.")
    for name, value in fields.items():
      object.__setattr__(self, name, value)

  def __call__(self, point: Any) -> jax.Array:
    """Computes the value at a point ``[n]``."""
    return self.fn(jnp.asarray(point))

  def __repr__(self) -> str:
    return f"<objective {self.name}, n={self.n}: {self.formula}>"

  @property
  def n(self) -> int:
    """The number of coordinates."""
    return self.start.size

  @property
  def box(self) -> np.ndarray | None:
    """The window as an array ``[n, 2]``, in one dimension too."""
    return None if self.window is None else np.reshape(np.asarray(self.window, np.float64), (-1, 2))

  @functools.cached_property
  def curvature(self) -> tuple[float, float]:
    """The least and the greatest eigenvalue (m, L) of the constant Hessian of a quadratic.

    Raises:
      ValueError: if the objective is not known to be a quadratic.
    """
    if self.hessian is None:
      raise ValueError(f"`curvature` must be that of a quadratic, `{self.name}` has no constant `hessian`.")
    eigenvalues = np.linalg.eigvalsh(self.hessian)
    return float(eigenvalues[0]), float(eigenvalues[-1])

  @property
  def condition_number(self) -> float:
    """The condition number κ = L / m of a quadratic that is convex.

    Raises:
      ValueError: as `curvature`, and if m is not greater than 0.
    """
    least, greatest = self.curvature
    if least <= 0:
      raise ValueError(
        f"`condition_number` must be that of a convex quadratic, `{self.name}` has the curvature {least}."
      )
    return greatest / least


OBJECTIVES: dict[str, Callable[..., Objective]] = {}
"""The factories of all objectives of this package, by name."""


def registered(build: Callable[P, Objective]) -> Callable[P, Objective]:
  """Enters a factory in `OBJECTIVES`; the same arguments give the same objective.

  Arguments that cannot be hashed, such as data, make a new objective with every call.
  """
  signature = inspect.signature(build)
  kept: collections.OrderedDict[Any, Objective] = collections.OrderedDict()

  @functools.wraps(build)
  def factory(*args: P.args, **kwargs: P.kwargs) -> Objective:
    arguments = bound(build.__name__, signature, args, kwargs).arguments
    try:
      key = tuple((type(value), hash(value), value) for value in arguments.values())
    except TypeError:
      return build(*args, **kwargs)
    if key not in kept:
      kept[key] = build(*args, **kwargs)
      if len(kept) > _KEPT:
        kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]

  OBJECTIVES[build.__name__] = factory
  return factory


def objective(name: str, **options: Any) -> Objective:
  """Makes an objective of this package by its name.

  Args:
    name: a key of `OBJECTIVES`.
    **options: the arguments of its factory, such as ``n``.

  Raises:
    ValueError: if no objective has this name, or an option is out of its range.
    TypeError: if the factory has no such option.

  >>> objective("rosenbrock", n=3)
  <objective rosenbrock, n=3: Σ 100·(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²>
  """
  if name not in OBJECTIVES:
    known = ", ".join(OBJECTIVES)
    raise ValueError(f"`objective(name=...)` must be a known objective, got {name!r}. They are: {known}.")
  return OBJECTIVES[name](**options)


def _frozen(values: Any) -> np.ndarray:
  """A copy in float64 that cannot be written to."""
  array = np.array(values, np.float64)
  array.flags.writeable = False
  return array
