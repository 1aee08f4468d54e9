"""Line searches: how far to go along a direction. They come last, after the sign of descent."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_choice, check_fraction, check_integer, check_less
from gradxform.core import Hyperparameter, named
from gradxform.rules import Emitted, whole_tree
from gradxform.tree import add_and_round, scaled, vdot

GUESSES = ("unit", "scaled")
# `value` is infinite before the first step, which tells `optax.value_and_grad_from_state` to compute it.
_FIRST = {"step_size": 1.0, "slope": 0.0, "value": Emitted(math.inf), "evaluations": np.int32(0)}


def _moved(param: Any, step: jax.Array, direction: Any) -> Any:
  return jax.tree.map(lambda p, d: add_and_round(p, step.astype(jnp.real(d).dtype) * d), param, direction)


def _slope(grad: Any, direction: Any) -> jax.Array:
  """The derivative along the direction: with JAX's gradient of a complex parameter, of its conjugate."""
  return vdot(jax.tree.map(jnp.conj, grad), direction)


def _first_step(guess: str, count: jax.Array, step_size: jax.Array, slope: jax.Array, now: jax.Array) -> jax.Array:
  """1, or the last step scaled so that the first-order change is that of the last time (N&W section 3.5).

  At most ten times the last step: near a minimum the slopes fall a thousandfold from step to step.
  """
  if guess == "unit":
    return jnp.ones_like(now)
  scaled = step_size * jnp.minimum(slope / jnp.where(now == 0, 1, now), 10)
  first = jnp.minimum(1, jnp.where(now == 0, 1, 1 / jnp.sqrt(jnp.abs(now))))  # of length 1 along a gradient
  return jnp.where((count > 0) & jnp.isfinite(scaled) & (scaled > 0), scaled, first).astype(now.dtype)


@named
def backtracking_line_search(
  max_steps: int = 30,
  *,
  decrease: Hyperparameter = 1e-4,
  shrink: Hyperparameter = 0.5,
  guess: str = "unit",
):
  """Halves the step until the objective falls enough: Armijo's condition.

      u ← α · d,   the first α of α₀, τα₀, τ²α₀, … with f(p + α d) ≤ f(p) + c₁ α ∇f·d

  The direction d comes in with the sign of descent. If no α of the `max_steps` will do, or d does
  not descend, the step is 0.

  Args:
    max_steps: evaluations of the objective at most, at least 1.
    decrease: c₁ in [0, 1), the share of the decrease that the slope promises.
    shrink: τ in [0, 1).
    guess: ``unit``, to start at α₀ = 1, as quasi-Newton methods want, or ``scaled``, from the last
      step, scaled as the slope has changed.

  State, scalars: ``step_size`` α; ``slope`` ∇f·d; ``value``, f at the new point; ``evaluations`` of the
  objective so far.

  Raises:
    ValueError: if `update` is not given ``value``, ``grad``, ``value_fn`` and the parameters.

  Source: Nocedal & Wright 2006, algorithm 3.1; Armijo 1966.
  """
  check_integer("backtracking_line_search", minimum=1, max_steps=max_steps)
  check_fraction("backtracking_line_search", decrease=decrease, shrink=shrink)
  check_choice("backtracking_line_search", GUESSES, guess=guess)

  def rule(updates, *, param, value, grad, value_fn, count, decrease, shrink, step_size, slope, evaluations):
    now = _slope(grad, updates)
    value = jnp.asarray(value, now.dtype)

    def enough(step, new):
      return (new <= value + decrease * step * now) & (now < 0)

    def trial(carry):
      step, _, tries = carry
      step = jnp.where(tries > 0, shrink * step, step).astype(step.dtype)
      return step, jnp.asarray(value_fn(_moved(param, step, updates)), now.dtype), tries + 1

    def go_on(carry):
      return ~enough(*carry[:2]) & (carry[2] < max_steps)

    first = _first_step(guess, count, step_size, slope, now)
    step, new, tries = jax.lax.while_loop(go_on, trial, trial((first, value, jnp.zeros((), jnp.int32))))
    found = enough(step, new)
    step, new = jnp.where(found, step, 0), jnp.where(found, new, value)
    return scaled(step, updates), step, now, new, evaluations + tries

  return whole_tree("backtracking_line_search", rule, scalars=_FIRST, decrease=decrease, shrink=shrink)


