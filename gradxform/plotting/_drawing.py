"""Lines and marks: paths with a marker at each step, their starts, and the minima."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradxform.plotting._field import minima_within
from gradxform.plotting._looks import BLACK, YELLOW
from gradxform.plotting._paths import Path
from gradxform.plotting._style import Picture
from gradxform.trajectories import Trajectory

BELOW, LINES, ABOVE = 3.0, 4.0, 5.0  # zorder: of rims, of lines, and of what nothing may hide
RIM = 1.8  # points, that the white rim of a line is broader


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
  """Axes with paths, each a line above a white rim: what an animation redraws."""

  axes: Axes
  paths: Sequence[Path]
  rims: list[Line2D]
  lines: list[Line2D]


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
  """A picture and its panels."""

  figure: Picture
  panels: list[Panel]


def draw_paths(axes: Axes, paths: Sequence[Path]) -> Panel:
  """Draws the white rims of all lines, and above them the lines, with a marker at each step."""
  rims, lines = [], []
  for path in paths:
    (rim,) = axes.plot(*path.vertices.T, color="white", linewidth=path.width + RIM, alpha=0.8, zorder=BELOW)
    (line,) = axes.plot(*path.vertices.T, **path.style.drawn(path.width, path.size), zorder=LINES + path.height)
    line.set_markevery(path.marked.tolist())
    line.set_label(path.name)
    rims.append(rim)
    lines.append(line)
  return Panel(axes, paths, rims, lines)


def legend_handles(paths: Sequence[Path]) -> list[Artist]:
  """The entries of paths in a legend."""
  return [Line2D([], [], label=path.label, **path.style.drawn(path.width, path.width + 3.2)) for path in paths]


def marks_of(trajectories: Sequence[Trajectory], box: np.ndarray) -> list[Line2D]:
  """The starts, the minima and the other local minima in the window."""
  starts = np.unique([t.points[0].astype(np.float64) for t in trajectories], axis=0)
  minima, others = minima_within(trajectories[0].objective, box)
  return point_marks(starts, minima, others)


def point_marks(starts: np.ndarray, minima: np.ndarray, others: np.ndarray) -> list[Line2D]:
  """Marks for points ``[k, 2]`` of three kinds, with their names; none for a kind without a point."""
  ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.3, "zorder": ABOVE}
  star = {"marker": "*", "markersize": 15, "markeredgewidth": 0.9, "zorder": 0.5 * (BELOW + LINES)}
  kinds = [
    (starts, "start", {**ring, "markeredgecolor": BLACK}),
    (minima, "minimum" if len(minima) == 1 else "minima", {**star, "color": YELLOW, "markeredgecolor": BLACK}),
    (others, "local minimum" if len(others) == 1 else "local minima",
     {**star, "markersize": 11, "color": "white", "markeredgecolor": BLACK}),
  ]  # fmt: skip
  return [Line2D(*points.T, linestyle="none", label=name, **style) for points, name, style in kinds if len(points)]
