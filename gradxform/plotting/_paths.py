"""Trajectories as they are drawn: what is accepted, which part is in the window, and what is said of the rest."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradxform._checks import rejected
from gradxform.objectives import Objective
from gradxform.plotting._field import within
from gradxform.plotting._looks import Style, styles_of
from gradxform.plotting._style import entry
from gradxform.trajectories import Trajectory

Trajectories = Trajectory | Sequence[Trajectory] | Mapping[str, Trajectory]

_SAME = 0.005  # of the window: less than the width of a line
_FAR = 1e9  # windows
_MARGIN = 0.1
_BROAD, _FINE = 2.6, 1.5  # points
_MANY_STEPS = 30


@dataclasses.dataclass(frozen=True, eq=False)
class Path:
  """A trajectory as it is drawn.

  Attributes:
    name: that of the trajectory.
    style: its look.
    width: of the line, in points. Shorter paths lie above longer ones, which are broader.
    height: above the other lines, from 0 for the lowest to less than 1.
    notes: what the picture does not show: where it leaves the window, that it diverged, …
    vertices: the part of it in the window, ``[m, 2]``; rows of NaN are gaps.
    reached: the step that ends there, ``[m]``.
    marked: whether it is the point after that step, not one on the border, ``[m]``.
  """

  name: str
  style: Style
  width: float
  height: float
  notes: tuple[str, ...]
  vertices: np.ndarray
  reached: np.ndarray
  marked: np.ndarray

  @property
  def label(self) -> str:
    """Its entry in a legend."""
    return entry(self.name, self.notes)

  @property
  def size(self) -> float:
    """Of a marker, in points: smaller where many would hide the line."""
    steps = max(int(self.reached.max(initial=0)), 1)
    return float((self.width + 3.2) * min(1.0, max(0.45, np.sqrt(_MANY_STEPS / steps))))

  def until(self, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The vertices up to a step, and which of them are marked."""
    there = self.reached <= step
    return self.vertices[there], self.marked[there]


def as_sequence(function: str, trajectories: Trajectories, variables: Sequence[int] = ()) -> list[Trajectory]:
  """One trajectory, several, or a mapping, whose keys are their names; all over one objective.

  Raises:
    ValueError: if there is none, or several objectives, or one of a number of variables that is
      not among those given (if any are given).
    TypeError: if an element is not a trajectory.
  """
  if isinstance(trajectories, Mapping):
    several = [dataclasses.replace(t, name=str(name)) for name, t in trajectories.items()]
  else:
    several = [trajectories] if isinstance(trajectories, Trajectory) else list(trajectories)
  for t in several:
    if not isinstance(t, Trajectory):
      wanted = f"trajectories, as `record` and `race` return them, got {type(t).__name__}."
      raise rejected(TypeError, function, "trajectories", trajectories, wanted)
  objectives = list(dict.fromkeys(t.objective for t in several))
  if len(objectives) != 1:
    names = " and ".join(repr(o.name) for o in objectives)
    wanted = f"at least one, all over one objective, got {names or 'none'}."
    raise rejected(ValueError, function, "trajectories", trajectories, wanted)
  if variables:
    check_variables(function, "trajectories", trajectories, objectives[0], variables)
  return several


def check_variables(function: str, argument: str, value: Any, objective: Objective, variables: Sequence[int]) -> None:
  """The objective has one of these numbers of variables.

  Raises:
    ValueError: if it has another; the message says what draws it.
  """
  if objective.n not in variables:
    other = {1: "`line`", 2: "`level_sets`"}.get(objective.n, "`values`")
    wanted = f"{' or '.join({1: 'one', 2: 'two'}[n] for n in variables)} variable{'s' if 2 in variables else ''}"
    wanted = f"over an objective of {wanted}, got {objective.name!r} of {objective.n}. Draw it with {other}."
    raise rejected(ValueError, function, argument, value, wanted)


