"""Paths on the surface of an objective of two variables."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LightSource
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradxform._checks import check_number
from gradxform.objectives import Objective
from gradxform.plotting._drawing import BELOW, LINES, RIM, legend_handles, marks_of
from gradxform.plotting._field import PALE, Field, field, heights, within
from gradxform.plotting._looks import GREY
from gradxform.plotting._paths import Path, Trajectories, as_box, as_sequence, paths_of, window_notes
from gradxform.plotting._style import WIDTH, about, add_legend, legend_size, number, picture

_RESOLUTION = 161
_MESH_STRIDE = 2  # divides the grid evenly: mplot3d pads uneven facets with what is in memory
_LEFT, _Z_LABELS, _SIDE = 0.6, 0.75, 5.9  # inches
_EMPTY = 0.15  # inches, that nothing fills at the top of the axes
_ASPECT = (1.0, 1.0, 0.62)
_LIFT = 0.012  # of the height of the surface, above which paths run
_RAY = np.linspace(0.004, 1.0, 120)[:, None]
_TO_A_WINDOW = 160  # points of a line that is as long as the window is broad
_TICKS = 6
_LINEAR_FROM = 0.4
_MARK_STYLE = ("marker", "markersize", "markerfacecolor", "markeredgecolor", "markeredgewidth")
_AZIMUTHS = (-60.0, -30.0, -120.0, -150.0, 30.0, 60.0, 120.0, 150.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Surface:
  """A surface over a window, of heights from 0 to 1.

  Attributes:
    objective: what it is of.
    field: its values.
    box: the window, ``[2, 2]``.
    power: of the gap to the least value, to which the heights are proportional.
  """

  objective: Objective
  field: Field
  box: np.ndarray
  power: float

  @functools.cached_property
  def grid(self) -> np.ndarray:
    """The heights over the grid of the field, from 0 to 1, y first; NaN where there is none."""
    return self.heights_of(self.field.gaps)

  def heights_of(self, gaps: np.ndarray) -> np.ndarray:
    """From 0, at the least value, to 1, at the greatest."""
    return (np.maximum(gaps, 0.0) / (self.field.top or 1.0)) ** self.power

  def lifted(self, vertices: np.ndarray) -> np.ndarray:
    """The points ``[m, 3]`` just above the surface, over vertices ``[m, 2]`` in the window."""
    gaps = heights(self.objective, vertices) - self.field.base
    return np.column_stack([vertices, self.heights_of(gaps) + _LIFT])

  def hides(self, points: np.ndarray, elevation: float, azimuth: float) -> np.ndarray:
    """Which points ``[m, 3]`` lie behind the surface, seen from there."""
    e, a = np.deg2rad([elevation, azimuth])
    towards = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)]) / _ASPECT
    towards /= np.abs(towards[:2]).max() or 1.0
    unit = np.column_stack([(points[:, :2] - self.box[:, 0]) / (self.box[:, 1] - self.box[:, 0]), points[:, 2]])
    ray = unit[:, None] + _RAY * towards
    inside = within(ray[..., :2], np.array([[0.0, 1.0], [0.0, 1.0]]))
    column, row = np.moveaxis(np.nan_to_num(np.clip(ray[..., :2], 0, 1)), -1, 0) * (len(self.grid) - 1)
    above = self.grid[np.rint(row).astype(int), np.rint(column).astype(int)] > ray[..., 2]
    return np.any(inside & above, axis=1)


def surface(
  trajectories: Trajectories,
  *,
  title: str = "",
  window: Any = None,
  elevation: float = 38.0,
  azimuth: float | None = None,
) -> Figure:
  """Draws paths on the surface of their objective, in three dimensions.

  The parts of paths that lie behind the surface are drawn too, pale and dotted. Heights are
  proportional to f, or where a few walls would leave everything else flat, to a power of its
  distance from the least value; the axis says so.

  Args:
    trajectories: as for `level_sets`.
    title: a heading; if not given, the objective's name.
    window: what to draw, ``((low, high), (low, high))``; if not given, the objective's window.
    elevation: the height of the viewer above the horizon, in degrees.
    azimuth: where the viewer stands, in degrees from the x axis; if not given, where the surface
      hides the least of the paths.

  Returns:
    A figure, which a notebook shows.

  Raises:
    ValueError: as `level_sets`, or if an angle is not finite.
  """
  check_number("surface", elevation=elevation, **({} if azimuth is None else {"azimuth": azimuth}))
  several = as_sequence("surface", trajectories, [2])
  objective = several[0].objective
  box = as_box("surface", window, several)
  values = field(objective, box, _RESOLUTION)
  shown = Surface(objective, values, box, 2.0 * values.power if values.power < _LINEAR_FROM else 1.0)
  paths = paths_of(several, [t.points for t in several], box, [window_notes(t, box) for t in several])
  traced = [_traced(path, shown) for path in paths]
  if azimuth is None:
    azimuth = _best_azimuth(shown, [points for points, _ in traced], elevation)
  behind = [shown.hides(points, elevation, azimuth) for points, _ in traced]
  marks = marks_of(several, box)
  handles = [*legend_handles(paths), *marks, *_behind_handle(behind)]
  scale = "" if shown.power == 1.0 else f"  ·  heights ∝\u00a0(f\u00a0−\u00a0least\u00a0f)^{shown.power:.2g}"
  axes = _axes(title or objective.name, about(several) + scale, shown, legend_size(h.get_label() for h in handles))
  axes.view_init(elevation, azimuth)
  _draw_surface(axes, shown)
  for path, (points, marked), hidden in zip(paths, traced, behind, strict=True):
    _draw_path(axes, path, points, marked, hidden)
  for mark in marks:
    _draw_mark(axes, mark, shown)
  add_legend(axes, handles, distance=_Z_LABELS)
  return axes.figure


def _behind_handle(behind: Sequence[np.ndarray]) -> list[Line2D]:
  """The entry in a legend of what is hidden, if something is."""
  line = Line2D([], [], color=GREY, linestyle=":", linewidth=1.2, label="behind the surface")
  return [line] if any(hidden.any() for hidden in behind) else []


def _traced(path: Path, shown: Surface) -> tuple[np.ndarray, np.ndarray]:
  """The path as it runs over the surface, ``[m, 3]``, and which points are marked."""
  extent = shown.box[:, 1] - shown.box[:, 0]
  pieces, marked = [path.vertices[:1]], [path.marked[:1]]
  for a, b, mark in zip(path.vertices[:-1], path.vertices[1:], path.marked[1:], strict=True):
    length = np.linalg.norm((b - a) / extent)
    count = 1 if np.isnan(length) else max(1, int(np.ceil(length * _TO_A_WINDOW)))
    share = (np.arange(count)[:, None] + 1.0) / count
    pieces.append(a + share * (b - a) if count > 1 else b[None])
    marked.append(np.arange(count) == (count - 1 if mark else -1))
  return shown.lifted(np.concatenate(pieces)), np.concatenate(marked)


def _best_azimuth(shown: Surface, paths: Sequence[np.ndarray], elevation: float) -> float:
  """Where the least of the paths is hidden; the usual place if that is as good as any."""
  points = np.concatenate(paths)
  points = points[:: max(1, len(points) // 1000)]
  return min(_AZIMUTHS, key=lambda azimuth: shown.hides(points, elevation, azimuth).sum())


def _axes(title: str, subtitle: str, shown: Surface, legend: tuple[float, float]) -> Any:
  """Axes of the window, and of heights from 0 to 1 with the values that they stand for."""
  side = min(_SIDE, WIDTH - _LEFT - _Z_LABELS - legend[0])
  figure = picture(title, subtitle, max(side - _EMPTY, legend[1] + 0.3))
  figure.set_layout_engine("none")  # which knows nothing of what axes of three dimensions need
  width, height = figure.get_size_inches()
  place = (_LEFT / width, (height - figure.heading - side + _EMPTY) / height, side / width, side / height)
  axes: Any = figure.add_axes(place, projection="3d", computed_zorder=False)
  axes.set_proj_type("ortho")
  axes.set_box_aspect(_ASPECT)
  axes.set_xlim(*shown.box[0])
  axes.set_ylim(*shown.box[1])
  axes.set_zlim(0.0, 1.0 + 2 * _LIFT)
  axes.set_xlabel("x", size=9)
  axes.set_ylabel("y", size=9)
  axes.set_zlabel("f(x, y)", size=9)
  ticks = _ticks(shown)
  axes.set_zticks(shown.heights_of(ticks - shown.field.base), [number(tick) for tick in ticks])
  axes.tick_params(labelsize=8, pad=1, color=GREY)
  axes.xaxis.set_major_locator(
    MaxNLocator(_TICKS, steps=[1, 2, 5, 10], prune="both")
  )  # at a corner, two numbers would meet
  axes.yaxis.set_major_locator(MaxNLocator(_TICKS, steps=[1, 2, 5, 10], prune="both"))
  for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
    axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
    axis._axinfo["grid"].update(color="#E4E4E4", linewidth=0.6)
  return axes


def _ticks(shown: Surface) -> np.ndarray:
  """Round values that divide the heights evenly."""
  low, high = shown.field.base, shown.field.base + shown.field.top
  if shown.power == 1.0:
    ticks = np.asarray(MaxNLocator(_TICKS).tick_values(low, high))
  else:
    values = low + shown.field.top * np.linspace(0.0, 1.0, _TICKS + 1) ** (1.0 / shown.power)
    ticks = np.unique([float(f"{value:.1g}") for value in values])
  return ticks[(ticks >= low) & (ticks <= high)]


def _draw_surface(axes: Any, shown: Surface) -> None:
  """The surface, in the colours of the levels, with a mesh."""
  x, y = np.meshgrid(shown.field.x, shown.field.y)
  colors = PALE(shown.field.norm(np.nan_to_num(shown.field.gaps)))
  if not np.isfinite(shown.field.gaps).any():
    axes.text2D(0.5, 0.5, "not finite in this window", transform=axes.transAxes, ha="center", color=GREY, size=9)
    return
  axes.plot_surface(
    x, y, shown.grid, facecolors=colors, rstride=_MESH_STRIDE, cstride=_MESH_STRIDE, lightsource=LightSource(225, 55),
    edgecolor="#9FB0BF", linewidth=0.15, antialiased=True, zorder=1,
  )  # fmt: skip


def _draw_path(axes: Any, path: Path, points: np.ndarray, marked: np.ndarray, behind: np.ndarray) -> None:
  """The part behind the surface pale and dotted, the rest as it is in every picture."""
  style = path.style.drawn(path.width, path.size)
  hidden = {**style, "linestyle": ":", "linewidth": 1.2, "alpha": 0.45, "markersize": 0.8 * path.size}
  for seen, look in ((~behind, style), (behind, hidden)):
    part = np.where(seen[:, None], points, np.nan)
    if seen is not behind:
      axes.plot(*part.T, color="white", linewidth=path.width + RIM, alpha=0.8, zorder=BELOW)
    (line,) = axes.plot(*part.T, **look, zorder=LINES + path.height)
    line.set_markevery(marked & seen)


def _draw_mark(axes: Any, mark: Line2D, shown: Surface) -> None:
  """A start or a minimum, above everything."""
  vertices = np.column_stack([np.asarray(data, np.float64) for data in mark.get_data()])
  inside = within(vertices, shown.box)
  points = shown.lifted(vertices[inside])
  style = {name: getattr(mark, f"get_{name}")() for name in _MARK_STYLE}
  axes.plot(*vertices[inside].T, points[:, 2], linestyle="none", zorder=mark.get_zorder(), **style)
