"""How fast a path converges: its order and rate."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from gradxform._checks import check_choice, rejected
from gradxform.objectives import Objective
from gradxform.trajectories._path import Trajectory
from gradxform.trajectories._programs import distances
from gradxform.trajectories._theory import linear_rate

MEASURES = ("distance", "value", "gradient_norm")
_FEWEST = 4  # errors from which an order can be read
_FEW = 8  # errors from which a rate can be read where steps gain unequally
_LAST = 4  # pairs of a fast ending
_EQUAL = 0.2  # relative spread of the gains of the last steps, up to which they count as the same
_SLACK = 100.0  # rounding comes and goes: times the floor, what is no way back from it
_MOST_SLACK = 1e6
_FASTEST = 0.01  # rate, below which steps that gain unequally are no linear convergence
_LITTLE = 0.01  # change of the logarithm of the error over half a path, which counts as none
_TINY = float(np.finfo(np.float64).tiny)


@dataclasses.dataclass(frozen=True, eq=False)
class Convergence:
  """How fast the errors of a path fall: eₖ₊₁ ≈ r · eₖ^q.

  Attributes:
    name: that of the trajectory.
    trajectory: what was analysed.
    measure: of the errors: ``distance``, ``value`` or ``gradient_norm``.
    errors: ``[steps + 1]``, the start first.
    kind: ``diverged``; ``diverging``, its errors grow; ``finite``, at the minimum of a quadratic
      after at most as many steps as it has variables; ``cubic``, ``quadratic``, ``superlinear``,
      ``linear``, ``sublinear``; ``stalled``; or ``too short`` to say.
    order: q; NaN if it is diverged, finite or too short, or superlinear with errors too few to tell.
    rate: r: of a linear path the ratio of errors from step to step, where they oscillate that of
      their envelope; NaN with the order.
    steps: after how many the error is down to rounding, and stays there; ``None`` if it is not.
    theory: the rate in theory, of a linear iteration on a quadratic: `linear_rate`, of values its
      square; otherwise NaN.
  """

  name: str
  trajectory: Trajectory
  measure: str
  errors: np.ndarray
  kind: str
  order: float
  rate: float
  steps: int | None
  theory: float

  def __repr__(self) -> str:
    return f"<convergence of {self.name}: {self.kind}, order {self.order:.3g}, rate {self.rate:.4g}>"


def convergence(trajectory: Trajectory, *, measure: str = "distance") -> Convergence:
  """Reads order and rate of convergence off a path.

      eₖ₊₁ ≈ r · eₖ^q

  It looks at the second half of the errors before rounding ends them: for a linear path at the slope
  of their logarithm (of its envelope, if they oscillate), for a fast one at the last few pairs.

  Args:
    trajectory: what `record` returned.
    measure: the error: ``distance`` from the minimum at which the path ends (the nearest of the
      objective's ``minima`` and ``local_minima``), ``value`` above the least, or ``gradient_norm``.

  Returns:
    A `Convergence`. Paths that diverge or are too short have a kind that says so, and NaN.

  Raises:
    ValueError: for another measure, or one for which the objective's minimum is not known.

  Source: Nocedal & Wright 2006, appendix A.2, rates of convergence.

  >>> import gradxform as gx
  >>> from gradxform import objectives
  >>> from gradxform.trajectories import record
  >>> convergence(record(gx.sgd(0.2), objectives.parabola(), 12))
  <convergence of sgd: linear, order 1, rate 0.6>
  """
  check_choice("convergence", MEASURES, measure=measure)
  errors, floor = _errors(trajectory, measure)
  theory = linear_rate(trajectory.optimizer, trajectory.objective) ** (2 if measure == "value" else 1)
  found = functools.partial(Convergence, trajectory.name, trajectory, measure, errors, theory=theory)
  if trajectory.diverged or not np.isfinite(errors).all():
    return found(kind="diverged", order=np.nan, rate=np.nan, steps=None)
  ended = _ended(errors, floor, trajectory.objective)
  if ended is not None:
    return found(kind="finite", order=np.nan, rate=np.nan, steps=ended)
  steps, logs = _settled(errors, floor, _SLACK * floor), np.log(np.maximum(errors, _TINY))
  useful = logs[:steps]
  below = None if steps is None else float(np.log(max(floor, _TINY)))
  kind, order, rate = "too short", np.nan, np.nan
  if len(useful) >= _FEWEST:
    fast = _fast_ending(useful, below)
    kind, order, rate = fast or _slow_ending(logs[: _fallen(errors, steps)], finished=steps is not None)
  return found(kind=kind, order=order, rate=rate, steps=steps)


def _settled(errors: np.ndarray, floor: float, slack: float) -> int | None:
  """The first step at which the error is no more than the floor, from which on it never exceeds the slack."""
  largest_to_come = np.maximum.accumulate(errors[::-1])[::-1]
  settled = np.flatnonzero((errors <= floor) & (largest_to_come <= slack))
  return int(settled[0]) if settled.size else None


def _ended(errors: np.ndarray, floor: float, objective: Objective) -> int | None:
  """After how many steps, at most its number of variables, it was at the minimum of a quadratic."""
  if objective.hessian is None:
    return None
  # conjugate directions lose that property to rounding, the more so the worse the condition
  with np.errstate(divide="ignore"):
    slack = floor * min(max(_SLACK, 16 * float(np.linalg.cond(objective.hessian))), _MOST_SLACK)
  steps = _settled(errors, slack, slack)
  return steps if steps is not None and steps <= objective.n else None


def _fallen(errors: np.ndarray, steps: int | None) -> int | None:
  """How many errors fell; where a minimum is at the origin, they fall far below the rounding of the first."""
  if steps is None:
    return None
  above = errors > _SLACK * np.min(errors[errors > 0], initial=np.inf)
  return max(steps, len(errors) if above.all() else int(np.argmin(above)))


def _errors(trajectory: Trajectory, measure: str) -> tuple[np.ndarray, float]:
  """The errors, and those that are as good as none in the path's precision."""
  known, eps = trajectory.objective, 16 * float(np.finfo(trajectory.points.dtype).eps)
  if measure == "gradient_norm":
    norms = trajectory.gradient_norms.astype(np.float64)
    return norms, eps * float(norms[0])
  if measure == "value":
    if not np.isfinite(known.minimum):
      wanted = f"'distance' or 'gradient_norm' for {known.name!r}, whose least value is not known, got 'value'."
      raise rejected(ValueError, "convergence", "measure", measure, wanted)
    errors = np.abs(trajectory.values.astype(np.float64) - known.minimum)
    return errors, eps * max(abs(known.minimum), float(errors[0]))
  minima = np.concatenate([known.minima, known.local_minima])
  if not len(minima):
    wanted = f"'value' or 'gradient_norm' for {known.name!r}, of which no minimum is known, got 'distance'."
    raise rejected(ValueError, "convergence", "measure", measure, wanted)
  from_each = distances(trajectory.points, minima)
  nearest = int(np.argmin(np.where(np.isfinite(from_each[-1]), from_each[-1], np.inf)))
  errors = from_each[:, nearest]
  return errors, eps * max(float(np.linalg.norm(minima[nearest])), float(errors[0]))


def _fast_ending(logs: np.ndarray, below: float | None) -> tuple[str, float, float] | None:
  """Order and rate of a path whose last steps gain more and more digits; `None` for any other.

  Where it went on below the floor, with the logarithm ``below``, that step gained at least as much.
  """
  gains = -np.diff(logs)
  known = gains
  if below is not None and logs[-1] - below > gains[-1]:
    gains = np.append(gains, logs[-1] - below)
  last, before = gains[-3:], gains[:-3]
  before = before[len(gains) // 2 :] if len(before) >= len(gains) // 2 + 3 else before
  grows = (last[1:] > 1.1 * last[:-1]).all() and last[-1] > np.log(10)
  outruns = len(before) >= 2 and last.mean() > 1.5 * max(before.mean(), 0) and last.min() > np.log(2)
  if last.sum() < np.log(1e3) or not (grows or (outruns and not _are_equal(last))):
    return None
  pairs = min(_LAST, len(known)) if not grows or (known[-3] > 1.1 * known[-4:-3]).all() else 3
  order, intercept = np.polyfit(logs[-pairs - 1 : -1], logs[-pairs:], 1)
  if order < 1.05:
    return "superlinear", np.nan, np.nan
  kind = "cubic" if order >= 2.5 else "quadratic" if order >= 1.75 else "superlinear"
  return kind, float(order), float(np.exp(intercept))


def _are_equal(gains: np.ndarray) -> bool:
  return np.ptp(gains) <= _EQUAL * np.abs(gains).min()


def _slow_ending(logs: np.ndarray, *, finished: bool) -> tuple[str, float, float]:
  """Linear or slower: the slope of the envelope over the second half."""
  if len(logs) < _FEW and not _are_equal(np.diff(logs)[-3:]):
    return "too short", np.nan, np.nan
  highest, envelope = np.maximum.accumulate(logs), np.maximum.accumulate(logs[::-1])[::-1]
  end = len(logs) if finished or len(logs) < 10 else len(logs) - len(logs) // 10  # what is to come lifts the envelope
  start = end // 2 if end >= 8 else end - 4
  steps, tail = np.arange(start, end, dtype=np.float64), envelope[start:end]
  if highest[end - 1] > highest[start] + _LITTLE:
    with np.errstate(over="ignore"):
      return "diverging", 1.0, float(np.exp(np.polyfit(steps, highest[start:end], 1)[0]))
  (slope, _), linear, *_ = np.polyfit(steps, tail, 1, full=True)
  _, power, *_ = np.polyfit(np.log(steps + 1), tail, 1, full=True)
  if slope < np.log(_FASTEST) and not _are_equal(np.diff(tail)):
    return "superlinear", np.nan, np.nan
  if tail[0] - tail[-1] < _LITTLE:
    kind = "stalled"
  else:
    kind = "sublinear" if not finished and 0 < 10 * power.sum() < linear.sum() else "linear"
  return kind, 1.0, float(np.exp(slope))


def convergence_table(analyses: Sequence[Convergence]) -> str:
  """Writes analyses as an aligned table: kind, order, rate, rate in theory, steps to rounding.

  Args:
    analyses: what `convergence` returned, in the order of the lines.
  """
  rows = [["", "kind", "order", "rate", "theory", "steps"]]
  for a in analyses:
    numbers = [
      f"{x:{form}}" if np.isfinite(x) else "—" for x, form in ((a.order, ".2f"), (a.rate, ".4g"), (a.theory, ".4g"))
    ]
    rows.append([a.name, a.kind, *numbers, "—" if a.steps is None else str(a.steps)])
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  align = ["<", "<", ">", ">", ">", ">"]
  lines = ["  ".join(f"{c:{a}{w}}" for c, a, w in zip(row, align, widths, strict=True)).rstrip() for row in rows]
  return "\n".join(lines)
