"""Heat maps of final values: the cells, their borders and colours, and those that diverged."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from gradxform.objectives import Objective
from gradxform.plotting._looks import GREY, VERMILLION

DIVERGED = VERMILLION
_MAP = "viridis"
_LEAST_SHARE = 0.01  # of the cells, which may be below the scale
_DEPTH = 1e-16  # of the greatest value, at most
_EVEN = 1e-3
_BAR = (1.03, 0.0, 0.04, 1.0)
_FEW_DECADES = 2.0


def gaps_of(values: np.ndarray, objective: Objective, steps: int) -> tuple[np.ndarray, str]:
  """Values minus the least, if that is known, and what to call them; NaN where they are not finite."""
  known = bool(np.isfinite(objective.minimum))
  gaps = values.astype(np.float64) - (objective.minimum if known else 0.0)
  return np.where(np.isfinite(gaps), gaps, np.nan), f"f{' − minimum' if known else ''} after {steps} steps"


def color_scale(gaps: np.ndarray, objective: Objective, most: float) -> Normalize:
  """A scale of colours, logarithmic if the least value is known.

  Args:
    gaps: what is drawn.
    objective: what its least value is.
    most: the greatest value of interest, such as that at a start.
  """
  known = gaps[np.isfinite(gaps)]
  positive = known[known > 0]
  if not np.isfinite(objective.minimum) or not positive.size:
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0)
  high = min(positive.max(), most) if most > positive.min() else positive.max()
  low = max(np.quantile(positive, _LEAST_SHARE, method="lower"), _DEPTH * high)
  return LogNorm(low, high) if high > low else LogNorm(0.1 * high, high)


def is_log_spaced(values: np.ndarray) -> bool:
  """Whether three or more increasing values have a constant ratio."""
  if values.size < 3 or not (values > 0).all():
    return False
  steps = np.diff(np.log(values))
  return bool(np.ptp(steps) <= _EVEN * steps.mean())


def edges_of(values: np.ndarray, *, log: bool = False) -> np.ndarray:
  """The borders of the cells around increasing values, halfway between them on their axis."""
  places = np.log(values) if log else values.astype(np.float64)
  if places.size == 1:
    half = 0.5 * (abs(places[0]) or 1.0)
    borders = np.array([places[0] - half, places[0] + half])
  else:
    middle = 0.5 * (places[:-1] + places[1:])
    borders = np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
  return np.exp(borders) if log else borders


def draw_cells(axes: Axes, x: np.ndarray, y: np.ndarray, gaps: np.ndarray, scale: Normalize, label: str) -> None:
  """Cells between these borders, in colours with a colour bar; those that are not finite in one of their own."""
  diverged = np.ma.masked_array(np.ones_like(gaps), np.isfinite(gaps))
  axes.pcolormesh(x, y, diverged, cmap=ListedColormap([DIVERGED]), vmin=0.0, vmax=1.0)
  cells = axes.pcolormesh(x, y, np.ma.masked_invalid(np.clip(gaps, scale.vmin, scale.vmax)), cmap=_MAP, norm=scale)
  figure: Any = axes.get_figure(root=True)
  known = gaps[np.isfinite(gaps)]
  below, above = bool((known < scale.vmin).any()), bool((known > scale.vmax).any())
  ends = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}
  bar = figure.colorbar(cells, cax=axes.inset_axes(_BAR), extend=ends[below, above], extendfrac=0.03)
  bar.set_label(label, size=9)
  bar.ax.tick_params(labelsize=8, color=GREY)
  bar.ax.minorticks_off()
  bar.outline.set_visible(False)


def diverged_handle(gaps: np.ndarray) -> list[Patch]:
  """The entry in a legend of what diverged, if something did."""
  return [] if np.isfinite(gaps).all() else [Patch(facecolor=DIVERGED, label="diverged")]


def set_log(axes: Axes, which: str, values: np.ndarray) -> None:
  """A logarithmic axis, with ticks at 1, 2 and 5 times powers of ten where there are few of these."""
  axes.set_xscale("log") if which == "x" else axes.set_yscale("log")
  axis = axes.xaxis if which == "x" else axes.yaxis
  if np.log10(values[-1] / values[0]) <= _FEW_DECADES:
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
  axis.set_minor_formatter(NullFormatter())
