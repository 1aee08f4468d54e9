"""torch's line search for L-BFGS."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_integer, check_not_negative
from gradxform.compat.torch._namespace import optimizer
from gradxform.core import Hyperparameter
from gradxform.rules import whole_tree
from gradxform.transforms._line_search import _moved, _Point, _slope, _where
from gradxform.tree import scaled

_DECREASE, _CURVATURE = 1e-4, 0.9


class _Search(NamedTuple):
  """Where the search stands; the bracket has two ends, of which `low` is the lower."""

  trial: jax.Array
  last: _Point
  bracket: _Point
  low: jax.Array
  zooming: jax.Array
  stuck: jax.Array
  done: jax.Array
  tries: jax.Array


class _Limits(NamedTuple):
  """What a search is measured against."""

  start: _Point
  max_steps: int
  reach: jax.Array
  tolerance_change: Any

  def is_high(self, at: _Point, than: jax.Array) -> jax.Array:
    """Whether the value falls too little, or is no lower than another."""
    enough = self.start.value + _DECREASE * at.step * self.start.slope
    return (at.value > enough) | (at.value >= than)

  def is_flat(self, at: _Point) -> jax.Array:
    """Whether the slope has fallen enough."""
    return jnp.abs(at.slope) <= -_CURVATURE * self.start.slope


def _ends(a: _Point, b: _Point) -> _Point:
  return jax.tree.map(lambda x, y: jnp.stack([x, y]), a, b)


def _end(bracket: _Point, index: jax.Array | int) -> _Point:
  return jax.tree.map(lambda ends: ends[index], bracket)


def _lower(bracket: _Point) -> jax.Array:
  return jnp.where(bracket.value[0] <= bracket.value[1], 0, 1).astype(np.int32)


def _cubic(a: _Point, b: _Point, least: jax.Array, most: jax.Array) -> jax.Array:
  """The minimum of the cubic through two points with their slopes, kept within the bounds; else their middle."""
  a, b = _where(a.step <= b.step, a, b), _where(a.step <= b.step, b, a)
  d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
  square = d1 * d1 - a.slope * b.slope
  d2 = jnp.sqrt(jnp.where(square >= 0, square, 0))
  step = b.step - (b.step - a.step) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
  return jnp.where(square >= 0, jnp.clip(step, least, most), (least + most) / 2)


def _bracketed(s: _Search, at: _Point, limits: _Limits) -> _Search:
  """A trial before there is a bracket: beyond the last, until the minimum is between them."""
  over = s.tries >= limits.max_steps
  high = limits.is_high(at, jnp.where(s.tries > 1, s.last.value, jnp.inf))
  flat = ~high & limits.is_flat(at)
  first = _where(over, limits.start, _where(flat, at, s.last))
  bracket = _ends(first, at)
  beyond = _cubic(s.last, at, at.step + 0.01 * (at.step - s.last.step), 10 * at.step)
  return s._replace(
    trial=beyond, last=at, bracket=bracket, low=_lower(bracket), zooming=high | (at.slope >= 0), done=over | flat
  )


def _zoomed(s: _Search, at: _Point, limits: _Limits) -> _Search:
  """A trial within the bracket, of which it becomes an end."""
  low = _end(s.bracket, s.low)
  high = limits.is_high(at, low.value)
  flat = limits.is_flat(at)
  turns = ~high & ~flat & (at.slope * (_end(s.bracket, 1 - s.low).step - low.step) >= 0)
  replaced = jnp.where(high, 1 - s.low, s.low)
  turned = jax.tree.map(lambda ends, end: jnp.where(turns, ends.at[1 - s.low].set(end), ends), s.bracket, low)
  bracket = jax.tree.map(lambda ends, end: ends.at[replaced].set(end), turned, at)
  return s._replace(bracket=bracket, low=jnp.where(high, _lower(bracket), s.low), done=~high & flat)


def _within(s: _Search, limits: _Limits) -> _Search:
  """The next trial within the bracket, away from its ends; or none, if it is too narrow."""
  least, most = jnp.min(s.bracket.step), jnp.max(s.bracket.step)
  trial = _cubic(_end(s.bracket, 0), _end(s.bracket, 1), least, most)
  margin = 0.1 * (most - least)
  near = jnp.minimum(most - trial, trial - least) < margin
  moved = near & (s.stuck | (trial >= most) | (trial <= least))
  inner = jnp.where(jnp.abs(trial - most) < jnp.abs(trial - least), most - margin, least + margin)
  over = (s.tries >= limits.max_steps) | ((most - least) * limits.reach < limits.tolerance_change)
  return s._replace(trial=jnp.where(moved, inner, trial), stuck=near & ~moved, done=over)


def _advance(s: _Search, at: _Point, limits: _Limits) -> _Search:
  """The search after one trial."""
  new = jax.tree.map(partial(jnp.where, s.zooming), _zoomed(s, at, limits), _bracketed(s, at, limits))
  next_within = jax.tree.map(partial(jnp.where, new.zooming & ~new.done), _within(new, limits), new)
  return next_within._replace(tries=s.tries + 1)


@optimizer
def strong_wolfe(max_steps: int = 24, tolerance_change: Hyperparameter = 1e-9):
  """Torch's search for a step that satisfies the strong Wolfe conditions: bracket, then zoom.

      u ← α · d   with   f(p + α d) ≤ f(p) + 10⁻⁴ α ∇f·d   and   |∇f(p + α d)·d| ≤ 0.9 |∇f·d|

  The direction d comes in with the sign of descent; the first trial is α = 1. If the `max_steps` do
  not suffice, the lower end of the bracket is taken, which may be 0.

  Args:
    max_steps: trials after the first, at least 0.
    tolerance_change: the bracket's width, in the parameter that moves most, below which it stops.

  State, scalars: ``step_size`` α; ``evaluations`` of the objective with its gradient so far.

  Raises:
    ValueError: if `update` is not given ``value``, ``grad``, ``value_fn`` and the parameters.

  Source: ``line_search_fn="strong_wolfe"`` of ``torch.optim.LBFGS``, from Schmidt's minFunc; our own
  is `gradxform.zoom_line_search`.
  """
  check_integer("strong_wolfe", minimum=0, max_steps=max_steps)
  check_not_negative("strong_wolfe", tolerance_change=tolerance_change)

  def rule(updates, *, param, value, grad, value_fn, tolerance_change, step_size, evaluations):
    now = _slope(grad, updates)
    start = _Point(jnp.zeros_like(now), jnp.asarray(value, now.dtype), now)
    reach = [jnp.max(jnp.abs(d), initial=0).astype(now.dtype) for d in jax.tree.leaves(updates)]
    limits = _Limits(start, max_steps, jnp.max(jnp.stack([start.step, *reach])), tolerance_change)

    def evaluate(step):
      new, new_grad = jax.value_and_grad(value_fn)(_moved(param, step, updates))
      return _Point(step, jnp.asarray(new, now.dtype), _slope(new_grad, updates).astype(now.dtype))

    no, zero = jnp.asarray(False), jnp.zeros((), np.int32)
    began = _Search(jnp.ones_like(now), start, _ends(start, start), zero, no, no, ~(now < 0), zero)
    end = jax.lax.while_loop(lambda s: ~s.done, lambda s: _advance(s, evaluate(s.trial), limits), began)
    step = _end(end.bracket, end.low).step
    return scaled(step, updates), step.astype(step_size.dtype), evaluations + end.tries

  return whole_tree(
    "strong_wolfe",
    rule,
    scalars={"step_size": 1.0, "evaluations": np.int32(0)},
    tolerance_change=tolerance_change,
  )
