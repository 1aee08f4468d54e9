"""How fast a path converges: its order and rate, against theory on quadratics."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradxform._checks import check_choice, rejected
from gradxform.core import Transform
from gradxform.objectives import Objective
from gradxform.trajectories._path import Trajectory
from gradxform.trajectories._programs import distances

MEASURES = ("distance", "value", "gradient_norm")
_FEWEST = 4  # errors from which an order can be read
_LAST = 4  # pairs of a fast ending
_MOST_VARIABLES = 200
_SLACK = 100.0  # rounding leaves a step that should end at the minimum of a quadratic a little above the floor
_LITTLE = 0.01  # change of the logarithm of the error over half a path, which counts as none


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
    order: q; NaN if it is diverged, finite or too short.
    rate: r: of a linear path the ratio of errors from step to step, where they oscillate that of
      their envelope; NaN with the order.
    steps: after how many the error is down to rounding; ``None`` if it is not.
    theory: the rate in theory, of a linear iteration on a quadratic (see `linear_rate`); otherwise NaN.
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


@dataclasses.dataclass(frozen=True)
class BestRates:
  """The best that theory allows on a convex quadratic with curvatures from m to L, κ = L / m.

  Attributes:
    learning_rate: of gradient descent, 2 / (L + m).
    rate: its error ratio, (κ − 1) / (κ + 1).
    momentum_learning_rate: of the heavy ball, 4 / (√L + √m)².
    momentum: ((√κ − 1) / (√κ + 1))².
    momentum_rate: its error ratio in the long run, (√κ − 1) / (√κ + 1).
    conjugate_gradient_steps: the number n of variables, which conjugate gradients need at most.
  """

  learning_rate: float
  rate: float
  momentum_learning_rate: float
  momentum: float
  momentum_rate: float
  conjugate_gradient_steps: int


def best_rates(objective: Objective) -> BestRates:
  """Computes the best settings and rates for a convex quadratic.

  Args:
    objective: a quadratic, with a constant ``hessian``.

  Raises:
    ValueError: if it is not known to be a convex quadratic.

  Source: Polyak 1964; Nocedal & Wright 2006, sections 3.3 and 5.1.

  >>> from gradxform import objectives
  >>> round(best_rates(objectives.bowl()).rate, 6)
  0.904762
  """
  kappa, (least, greatest) = objective.condition_number, objective.curvature
  root = np.sqrt(kappa)
  slow = float((root - 1) / (root + 1))
  momentum_learning_rate = float(4 / (np.sqrt(greatest) + np.sqrt(least)) ** 2)
  return BestRates(
    2 / (greatest + least), (kappa - 1) / (kappa + 1), momentum_learning_rate, slow**2, slow, objective.n
  )


def linear_rate(optimizer: Transform, objective: Objective) -> float:
  """Computes the rate in theory of an optimizer on a quadratic, where its step is linear.

      ρ = max |λ(J)|,   J the Jacobian of (point, state) ↦ one step

  So for gradient descent ρ = max |1 − a λ(H)|; momentum, with its state, has the roots of its
  second-order recurrence. That the step is linear is tested, not assumed: J must be the same at
  the minimum and elsewhere, and tell what the step does.

  Args:
    optimizer: a transform of this package.
    objective: what it descends on.

  Returns:
    The spectral radius; NaN where the objective is no quadratic or has more than 200 variables,
    or the step is not linear, as that of Adam or of a line search.

  Source: Polyak 1964; Nocedal & Wright 2006, section 3.3.

  >>> import gradxform as gx
  >>> from gradxform import objectives
  >>> round(linear_rate(gx.sgd(0.4), objectives.bowl()), 6)
  0.92
  """
  if objective.hessian is None or objective.n > _MOST_VARIABLES or optimizer.part.reads - {"value_fn", "param"}:
    return np.nan
  with jax.enable_x64(True):
    step, size = _step_from_minimum(optimizer, objective)
    jacobian, somewhere = jax.jit(jax.jacfwd(step)), np.random.default_rng(0).normal(size=size)
    here, there = np.asarray(jacobian(np.zeros(size))), np.asarray(jacobian(somewhere))
    moved = np.asarray(step(somewhere) - step(np.zeros(size)))
  if not np.isfinite(here).all() or not np.allclose(here, there, rtol=1e-9, atol=1e-12):
    return np.nan
  if not np.allclose(moved, here @ somewhere, rtol=1e-9, atol=1e-9):
    return np.nan
  return float(np.abs(np.linalg.eigvals(here)).max(initial=0.0))


def _step_from_minimum(optimizer: Transform, objective: Objective) -> tuple[Callable[[Any], jax.Array], int]:
  """A step as a function of one vector of point and state; the minimum with the first state is at 0."""
  minimum = jnp.asarray(objective.minima[0] if len(objective.minima) else np.zeros(objective.n), jnp.float64)
  state = optimizer.init(minimum)
  floats = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(state)]
  numbers, structure = jax.tree.flatten(state)
  kept = [leaf for leaf, is_float in zip(numbers, floats, strict=True) if is_float]
  origin, unravel = ravel_pytree((minimum, kept))

  def step(moved: Any) -> jax.Array:
    point, moved_state = unravel(origin + moved)
    fill = iter(moved_state)
    full = [next(fill) if is_float else leaf for leaf, is_float in zip(numbers, floats, strict=True)]
    grads = jax.grad(objective.fn)(point)
    new, out = optimizer.step(grads, jax.tree.unflatten(structure, full), point, value_fn=objective.fn)
    kept = [leaf for leaf, is_float in zip(jax.tree.leaves(out), floats, strict=True) if is_float]
    return ravel_pytree((new, kept))[0]

  return step, origin.size


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
  last = trajectory.objective.n if trajectory.objective.hessian is not None else -1
  ended = np.flatnonzero(errors[: last + 1] <= _SLACK * floor)
  small = ended if ended.size else np.flatnonzero(errors <= floor)
  steps = int(small[0]) if small.size else None
  theory = linear_rate(trajectory.optimizer, trajectory.objective)
  fit = functools.partial(Convergence, trajectory.name, trajectory, measure, errors, steps=steps, theory=theory)
  if trajectory.diverged or not np.isfinite(errors).all():
    return fit(kind="diverged", order=np.nan, rate=np.nan)
  useful = errors if steps is None else errors[:steps]
  if ended.size:
    return fit(kind="finite", order=np.nan, rate=np.nan)
  if len(useful) < _FEWEST:
    return fit(kind="too short", order=np.nan, rate=np.nan)
  kind, order, rate = _fast_ending(np.log(useful)) or _slow_ending(np.log(useful), finished=steps is not None)
  return fit(kind=kind, order=order, rate=rate)


def _errors(trajectory: Trajectory, measure: str) -> tuple[np.ndarray, float]:
  """The errors, and those that are as good as none in the path's precision."""
  known, eps = trajectory.objective, 16 * float(np.finfo(trajectory.points.dtype).eps)
  if measure == "gradient_norm":
    norms = trajectory.gradient_norms.astype(np.float64)
    return norms, eps * float(np.max(norms[np.isfinite(norms)], initial=0.0))
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


