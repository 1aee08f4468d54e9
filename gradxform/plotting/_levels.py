"""Paths over the level sets of an objective of two variables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradxform.plotting._drawing import Scene, draw_paths, legend_handles, marks_of
from gradxform.plotting._field import PALE, Field, field
from gradxform.plotting._paths import Trajectories, as_box, as_sequence, paths_of, window_notes
from gradxform.plotting._style import (
  GREY,
  WIDTH,
  Picture,
  about,
  add_legend,
  legend_size,
  number,
  picture,
  style_axes,
)  # fmt: skip

_LEVELS = 17
_LEVELS_TO_A_TICK = 2
_BAR_WIDTH, _BAR_DISTANCE, _BAR_LABELS = 0.14, 0.1, 0.62  # inches
_AXIS_LABELS = 0.7
_HEIGHTS = (3.4, 6.2)
_GREATEST_RATIO = 3.0
_LEAST_WIDTH = 7.0


def level_sets(trajectories: Trajectories, *, title: str = "", window: Any = None) -> Figure:
  """Draws paths over the level sets of their objective, with a marker at each step.

  The levels are denser where the objective is flat, so that valleys show as well as walls. What
  leaves the window is cut off at its border; the legend says where, and which paths diverged or
  cannot be told from another.

  Args:
    trajectories: one, several, or what `race` returned; over one objective of two variables.
    title: a heading; if not given, the objective's name. Its formula stands below.
    window: what to draw, ``((low, high), (low, high))``; if not given, the objective's window.

  Returns:
    A figure, which a notebook shows; ``figure.savefig(path)`` writes it.

  Raises:
    ValueError: if there is no trajectory, several objectives, or one not of two variables; or a
      window out of range.

  >>> import gradxform as gx
  >>> from gradxform import objectives, trajectories
  >>> race = trajectories.race([gx.sgd(0.1), gx.adam(0.4)], objectives.bowl(), steps=20)
  >>> level_sets(race).savefig("bowl.png")  # doctest: +SKIP
  """
  return plane_scene("level_sets", trajectories, title, window).figure


def plane_scene(function: str, trajectories: Trajectories, title: str, window: Any) -> Scene:
  """The picture of `level_sets`, for the function that was called."""
  several = as_sequence(function, trajectories, [2])
  objective = several[0].objective
  box = as_box(function, window, several)
  paths = paths_of(several, [t.points for t in several], box, [window_notes(t, box) for t in several])
  marks = marks_of(several, box)
  labels = [path.label for path in paths] + [str(mark.get_label()) for mark in marks]
  figure, axes = _plane(title or objective.name, about(several), box, labels)
  _draw_levels(axes, field(objective, box))
  panel = draw_paths(axes, paths)
  for mark in marks:
    axes.add_line(mark)
  add_legend(axes, [*legend_handles(paths), *marks], distance=_BAR_DISTANCE + _BAR_WIDTH + _BAR_LABELS)
  return Scene(figure, [panel])


def _plane(title: str, subtitle: str, box: np.ndarray, labels: Sequence[str]) -> tuple[Picture, Axes]:
  """Axes for a window, of the same unit in both directions unless it is much longer than broad."""
  legend_width, legend_height = legend_size(labels)
  beside = _AXIS_LABELS + _BAR_DISTANCE + _BAR_WIDTH + _BAR_LABELS + legend_width + 0.25
  width = WIDTH - beside
  columns, rows = box[:, 1] - box[:, 0]
  same_unit = 1 / _GREATEST_RATIO <= rows / columns <= _GREATEST_RATIO
  height = np.clip(width * (rows / columns if same_unit else 0.8), *_HEIGHTS)
  total = max(_LEAST_WIDTH, beside + height * columns / rows) if same_unit else WIDTH
  figure = picture(title, subtitle, max(height + 0.6, legend_height + 0.3), width=min(total, WIDTH))
  axes = figure.subplots()
  axes.set_xlim(*box[0])
  axes.set_ylim(*box[1])
  if same_unit:
    axes.set_aspect("equal", anchor="NW")
  style_axes(axes, x="x", y="y")
  axes.grid(visible=False)
  axes.set_facecolor("#F6E9E2")  # where the objective is not finite
  return figure, axes


def _draw_levels(axes: Axes, values: Field) -> None:
  """Level sets, with a colour bar; a note where there are none."""
  if not values.top > 0:
    note = "constant in this window" if np.isfinite(values.gaps).any() else "not finite in this window"
    axes.text(0.5, 0.02, note, transform=axes.transAxes, ha="center", color=GREY, size=9)
    return
  levels = values.levels(_LEVELS)
  gaps = np.ma.masked_invalid(values.gaps)
  filled = axes.contourf(values.x, values.y, gaps, levels=levels, cmap=PALE, norm=values.norm)
  axes.contour(values.x, values.y, gaps, levels=levels[1:-1], colors="#7F94A8", linewidths=0.45)
  ticks = levels[::_LEVELS_TO_A_TICK]
  bar = axes.inset_axes((1.02, 0.0, 0.025, 1.0))
  colour_bar = axes.figure.colorbar(filled, cax=bar, ticks=ticks)
  colour_bar.ax.set_yticklabels([number(values.base + level) for level in ticks])
  colour_bar.outline.set_visible(False)
  bar.set_title("f(x, y)", size=8.5, loc="left", color=GREY)
  bar.tick_params(labelsize=8, color=GREY, labelcolor=GREY)
