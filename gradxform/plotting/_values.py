"""The values along paths, step by step."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradxform.plotting._axis import Scale, draw_axis, scale_of
from gradxform.plotting._drawing import draw_paths, legend_handles
from gradxform.plotting._paths import Path, Trajectories, as_sequence, divergence_notes, exit_notes, paths_of
from gradxform.plotting._style import about, add_legend, legend_size, picture, style_axes

_HEIGHT = 4.2  # inches
_MANY_STEPS = 40
_MARKERS = 16


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
  scale = scale_of(gaps, known, np.array([g[0] for g in gaps]))
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
  draw_axis(axes, scale, gaps)
  axes.set_xlim(-0.02 * limits[0, 1], 1.02 * limits[0, 1])
  axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
  _thin_markers(draw_paths(axes, paths).lines, paths)
  add_legend(axes, legend_handles(paths))
  return figure


def _rescaled(path: Path, scale: Scale) -> Path:
  """The path with values, where it had heights on the axis."""
  step, height = path.vertices.T
  return dataclasses.replace(path, vertices=np.column_stack([step, scale.backward(height)]))


def _thin_markers(lines: Sequence[Line2D], paths: Sequence[Path]) -> None:
  """Leaves some markers out where there are many steps, each path others than the next."""
  steps = max(int(path.reached.max(initial=0)) for path in paths)
  if steps <= _MANY_STEPS:
    return
  stride = steps // _MARKERS
  for index, (line, path) in enumerate(zip(lines, paths, strict=True)):
    offset = stride * index // len(paths)
    line.set_markevery((path.marked & ((path.reached - offset) % stride == 0)).tolist())
    line.set_markersize(path.width + 3.2)