def as_box(function: str, window: Any, trajectories: Sequence[Trajectory]) -> np.ndarray:
  """The window ``[n, 2]``: the given one, the objective's, or one that holds what did not diverge.

  Raises:
    ValueError: if the given one is not a pair (low, high) for each variable, low < high.
  """
  objective = trajectories[0].objective
  if window is None and objective.box is not None:
    return objective.box
  if window is None:
    return _around(trajectories)
  try:
    box = np.asarray(window, np.float64).reshape(objective.n, 2)
  except (TypeError, ValueError):
    box = np.full((objective.n, 2), np.nan)
  if not (np.isfinite(box).all() and (box[:, 0] < box[:, 1]).all()):
    wanted = f"a pair (low, high), low < high, for each of {objective.n} variables, got {window!r}."
    raise rejected(ValueError, function, "window", window, wanted)
  return box


def _around(trajectories: Sequence[Trajectory]) -> np.ndarray:
  """A window around the starts, the minima, and the points that are no worse than the starts."""
  worst = max((t.values[0] for t in trajectories), default=np.inf)
  points = [t.points[(t.values <= worst) | (np.arange(t.steps + 1) == 0)] for t in trajectories]
  points = np.concatenate([*points, trajectories[0].objective.minima]).astype(np.float64)
  points = points[np.isfinite(points).all(axis=1)]
  points = points if len(points) else np.zeros((1, points.shape[1]))
  low, high = points.min(axis=0), points.max(axis=0)
  extent = np.maximum(high - low, 1e-3 * np.maximum(np.abs(low), np.abs(high)))
  extent = np.where(extent > 0, extent, 1.0)
  return np.stack([low - _MARGIN * extent, high + _MARGIN * extent], axis=1)


def paths_of(
  trajectories: Sequence[Trajectory],
  drawn: Sequence[np.ndarray],
  box: np.ndarray,
  notes: Sequence[Sequence[str]],
) -> list[Path]:
  """Paths in a window.

  Args:
    trajectories: whose names and styles they have.
    drawn: what is drawn of each, ``[steps + 1, 2]``.
    box: the window of that, ``[2, 2]``.
    notes: what is to be said of each; that it cannot be told from another is added.
  """
  twins = _twins([f"looks like {t.name}" for t in trajectories], drawn, box)
  seen = [visible(points, box) for points in drawn]
  heights = _heights([vertices for vertices, _, _ in seen], box)
  each = zip(trajectories, styles_of(trajectories), heights, notes, twins, seen, strict=True)
  return [
    Path(t.name, style, _BROAD - (_BROAD - _FINE) * height, height, (*said, *twin), *shown)
    for t, style, height, said, twin, shown in each
  ]


def _heights(vertices: Sequence[np.ndarray], box: np.ndarray) -> list[float]:
  """Which path lies above which: the longest is the lowest, at 0, the highest of many is at almost 1."""
  extent = box[:, 1] - box[:, 0]
  lengths = np.array([np.nansum(np.linalg.norm(np.diff(v / extent, axis=0), axis=1)) for v in vertices])
  order = np.argsort(np.argsort(-lengths, kind="stable"))
  return (order / len(order)).tolist()


def window_notes(trajectory: Trajectory, box: np.ndarray) -> list[str]:
  """Says where a path leaves the window, whether it comes back, and whether it diverged."""
  return exit_notes(trajectory.points, box, "the window") + divergence_notes(trajectory)


def exit_notes(points: np.ndarray, box: np.ndarray, place: str) -> list[str]:
  """Says at which step a path of points ``[m, k]`` leaves a box ``[k, 2]``, and when it comes back."""
  points = points.astype(np.float64)
  finite = np.isfinite(points).all(axis=1)
  inside = finite & within(points, box)
  outside = np.flatnonzero(finite & ~inside)
  if not outside.size:
    return []
  if not inside.any():
    return [f"never in {place}"]
  first = int(outside[0])
  back = np.flatnonzero(inside[first:])
  notes = [f"leaves {place} at step {first}" if first else f"starts outside {place}"]
  return notes + ([f"in it again at step {first + int(back[0])}"] if back.size else [])


