"""The values along paths, step by step."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator

from gradxform.plotting._drawing import draw_paths, legend_handles
from gradxform.plotting._paths import Path, Trajectories, as_sequence, divergence_notes, exit_notes, paths_of
from gradxform.plotting._style import GREY, about, add_legend, legend_size, number, picture, style_axes

_HEIGHT = 4.2  # inches
_HEADROOM = 1e3  # times the greatest start, above which paths are cut off
_DEPTH = 1e-30  # times the top, below which values count as 0
_FEW_DECADES = 2.0
_MOST_TICKS = 9
_LINEAR_UP_TO = 100.0
_MARGIN = 0.05
_MANY_STEPS = 40
_MARKERS = 16


@dataclasses.dataclass(frozen=True)
class _Scale:
  """A vertical axis: straight lines of `forward` are what is seen.

  Attributes:
    kind: the name of the scale in matplotlib.
    low: the least value that is drawn in its place.
    high: the greatest.
    ground: where what is less than the least stands, on a logarithmic axis; ``None`` if nothing is.
  """

  kind: Literal["log", "linear", "symlog"]
  low: float
  high: float
  ground: float | None = None
  threshold: float = 1.0

  def forward(self, values: np.ndarray) -> np.ndarray:
    if self.kind == "log":
      low = self.low if self.ground is None else self.ground
      return np.log10(np.where(values < self.low, low, values))
    return np.arcsinh(values / self.threshold) if self.kind == "symlog" else values

  def backward(self, heights: np.ndarray) -> np.ndarray:
    if self.kind == "log":
      return 10.0**heights
    return self.threshold * np.sinh(heights) if self.kind == "symlog" else heights

  @property
  def limits(self) -> tuple[float, float]:
    """The limits of the axis, with a margin."""
    low, high = self.forward(np.array([self.low if self.ground is None else self.ground, self.high]))
    margin = _MARGIN * (high - low) or 0.5 * (abs(high) or 1.0)
    low, high = self.backward(np.array([low - margin, high + margin]))
    return float(low), float(high)


def values(trajectories: Trajectories, *, title: str = "") -> Figure:
  """Draws how far the values of paths are from the least, against the step.

  The axis is logarithmic. Values of exactly 0, and those that rounding puts below the known
  minimum, stand on a line of their own at the bottom. Where no least value is known, the values
  themselves are drawn, on a logarithmic axis if all are positive. Paths that rise far above their
  start are cut off; the legend says where, and which diverged.

  Args:
    trajectories: one, several, or what `race` returned; over one objective of any number of
      variables.
    title: a heading; if not given, the objective's name.

  Returns:
    A figure, which a notebook shows.

  Raises:
    ValueError: if there is no trajectory, or several objectives.
  """
  several = as_sequence("values", trajectories)
  objective = several[0].objective
  known = bool(np.isfinite(objective.minimum))
  gaps = [t.values.astype(np.float64) - (objective.minimum if known else 0.0) for t in several]
  scale = _scale_of(gaps, known)
  limits = np.stack([[0.0, max(t.steps for t in several)], scale.forward(np.array(scale.limits))])
  drawn = [np.column_stack([np.arange(len(g)), scale.forward(np.where(np.isfinite(g), g, np.nan))]) for g in gaps]
  notes = [
    exit_notes(points, limits, "the picture") + divergence_notes(t) for t, points in zip(several, drawn, strict=True)
  ]
  paths = [_rescaled(path, scale) for path in paths_of(several, drawn, limits, notes)]
  height = max(_HEIGHT, legend_size(path.label for path in paths)[1] + 0.4)
  figure = picture(title or objective.name, about(several), height)
  axes = figure.subplots()
  style_axes(axes, x="step", y="f − minimum" if known else "f")
  _draw_axis(axes, scale, gaps)
  axes.set_xlim(-0.02 * limits[0, 1], 1.02 * limits[0, 1])
  axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
  _thin_markers(draw_paths(axes, paths).lines, paths)
  add_legend(axes, legend_handles(paths))
  return figure


def _scale_of(gaps: Sequence[np.ndarray], known: bool) -> _Scale:
  """The axis for these values: logarithmic if they are distances from the least, or positive."""
  finite = np.concatenate([g[np.isfinite(g)] for g in gaps])
  starts = np.abs([g[0] for g in gaps if np.isfinite(g[0])])
  if not finite.size or not (known or (finite > 0).all()):
    return _linear_or_symlog(finite, starts.max(initial=0.0))
  positive = finite[finite > 0]
  if not positive.size:
    return _Scale("log", 1.0, 10.0, ground=0.1)
  high = float(min(positive.max(), _HEADROOM * (starts.max(initial=0.0) or positive.min())))
  low = float(np.clip(positive.min(), _DEPTH * high, high))
  gap = max(0.4, 0.1 * np.log10(high / low))
  return _Scale("log", low, high, ground=10.0 ** (np.log10(low) - gap) if finite.min() < low else None)


def _linear_or_symlog(finite: np.ndarray, start: float) -> _Scale:
  """An axis for values of both signs: linear unless some are much greater than the starts."""
  low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
  if max(-low, high) <= _LINEAR_UP_TO * start or not finite.size:
    return _Scale("linear", low, high)
  return _Scale("symlog", low, high, threshold=start or float(np.median(np.abs(finite))) or 1.0)


def _rescaled(path: Path, scale: _Scale) -> Path:
  """The path with values, where it had heights on the axis."""
  step, height = path.vertices.T
  return dataclasses.replace(path, vertices=np.column_stack([step, scale.backward(height)]))


def _draw_axis(axes: Axes, scale: _Scale, gaps: Sequence[np.ndarray]) -> None:
  """The vertical axis, and the line on which values of 0 stand."""
  if scale.kind == "symlog":
    axes.set_yscale("symlog", linthresh=scale.threshold)
  elif scale.kind == "log":
    axes.set_yscale("log")
    _draw_decades(axes, scale)
  axes.set_ylim(*scale.limits)
  if not any(np.isfinite(g).any() for g in gaps):
    axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", color=GREY)
  if scale.ground is None:
    return
  below = np.concatenate([g[g < scale.low] for g in gaps])
  axes.axhline(scale.ground, color=GREY, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
  highest = float(below.max())
  text = "0" if (below == 0).all() else "≤ 0" if highest <= 0 else f"$≤10^{{{int(np.ceil(np.log10(highest)))}}}$"
  place = {"xytext": (-6, 0), "textcoords": "offset points", "xycoords": axes.get_yaxis_transform()}
  axes.annotate(text, (0.0, scale.ground), **place, ha="right", va="center", size=8.5, annotation_clip=False)


def _draw_decades(axes: Axes, scale: _Scale) -> None:
  """Ticks at powers of ten, or if there are few of them, at 1, 2 and 5 times these."""
  axes.yaxis.set_minor_locator(NullLocator())
  if np.log10(scale.high / scale.low) <= _FEW_DECADES:
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: number(value) if value >= 0.99 * scale.low else "")
    return
  low, high = np.log10([scale.low, scale.high])
  stride = int(np.ceil((high - low) / _MOST_TICKS))
  exponents = np.arange(np.ceil(low), np.floor(high) + 1)
  axes.set_yticks(10.0 ** exponents[exponents % stride == 0])
  axes.yaxis.set_major_formatter(LogFormatterSciNotation())


def _thin_markers(lines: Sequence[Line2D], paths: Sequence[Path]) -> None:
  """Leaves some markers out where there are many steps, each path others than the next."""
  steps = max(int(path.reached.max(initial=0)) for path in paths)
  if steps <= _MANY_STEPS:
    return
  stride = steps // _MARKERS
  for index, (line, path) in enumerate(zip(lines, paths, strict=True)):
    offset = stride * index // len(paths)
    line.set_markevery(path.marked & ((path.reached - offset) % stride == 0))
    line.set_markersize(path.width + 3.2)
