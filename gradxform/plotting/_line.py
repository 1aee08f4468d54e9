"""Paths over the graph of an objective of one variable."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradxform.plotting._drawing import Scene, draw_paths, legend_handles, point_marks
from gradxform.plotting._field import heights, minima_within
from gradxform.plotting._looks import GREY
from gradxform.plotting._paths import Trajectories, as_box, as_sequence, paths_of, window_notes
from gradxform.plotting._style import about, add_legend, legend_size, picture, style_axes
from gradxform.trajectories import Trajectory

_RESOLUTION = 800
_HEIGHTS = (3.4, 2.4)  # inches, of the graph and of the steps
_MARGIN = 0.06
_CURVE = "#8C9BAA"


def line(trajectories: Trajectories, *, title: str = "", window: Any = None) -> Figure:
  """Draws paths on the graph of their objective, and below it where they are at each step.

  On the graph all paths run along one curve and hide each other; below it they lie apart.

  Args:
    trajectories: one, several, or what `race` returned; over one objective of one variable.
    title: a heading; if not given, the objective's name. Its formula stands below.
    window: what to draw, ``(low, high)``; if not given, the objective's window.

  Returns:
    A figure, which a notebook shows.

  Raises:
    ValueError: if there is no trajectory, several objectives, or one not of one variable; or a
      window out of range.
  """
  return line_scene("line", trajectories, title, window).figure


def line_scene(function: str, trajectories: Trajectories, title: str, window: Any) -> Scene:
  """The picture of `line`, for the function that was called."""
  several = as_sequence(function, trajectories, [1])
  objective = several[0].objective
  box = as_box(function, window, several)
  notes = [window_notes(t, box) for t in several]
  x = np.linspace(box[0, 0], box[0, 1], _RESOLUTION)
  curve = heights(objective, x[:, None])
  vertical = _vertical(curve)
  on_graph = paths_of(several, [_graph(t) for t in several], np.stack([box[0], vertical]), notes)
  last = max(t.steps for t in several)
  by_step = [np.column_stack([t.points[:, 0].astype(np.float64), np.arange(t.steps + 1)]) for t in several]
  below = paths_of(several, by_step, np.stack([box[0], [0.0, last]]), notes)
  marks = _marks(several, box)
  handles = [*legend_handles(below), *marks]
  height = max(sum(_HEIGHTS), legend_size(str(handle.get_label()) for handle in handles)[1] + 0.3)
  figure = picture(title or objective.name, about(several), height)
  top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=_HEIGHTS)
  _draw_graph(top, x, curve, vertical)
  panels = [draw_paths(top, on_graph), draw_paths(bottom, below)]
  for mark in marks:
    top.add_line(mark)
  top.set_xlim(*box[0])
  style_axes(bottom, x="x", y="step", grid="both")
  bottom.set_ylim(1.02 * last, -0.02 * last)
  bottom.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
  add_legend(top, handles)
  return Scene(figure, panels)


def _graph(trajectory: Trajectory) -> np.ndarray:
  """The points of a path on the graph, ``[steps + 1, 2]``."""
  return np.column_stack([trajectory.points[:, 0], trajectory.values]).astype(np.float64)


def _vertical(curve: np.ndarray) -> np.ndarray:
  """The limits of the vertical axis."""
  known = curve[np.isfinite(curve)]
  low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
  margin = _MARGIN * (high - low) or 0.5 * (abs(high) or 1.0)
  return np.array([low - margin, high + margin])


def _draw_graph(axes: Axes, x: np.ndarray, curve: np.ndarray, vertical: np.ndarray) -> None:
  """The graph of the objective; a note where it has none."""
  axes.plot(x, np.where(np.isfinite(curve), curve, np.nan), color=_CURVE, linewidth=1.6, zorder=2)
  style_axes(axes, y="f(x)")
  axes.tick_params(labelbottom=False)
  axes.set_ylim(*vertical)
  if not np.isfinite(curve).any():
    axes.text(0.5, 0.5, "not finite in this window", transform=axes.transAxes, ha="center", color=GREY, size=9)


def _marks(trajectories: Sequence[Trajectory], box: np.ndarray) -> list[Line2D]:
  """The starts, the minima and the other local minima in the window, on the graph."""
  objective = trajectories[0].objective
  starts = np.unique([t.points[0].astype(np.float64) for t in trajectories], axis=0)
  kinds = (starts, *minima_within(objective, box))
  return point_marks(*(np.column_stack([points, heights(objective, points)]) for points in kinds))