def divergence_notes(trajectory: Trajectory) -> list[str]:
  """Says from which step on nothing is finite, or at which one something is not."""
  finite = np.isfinite(trajectory.points).all(axis=1) & np.isfinite(trajectory.values)
  if finite.all():
    return []
  if trajectory.diverged:
    last = np.flatnonzero(finite)
    return [f"diverged at step {int(last[-1]) + 1 if last.size else 0}"]
  return [f"not finite at step {int(np.argmin(finite))}"]


def _twins(said: Sequence[str], drawn: Sequence[np.ndarray], box: np.ndarray) -> list[list[str]]:
  """For each path, the first of those before it that it follows as closely as a line is broad."""
  extent = box[:, 1] - box[:, 0]
  scaled = [(np.clip(points, box[:, 0], box[:, 1]) - box[:, 0]) / extent for points in drawn]
  notes: list[list[str]] = [[] for _ in said]
  for index, other in itertools.product(range(len(said)), repeat=2):
    if other < index and not notes[index]:
      common = min(len(scaled[index]), len(scaled[other]))
      a, b = scaled[index][:common], scaled[other][:common]
      if common > 1 and np.array_equal(np.isnan(a), np.isnan(b)) and np.nanmax(np.abs(a - b), initial=0.0) <= _SAME:
        end = "" if len(scaled[index]) == len(scaled[other]) else f" up to step {common - 1}"
        notes[index] = [said[other] + end]
  return notes


def visible(points: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The part of a path in a box: its vertices, the steps that end there, and which are points of the path.

  The lines are cut at the border, as in Liang & Barsky 1984, rather than left to the renderer,
  which overflows where a path diverges. A gap is a row of NaN.
  """
  points = np.asarray(points, np.float64)
  middle, extent = box.mean(axis=1), box[:, 1] - box[:, 0]
  finite = np.all(np.isfinite(points), axis=1, keepdims=True)
  points = np.where(finite, np.clip(points, middle - _FAR * extent, middle + _FAR * extent), np.nan)
  enter, leave = _crossings(points[:-1], points[1:], box)
  rows: list[tuple[np.ndarray, int, bool]] = []
  if within(points[0], box):
    rows.append((points[0], 0, True))
  for step, (a, b, t, u) in enumerate(zip(points[:-1], points[1:], enter, leave, strict=True), start=1):
    ends_inside = bool(within(b, box))
    if not (t <= u or ends_inside):  # t and u are NaN where a or b is not finite
      continue
    if rows and t != 0:
      rows.append((np.full_like(a, np.nan), step, False))
    if t > 0:
      rows.append((a + t * (b - a), step, False))
    rows.append((b, step, True) if ends_inside else (a + u * (b - a), step, False))
  if not rows:
    return np.zeros((0, points.shape[1])), np.zeros(0, int), np.zeros(0, bool)
  vertices, reached, marked = zip(*rows, strict=True)
  return np.stack(vertices), np.array(reached), np.array(marked)


def _crossings(a: np.ndarray, b: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Where lines from a to b enter and leave a box, as parts of their lengths; NaN or crossed if they miss it."""
  with np.errstate(divide="ignore", invalid="ignore"):
    ends = (box.T[:, None] - a) / (b - a)
  first, last = np.minimum(*ends), np.maximum(*ends)
  still = a == b  # along this coordinate
  within = (a >= box[:, 0]) & (a <= box[:, 1])
  first = np.where(still, np.where(within, -np.inf, np.inf), first)
  last = np.where(still, np.where(within, np.inf, -np.inf), last)
  return np.maximum(first.max(axis=1), 0.0), np.minimum(last.min(axis=1), 1.0)