class _Point(NamedTuple):
  """A step along the line, with value and slope there."""

  step: jax.Array
  value: jax.Array
  slope: jax.Array


def _where(condition: jax.Array, a: _Point, b: _Point) -> _Point:
  return _Point(*(jnp.where(condition, x, y) for x, y in zip(a, b, strict=True)))


class _Search(NamedTuple):
  """Where a search for the Wolfe conditions stands; the gradient is that at the low end."""

  trial: jax.Array
  low: _Point
  high: _Point
  grad: Any
  zooming: jax.Array
  done: jax.Array
  tries: jax.Array


class _Wolfe(NamedTuple):
  """The strong Wolfe conditions, for steps from a start."""

  start: _Point
  decrease: jax.Array
  curvature: jax.Array

  def falls_enough(self, at: _Point) -> jax.Array:
    """The first condition, or where rounding hides the decrease its approximate form."""
    value, slope = self.start.value, self.start.slope
    rounding = 10 * jnp.finfo(value.dtype).eps * jnp.abs(value)
    plainly = at.value <= value + self.decrease * at.step * slope
    return plainly | ((at.value <= value + rounding) & (at.slope <= (2 * self.decrease - 1) * slope))

  def is_flat(self, at: _Point) -> jax.Array:
    """The second condition."""
    return jnp.abs(at.slope) <= -self.curvature * self.start.slope


def _advance(s: _Search, at: _Point, new_grad: Any, wolfe: _Wolfe) -> _Search:
  """One trial: while bracketing (N&W algorithm 3.5) and while zooming (3.6)."""
  no_lower = ~(at.value < s.low.value) & (at.value > wolfe.start.value) & (s.tries > 0)
  too_high = ~wolfe.falls_enough(at) | no_lower
  # Beyond `at` in the direction of the old end, the slope points back: the bracket turns round.
  turns = ~too_high & (at.slope * jnp.where(s.zooming, s.high.step - s.low.step, 1) >= 0)
  high = _where(too_high, at, _where(turns, s.low, s.high))
  low = _where(too_high, s.low, at)
  kept = jax.tree.map(lambda old, new: jnp.where(too_high, old, new), s.grad, new_grad)
  zooming = s.zooming | too_high | turns
  trial = jnp.where(zooming, _cubic(low, high), 2 * at.step)
  return _Search(trial, low, high, kept, zooming, ~too_high & wolfe.is_flat(at), s.tries + 1)


def _cubic(a: _Point, b: _Point) -> jax.Array:
  """The minimum of the cubic through two points with their slopes; N&W equation 3.59, kept inside."""
  width = b.step - a.step
  d1 = a.slope + b.slope - 3 * (b.value - a.value) / jnp.where(width == 0, 1, width)
  root = jnp.sign(width) * jnp.sqrt(jnp.maximum(d1 * d1 - a.slope * b.slope, 0))
  divisor = b.slope - a.slope + 2 * root
  step = b.step - width * (b.slope + root - d1) / jnp.where(divisor == 0, 1, divisor)
  nearest, farthest = a.step + 0.1 * width, b.step - 0.1 * width
  inside = jnp.isfinite(step) & ((step - nearest) * (step - farthest) <= 0)
  return jnp.where(inside, step, a.step + 0.5 * width)


