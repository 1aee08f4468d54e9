"""Paths over the level sets of an objective of two variables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from gradxform.plotting._drawing import Scene, draw_paths, legend_handles, marks_of
from gradxform.plotting._field import PALE, Field, field
from gradxform.plotting._looks import GREY
from gradxform.plotting._paths import Trajectories, as_box, as_sequence, paths_of, window_notes
from gradxform.plotting._style import WIDTH, Picture, about, add_legend, legend_size, number, picture, style_axes

_LEVELS = 17
_LEVELS_TO_A_TICK = 2
_LEAST_AREA = 0.004  # of the window: a smaller level set is narrower than the grid of values
_BAR_WIDTH, _BAR_DISTANCE = 0.15, 0.1  # inches
_AXIS_LABELS = 0.7
_HEIGHTS = (3.4, 6.2)
_GREATEST_RATIO = 3.0
_LEAST_WIDTH = 7.0
_NOT_FINITE = "#F6E3D9"


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
  >>> figure = level_sets(race)
  >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
  ['sgd', 'adam', 'start', 'minimum']
  """
  return plane_scene("level_sets", trajectories, title, window).figure


def plane_scene(function: str, trajectories: Trajectories, title: str, window: Any) -> Scene:
  """The picture of `level_sets`, for the function that was called."""
  several = as_sequence(function, trajectories, [2])
  objective = several[0].objective
  box = as_box(function, window, several)
  paths = paths_of(several, [t.points for t in several], box, [window_notes(t, box) for t in several])
  values, marks = field(objective, box), marks_of(several, box)
  handles = [*legend_handles(paths), *marks, *_gap_handle(values)]
  ticks = values.levels(_LEVELS)[::_LEVELS_TO_A_TICK] if values.top > 0 else np.zeros(0)
  numbers = [number(values.base + tick) for tick in ticks]
  bar = _BAR_DISTANCE + _BAR_WIDTH + 0.2 + 0.067 * max(map(len, numbers), default=0)
  size = legend_size(str(handle.get_label()) for handle in handles)
  figure, axes = _plane(title or objective.name, about(several), box, (bar + size[0], size[1]))
  _draw_levels(axes, values, ticks, numbers)
  panel = draw_paths(axes, paths)
  for mark in marks:
    axes.add_line(mark)
  add_legend(axes, handles, distance=bar)
  return Scene(figure, [panel])


def _plane(title: str, subtitle: str, box: np.ndarray, beside: tuple[float, float]) -> tuple[Picture, Axes]:
  """Axes for a window, of the same unit in both directions unless it is much longer than broad.

  Args:
    title: a heading.
    subtitle: the line below it.
    box: the window.
    beside: the width and the height of what stands right of the axes, in inches.
  """
  other = _AXIS_LABELS + beside[0] + 0.2
  columns, rows = box[:, 1] - box[:, 0]
  same_unit = 1 / _GREATEST_RATIO <= rows / columns <= _GREATEST_RATIO
  height = float(np.clip((WIDTH - other) * (rows / columns if same_unit else 0.8), *_HEIGHTS))
  width = max(_LEAST_WIDTH, other + height * columns / rows) if same_unit else WIDTH
  figure = picture(title, subtitle, max(height + 0.75, beside[1] + 0.3), width=min(width, WIDTH))
  axes = figure.subplots()
  axes.set_xlim(*box[0])
  axes.set_ylim(*box[1])
  if same_unit:
    axes.set_aspect("equal", anchor="NW")
  style_axes(axes, x="x", y="y")
  axes.grid(visible=False)
  return figure, axes


def _draw_levels(axes: Axes, values: Field, ticks: np.ndarray, numbers: Sequence[str]) -> None:
  """Level sets, with a colour bar; a note where there are none."""
  if np.isnan(values.gaps).any():
    axes.set_facecolor(_NOT_FINITE)
  if not values.top > 0:
    note = "constant in this window" if np.isfinite(values.gaps).any() else "not finite in this window"
    axes.text(0.5, 0.02, note, transform=axes.transAxes, ha="center", color=GREY, size=9)
    return
  levels, gaps = values.levels(_LEVELS), np.ma.masked_invalid(values.gaps)
  filled = axes.contourf(values.x, values.y, gaps, levels=levels, cmap=PALE, norm=values.norm)
  drawn = [level for level in levels[1:-1] if np.mean(values.gaps < level) > _LEAST_AREA]
  axes.contour(values.x, values.y, gaps, levels=drawn, colors="#7F94A8", linewidths=0.45)
  place = ScaledTranslation(_BAR_DISTANCE, 0.0, axes.figure.dpi_scale_trans)
  bar = axes.inset_axes((1.0, 0.0, 0.025, 1.0), transform=axes.transAxes + place)
  colour_bar: Any = axes.figure.colorbar(filled, cax=bar, ticks=ticks.tolist())
  bar.set_yticklabels(numbers)
  colour_bar.outline.set_visible(False)
  bar.set_title("f(x, y)", size=8.5, loc="left", color=GREY)
  bar.tick_params(labelsize=8, color=GREY, labelcolor=GREY)


def _gap_handle(values: Field) -> list[Patch]:
  """The entry in a legend of where the objective is not finite, if it is so somewhere in the window."""
  return [Patch(facecolor=_NOT_FINITE, label="f is not finite")] if np.isnan(values.gaps).any() else []