def _fast_ending(logs: np.ndarray) -> tuple[str, float, float] | None:
  """Order and rate of a path whose last steps gain more and more digits; `None` for any other."""
  gains = -np.diff(logs)
  half = gains[len(gains) // 2 : -3]
  grows = (gains[-2:] > 1.1 * gains[-3:-1]).all() and gains[-1] > np.log(10)
  outruns = len(half) >= 3 and gains[-3:].mean() > 2 * max(half.mean(), 0) and gains[-3:].min() > np.log(2)
  if len(gains) < 3 or not (grows or outruns):
    return None
  pairs = min(_LAST, len(gains)) if not grows or (gains[-3] > 1.1 * gains[-4:-3]).all() else 3
  order, intercept = np.polyfit(logs[-pairs - 1 : -1], logs[-pairs:], 1)
  if order < 1.05:
    return None
  kind = "cubic" if order >= 2.5 else "quadratic" if order >= 1.75 else "superlinear"
  return kind, float(order), float(np.exp(intercept))


def _slow_ending(logs: np.ndarray, *, finished: bool) -> tuple[str, float, float]:
  """Linear or slower: the slope of the envelope over the second half."""
  envelope = np.maximum.accumulate(logs[::-1])[::-1]
  end = len(logs) if finished or len(logs) < 10 else len(logs) - len(logs) // 10  # what is to come lifts the envelope
  start = end // 2 if end >= 8 else end - 4
  steps, tail = np.arange(start, end, dtype=np.float64), envelope[start:end]
  if logs[end - 1] > logs[start] + _LITTLE and logs[-1] > logs[0]:
    return "diverging", 1.0, float(np.exp(np.polyfit(steps, logs[start:end], 1)[0]))
  (slope, _), linear, *_ = np.polyfit(steps, tail, 1, full=True)
  _, power, *_ = np.polyfit(np.log(steps + 1), tail, 1, full=True)
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
