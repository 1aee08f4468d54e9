"""Maps of where an optimizer ends, by its start."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradxform._checks import rejected
from gradxform.plotting._axis import draw_axis, scale_of
from gradxform.plotting._drawing import point_marks
from gradxform.plotting._field import heights, minima_within, within
from gradxform.plotting._heat import DIVERGED, color_scale, diverged_handle, draw_cells, edges_of, gaps_of
from gradxform.plotting._looks import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, YELLOW
from gradxform.plotting._style import (
  Picture,
  add_legend,
  add_legend_below,
  formula_of,
  legend_size,
  number,
  picture,
  style_axes,
)
from gradxform.trajectories import Basin
from gradxform.trajectories._labels import label

Kind = tuple[str, str, np.ndarray]

_COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW, BLACK)
_OTHERS, _GONE = "#A0A0A0", "#D8D8D8"
_TWO_PANELS, _ONE_PANEL, _GRAPHS = 3.4, 5.0, (2.8, 2.4)  # inches
_FIGURE_LEGEND = 0.6
_SAME_UNIT = (0.4, 1.4)
_NO_POINT = np.zeros((0, 2))


def basin_map(basin: Basin, *, title: str = "") -> Figure:
  """Draws which minimum an optimizer reaches from each start, and how near it comes.

  In one dimension the starts stand on the graph of the objective. Where no more than one minimum
  is known, the map of two dimensions shows how near alone. Starts from which the optimizer diverged have a
  colour of their own.

  Args:
    basin: what the function `basin` returned.
    title: a heading; if not given, the names of the optimizer and of the objective.

  Returns:
    A figure, which a notebook shows.

  Raises:
    TypeError: if it is not a `Basin`.
  """
  if not isinstance(basin, Basin):
    raise rejected(TypeError, "basin_map", "basin", basin, f"a `Basin`, got {type(basin).__name__}. Call `basin`.")
  title = title or f"{label(basin.optimizer)} on {basin.objective.name}"
  subtitle = "  ·  ".join(filter(None, [formula_of(basin.objective), f"{basin.steps} steps from each start"]))
  if basin.objective.n == 1:
    return _graphs(basin, title, subtitle)
  if len(basin.objective.minima) + len(basin.objective.local_minima) > 1:
    return _two_planes(basin, title, subtitle)
  return _one_plane(basin, title, subtitle)


def _kinds(basin: Basin) -> list[Kind]:
  """Where starts lead: a colour, its name, and which they are. A minimum has one colour in all maps."""
  minima = [*basin.objective.minima, *basin.objective.local_minima]
  box, finite = basin.objective.box, np.isfinite(basin.values)
  gone = np.zeros_like(finite) if box is None else finite & ~within(basin.points, box)
  kinds = []
  for index, point in enumerate(minima[: len(_COLORS)]):
    place = ", ".join(number(x) for x in point)
    what = "minimum" if index < len(basin.objective.minima) else "local minimum"
    name = f"to the {what} {place}" if len(point) == 1 else f"to the {what} ({place})"
    kinds.append((_COLORS[index], name, (basin.nearest == index) & ~gone))
  kinds.append((_OTHERS, "to another minimum", (basin.nearest >= len(_COLORS)) & ~gone))
  kinds.append((_OTHERS, "start", (basin.nearest < 0) & finite & ~gone))
  kinds.append((_GONE, "out of the window", gone))
  kinds.append((DIVERGED, "diverged", ~finite))
  return [kind for kind in kinds if kind[2].any()]


def _two_planes(basin: Basin, title: str, subtitle: str) -> Figure:
  """Which minimum, and beside it the values."""
  kinds, (x, y) = _kinds(basin), map(edges_of, basin.axes)
  figure = picture(title, subtitle, _TWO_PANELS * _ratio(x, y) + 0.6 + _FIGURE_LEGEND)
  left, right = figure.subplots(1, 2, sharey=True)
  code = np.select([mask for _, _, mask in kinds], list(range(len(kinds))), len(kinds) - 1)
  colors = ListedColormap([color for color, _, _ in kinds])
  left.pcolormesh(x, y, code, cmap=colors, vmin=-0.5, vmax=len(kinds) - 0.5)
  _draw_values(right, basin, x, y)
  for axes in (left, right):
    marks = _finish(axes, basin, x, y)
  right.set_ylabel("")
  add_legend_below(figure, [*(Patch(facecolor=color, label=name) for color, name, _ in kinds), *marks])
  return figure


def _one_plane(basin: Basin, title: str, subtitle: str) -> Figure:
  """The values alone."""
  x, y = map(edges_of, basin.axes)
  figure = picture(title, subtitle, _ONE_PANEL * _ratio(x, y) + 0.6, width=8.2)
  axes = figure.subplots()
  _draw_values(axes, basin, x, y)
  marks = _finish(axes, basin, x, y)
  add_legend(axes, [*marks, *diverged_handle(basin.values)], distance=1.05)
  return figure


def _draw_values(axes: Axes, basin: Basin, x: np.ndarray, y: np.ndarray) -> None:
  """The heat map of the final values; at the top of its scale is the greatest value at a start."""
  gaps, what = gaps_of(basin.values, basin.objective, basin.steps)
  starts, _ = gaps_of(heights(basin.objective, np.stack(np.meshgrid(*basin.axes), axis=-1)), basin.objective, 0)
  most = np.nanmax(starts, initial=0.0)
  draw_cells(axes, x, y, gaps, color_scale(gaps, basin.objective, float(most)), what)


def _finish(axes: Axes, basin: Basin, x: np.ndarray, y: np.ndarray) -> list[Line2D]:
  """Labels, units and the minima; returns what to put into the legend."""
  style_axes(axes, x="x", y="y")
  axes.grid(visible=False)
  if _SAME_UNIT[0] <= np.ptp(y) / np.ptp(x) <= _SAME_UNIT[1]:
    axes.set_aspect("equal", anchor="NW")
  window = np.array([[x[0], x[-1]], [y[0], y[-1]]])
  marks = point_marks(_NO_POINT, *minima_within(basin.objective, window))
  for mark in marks:
    axes.add_line(mark)
  return marks


def _ratio(x: np.ndarray, y: np.ndarray) -> float:
  return float(np.clip(np.ptp(y) / np.ptp(x), *_SAME_UNIT))


def _graphs(basin: Basin, title: str, subtitle: str) -> Picture:
  """The starts on the graph of the objective, and below it the values where they lead."""
  objective, (x,) = basin.objective, basin.axes
  curve, kinds = heights(objective, x[:, None]), _kinds(basin)
  gaps, what = gaps_of(basin.values, objective, basin.steps)
  minima = minima_within(objective, np.array([[x[0], x[-1]]]))
  marks = point_marks(_NO_POINT, *(np.column_stack([points, heights(objective, points)]) for points in minima))
  figure = picture(title, subtitle, max(sum(_GRAPHS), 0.5 + legend_size(name for _, name, _ in kinds)[1]))
  top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=_GRAPHS)
  style_axes(top, y="f(x)")
  top.tick_params(labelbottom=False)
  style_axes(bottom, x="start x", y=what)
  starts, _ = gaps_of(curve, objective, 0)
  scale = scale_of([gaps], bool(np.isfinite(objective.minimum)), starts)
  draw_axis(bottom, scale, [gaps])
  handles = []
  for color, name, mask in kinds:
    dots = {"color": color, "linestyle": "none", "marker": "o", "markersize": 4.5, "label": name}
    handles += top.plot(x[mask], curve[mask], **dots)
    at = np.minimum(np.nan_to_num(scale.placed(gaps[mask]), nan=np.inf), scale.limits[1])
    bottom.plot(x[mask], at, **dots, clip_on=False)
  for mark in marks:
    top.add_line(mark)
  add_legend(top, [*handles, *marks])
  return figure