@named
def zoom_line_search(
  max_steps: int = 30,
  *,
  decrease: Hyperparameter = 1e-4,
  curvature: Hyperparameter = 0.9,
  guess: str = "unit",
):
  """Searches a step that satisfies the strong Wolfe conditions: bracket, then zoom.

      u ← α · d   with   f(p + α d) ≤ f(p) + c₁ α ∇f·d   and   |∇f(p + α d)·d| ≤ c₂ |∇f·d|

  The direction d comes in with the sign of descent. Trial steps double until they bracket such an
  α; then they are the minima of cubics through the ends of the bracket, with their slopes. Where
  rounding hides the decrease, the approximate form of the first condition takes its place (Hager
  & Zhang). If the `max_steps` do not suffice, the best point of decrease is taken, or none.

  Args:
    max_steps: evaluations of the objective and its gradient at most, at least 1.
    decrease: c₁ in [0, 1).
    curvature: c₂ in [0, 1), greater than c₁: 0.9 for quasi-Newton methods, 0.1 for conjugate
      gradients.
    guess: ``unit``, to start at α = 1, as quasi-Newton methods want, or ``scaled``, from the last
      step, scaled as the slope has changed.

  State, scalars: ``step_size`` α; ``slope`` ∇f·d; ``value``, f at the new point; ``evaluations`` of the
  objective with its gradient so far. Slot: ``grad``, the gradient at the new point. Both are where
  `optax.value_and_grad_from_state` looks for them, so that the next step need not compute them.

  Raises:
    ValueError: if `update` is not given ``value``, ``grad``, ``value_fn`` and the parameters.

  Source: Nocedal & Wright 2006, algorithms 3.5 and 3.6; Hager & Zhang 2005, equation 4.1.
  """
  check_integer("zoom_line_search", minimum=1, max_steps=max_steps)
  check_fraction("zoom_line_search", decrease=decrease, curvature=curvature)
  check_less("zoom_line_search", decrease=decrease, curvature=curvature)
  check_choice("zoom_line_search", GUESSES, guess=guess)

  def rule(
    updates, old_grad, *, param, value, grad, value_fn, count, decrease, curvature, step_size, slope, evaluations
  ):
    del old_grad
    now = _slope(grad, updates)
    start = _Point(jnp.zeros_like(now), jnp.asarray(value, now.dtype), now)

    def evaluate(step):
      new, new_grad = jax.value_and_grad(value_fn)(_moved(param, step, updates))
      at = _Point(step, jnp.asarray(new, now.dtype), _slope(new_grad, updates).astype(now.dtype))
      bad = ~(jnp.isfinite(at.value) & jnp.isfinite(at.slope))
      return at._replace(value=jnp.where(bad, jnp.inf, at.value), slope=jnp.where(bad, 1, at.slope)), new_grad

    first = _first_step(guess, count, step_size, slope, now)
    began = _Search(first, start, start, grad, jnp.asarray(False), now >= 0, jnp.zeros((), jnp.int32))
    conditions = _Wolfe(start, decrease, curvature)
    end = jax.lax.while_loop(
      lambda s: ~s.done & (s.tries < max_steps), lambda s: _advance(s, *evaluate(s.trial), conditions), began
    )
    found = end.low
    return scaled(found.step, updates), end.grad, found.step, now, found.value, evaluations + end.tries

  return whole_tree("zoom_line_search", rule, slots=("grad",), scalars=_FIRST, decrease=decrease, curvature=curvature)


@named
def exact_line_search():
  """Goes to the minimum along the direction, where the objective is quadratic.

      u ← α · d,   α = −∇f·d / d·H d,   H = ∇²f(p)

  It takes one Hessian-vector product. Where the curvature d·H d is not positive, so that there is
  no minimum, α is 1.

  State, scalars: ``step_size`` α.

  Raises:
    ValueError: if `update` is not given ``value_fn`` and the parameters.

  Source: Nocedal & Wright 2006, equation 3.55 (for the quadratic), 3.26.
  """

  def rule(updates, *, param, value_fn, step_size):
    as_param = jax.tree.map(lambda d, p: d.astype(p.dtype), updates, param)
    grad, curved = jax.jvp(jax.grad(value_fn), (param,), (as_param,))
    slope, bend = _slope(grad, updates), _slope(curved, updates)
    step = jnp.where(bend > 0, -slope / jnp.where(bend > 0, bend, 1), 1)
    return scaled(step, updates), step.astype(step_size.dtype)

  return whole_tree("exact_line_search", rule, scalars={"step_size": 1.0})
