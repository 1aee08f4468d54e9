"""Where an optimizer ends: from a grid of starts, and with a grid of hyperparameters."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_integer, rejected
from gradxform.core import Transform
from gradxform.objectives import Objective
from gradxform.trajectories._programs import as_start, as_transform, distances, ends_by_setting, ends_by_start, made


@dataclasses.dataclass(frozen=True, eq=False)
class Basin:
  """Where an optimizer ends, from a grid of starts.

  Arrays have the shape ``[resolution]`` in one dimension, ``[resolution, resolution]`` in two,
  with y first, as matplotlib's ``pcolormesh(x, y, values)`` and ``contour`` want it.

  Attributes:
    optimizer: the transform.
    objective: what it descends on.
    steps: the number of steps from each start.
    axes: the coordinates of the starts, x and (in two dimensions) y.
    values: the value after the last step; infinite or NaN where it diverged.
    points: the point after the last step, ``[…, n]``.
    nearest: the index of the minimum nearest to that point, among the objective's ``minima`` and
      after them its ``local_minima``; −1 where it diverged, or where none is known.
  """

  optimizer: Transform
  objective: Objective
  steps: int
  axes: tuple[np.ndarray, ...]
  values: np.ndarray
  points: np.ndarray
  nearest: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Sensitivity:
  """Where an optimizer ends, for a grid of hyperparameters.

  Attributes:
    optimizer: the transform, or the function that makes it.
    objective: what it descends on.
    steps: the number of steps for each setting.
    axes: the values of each hyperparameter, by the name or glob that it was given by.
    values: the value after the last step, one dimension for each axis in their order; infinite
      or NaN where it diverged.
    points: the point after the last step, ``[…, n]``.
  """

  optimizer: Transform | Callable[..., Transform]
  objective: Objective
  steps: int
  axes: dict[str, np.ndarray]
  values: np.ndarray
  points: np.ndarray

  @property
  def best(self) -> dict[str, float] | None:
    """The setting with the least final value; ``None`` if all diverged."""
    if not np.isfinite(self.values).any():
      return None
    index = np.unravel_index(np.argmin(np.where(np.isfinite(self.values), self.values, np.inf)), self.values.shape)
    return {name: float(axis[i]) for (name, axis), i in zip(self.axes.items(), index, strict=True)}


def basin(
  optimizer: Any, objective: Objective, steps: int, *, resolution: int = 64, window: Any = None, seed: int = 0
) -> Basin:
  """Runs an optimizer from a grid of starts, all of them in one compiled call.

  Args:
    optimizer: a transform, ours or Optax's.
    objective: what to descend on, of one or two variables.
    steps: the number of steps from each start, at least 1.
    resolution: the number of starts along each axis, at least 2.
    window: where the starts lie, as in `Objective`; if not given, the objective's window.
    seed: of the random ``key`` of each step, the same from each start.

  Raises:
    ValueError: for an objective of more variables or without a window, or an argument out of its
      range.
    TypeError: if the optimizer is no transform.
  """
  transform = as_transform("basin", optimizer)
  check_integer("basin", minimum=1, steps=steps)
  check_integer("basin", minimum=2, resolution=resolution)
  if objective.n > 2:
    wanted = f"of one or two variables, got {objective.name!r} of {objective.n}. Make it with a smaller `n`."
    raise rejected(ValueError, "basin", "objective", objective, wanted)
  box = np.asarray(objective.box if window is None else window, np.float64)
  if box.size != 2 * objective.n:
    wanted = f"a pair (low, high) for each of {objective.n} variables, got {window!r}."
    raise rejected(ValueError, "basin", "window", window, wanted)
  axes = tuple(np.linspace(low, high, resolution) for low, high in box.reshape(-1, 2))
  grid = np.stack(np.meshgrid(*axes), axis=-1)
  starts = jnp.asarray(grid.reshape(-1, objective.n))
  ends = ends_by_start(transform, starts, jax.random.key(seed), fn=objective.fn, steps=steps)
  points, values = (np.asarray(end).reshape(grid.shape[:-1] + end.shape[1:]) for end in ends)
  return Basin(transform, objective, steps, axes, values, points, _nearest(points, values, objective))


def sensitivity(
  optimizer: Any,
  objective: Objective,
  steps: int,
  *,
  grid: Mapping[str, Any],
  start: Any = None,
  seed: int = 0,
) -> Sensitivity:
  """Runs an optimizer with a grid of hyperparameters, all of them in one compiled call.

  Args:
    optimizer: a transform, whose hyperparameters are replaced; or a function that makes one from
      the keyword arguments in ``grid``. Keep such a function: another one is compiled again.
    objective: what to descend on.
    steps: the number of steps for each setting, at least 1.
    grid: the values of each hyperparameter, one-dimensional, by its path or a glob of paths as in
      `gx.replace`; or by the name of the function's argument.
    start: the first point; if not given, the objective's.
    seed: of the random ``key`` of each step, the same for each setting.

  Raises:
    ValueError: for an argument out of its range or shape, or a glob that matches nothing.
    TypeError: if the optimizer is neither a transform nor a function that makes one.

  >>> import gradxform as gx
  >>> from gradxform import objectives
  >>> grid = {"learning_rate": np.linspace(0.1, 0.9, 9)}
  >>> sensitivity(gx.sgd(0.1), objectives.parabola(), steps=5, grid=grid).best
  {'learning_rate': 0.5}
  """
  check_integer("sensitivity", minimum=1, steps=steps)
  if not grid:
    raise rejected(ValueError, "sensitivity", "grid", grid, "at least one hyperparameter with its values, got none.")
  axes = {name: np.asarray(values) for name, values in grid.items()}
  for name, axis in axes.items():
    if axis.ndim != 1 or not axis.size or not np.issubdtype(axis.dtype, np.number):
      wanted = f"one-dimensional arrays of numbers, got {axis!r} for {name!r}."
      raise rejected(ValueError, "sensitivity", "grid", grid, wanted)
  make: Any = optimizer if callable(optimizer) and not hasattr(optimizer, "update") else None
  transform = None if make else as_transform("sensitivity", optimizer)
  for pick in (np.min, np.max):  # what is out of range, or matches nothing, raises here
    made(transform, {name: float(pick(axis)) for name, axis in axes.items()}, make)
  point, key = as_start("sensitivity", objective, start), jax.random.key(seed)
  settings = [jnp.asarray(m.ravel(), point.dtype) for m in np.meshgrid(*axes.values(), indexing="ij")]
  ends = ends_by_setting(transform, settings, point, key, names=tuple(axes), fn=objective.fn, steps=steps, make=make)
  shape = tuple(axis.size for axis in axes.values())
  points, values = (np.asarray(end).reshape(shape + end.shape[1:]) for end in ends)
  return Sensitivity(transform or make, objective, steps, axes, values, points)


def _nearest(points: np.ndarray, values: np.ndarray, objective: Objective) -> np.ndarray:
  """The index of the nearest minimum; −1 where the run diverged, or there is none."""
  minima = np.concatenate([objective.minima, objective.local_minima])
  if not len(minima):
    return np.full(values.shape, -1)
  finite = np.isfinite(values) & np.isfinite(points).all(axis=-1)
  return np.where(finite, np.argmin(distances(points, minima), axis=-1), -1)
