"""The values of an objective in a window, and the levels that make them readable."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize, PowerNorm

from gradxform.objectives import Objective

PALE = LinearSegmentedColormap.from_list("pale", ["#FFFFFF", "#E9EEF3", "#C9D5E0", "#A3B5C6"])
"""From white, at the minimum, to a grey blue on which every line is legible."""

_RESOLUTION = 400
_LEAST_POWER, _GREATEST_POWER = 0.12, 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
  """The values of an objective of two variables on a grid, and a scale for them.

  The levels are equally spaced in (f − base)ᵖ. The power p is the one for which half of the window
  lies below half of the scale: about ½ for a bowl, less for a ravine with steep walls.

  Attributes:
    x: the first coordinate, ``[resolution]``.
    y: the second.
    gaps: f − base, ``[resolution, resolution]``, y first; NaN where f is not finite.
    base: the least value, as far as known.
    top: the greatest gap; 0 where the objective is constant or nowhere finite.
    power: p.
  """

  x: np.ndarray
  y: np.ndarray
  gaps: np.ndarray
  base: float
  top: float
  power: float

  def levels(self, count: int) -> np.ndarray:
    """Gaps at which level sets are drawn, from 0 to the greatest, increasing."""
    levels = self.top * np.linspace(0.0, 1.0, count) ** (1.0 / self.power)
    return np.concatenate([levels[:-1], [self.top * (1.0 + 1e-6)]])

  @property
  def norm(self) -> Normalize:
    """The scale of colours."""
    return PowerNorm(self.power, vmin=0.0, vmax=self.top)


def field(objective: Objective, box: np.ndarray, resolution: int = _RESOLUTION) -> Field:
  """Computes the values of an objective of two variables in a window."""
  x, y = (np.linspace(low, high, resolution) for low, high in box)
  values = heights(objective, np.stack(np.meshgrid(x, y), axis=-1))
  values[~np.isfinite(values)] = np.nan
  known = values[np.isfinite(values)]
  if not known.size:
    return Field(x, y, values, 0.0, 0.0, 1.0)
  base = known.min()
  if within(objective.minima, box).any() and np.isfinite(objective.minimum):
    base = min(base, objective.minimum)
  top = float(known.max() - base)
  share = float(np.median(known) - base) / top if top > 0 else 0.5
  power = np.log(0.5) / np.log(np.clip(share, 1e-12, 1 - 1e-12))
  return Field(x, y, values - base, float(base), top, float(np.clip(power, _LEAST_POWER, _GREATEST_POWER)))


def heights(objective: Objective, points: Any) -> np.ndarray:
  """The values ``[…]`` at points ``[…, n]``, in float64; infinite or NaN where the objective is."""
  points = np.asarray(points, np.float64)
  with np.errstate(over="ignore", invalid="ignore"):
    flat = jnp.asarray(points.reshape(-1, points.shape[-1]), jnp.result_type(float))
  return np.array(_values(flat, fn=objective.fn), np.float64).reshape(points.shape[:-1])


@functools.partial(jax.jit, static_argnames="fn")
def _values(points: jax.Array, *, fn: Any) -> jax.Array:
  return jax.vmap(fn)(points)


def within(points: np.ndarray, box: np.ndarray) -> np.ndarray:
  """Which of the points lie in the window."""
  return np.all((points >= box[:, 0]) & (points <= box[:, 1]), axis=-1)


def minima_within(objective: Objective, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The minima in the window, and the other local minima."""
  return (
    objective.minima[within(objective.minima, box)],
    objective.local_minima[within(objective.local_minima, box)],
  )
