"""A transform that runs only now and then, for what is dear and changes slowly."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from gradxform._checks import check_integer, check_transform
from gradxform.combinators import chain, divide, previous
from gradxform.compounds import Chain
from gradxform.core import Hyperparameter, named, stages_of
from gradxform.parts import Flow, Like, Path, State, Step, get, put
from gradxform.transforms import (
  add_constant,
  at_least,
  bias_correction,
  clip,
  gauss_newton_bartlett,
  hutchinson_diagonal,
  moving_average,
  scale,
  scale_by_momentum,
)
from gradxform.tree import cast, computing_dtype
from gradxform.wrappers._pace import Paced
from gradxform.wrappers._when import when

EMITTED = ("emitted",)


class Every(Paced):
  """A part that runs every so often, and between that emits what it emitted last.

  The new value of a filter at the end of the inner part is that already; of others it is kept too.
  """

  is_filter = True

  def __init__(self, inner: Chain, steps: int, first: int):
    super().__init__(inner)
    self.steps, self.first = steps, first
    self.held = _filter_at_the_end(inner) or EMITTED
    self.slots = (self.held, *(path for path in self.slots if path != self.held))

  @property
  def stateful(self) -> bool:
    return True

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    inner, flows_on = self.start_inner(flow, treedef)
    state: State = {"inner": inner}
    if self.held == EMITTED:
      put(state, EMITTED, treedef.unflatten([like.full(0) for like in flows_on]))
    return state, flows_on

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    def go(state: State) -> State:
      emitted, inner = self.update_inner(flow, get(state, ("inner",)), step)
      if self.held != EMITTED:
        return {"inner": inner}
      old = step.leaves(get(state, EMITTED), EMITTED)
      kept = [jnp.broadcast_to(u, last.shape) for u, last in zip(emitted, old, strict=True)]
      return {"inner": inner, "emitted": step.treedef.unflatten(kept)}

    since = step.count - self.first
    state = when((since >= 0) & (since % self.steps == 0), go, state)
    emitted = step.leaves(get(state, self.held), self.held)
    return [cast(u, computing_dtype(u)) for u in emitted], state

  def describe(self, params: Any, names: Any) -> State:
    described: State = {"inner": self.describe_inner(params, names)}
    return {**described, "emitted": names} if self.held == EMITTED else described


def _filter_at_the_end(inner: Chain) -> Path | None:
  """Where the last stage keeps what it emits, if it is a filter."""
  if not inner.children or not inner.children[-1][1].is_filter:
    return None
  key, part = inner.children[-1]
  return ("inner", key or "", *part.slots[0])


@named
def every(inner: Any, steps: int = 10, first: int = 0):
  """Runs a transform at every k-th step, the first among them; between, emits what it emitted last.

      u ← v;   v ← inner(u) where k divides t − 1, else v;   with n steps first, where it divides t − 1 − n ≥ 0

  For what is dear and changes slowly, such as an estimate of the curvature:
  ``every(chain(hutchinson_diagonal(), moving_average(0.99)), 10)``. It may stand in `previous`.

  Args:
    inner: a transform, ours or Optax's; it counts its own steps.
    steps: k, at least 1.
    first: n, the number of steps before the first at which it runs, at which 0 is emitted, or what a
      filter at its end begins with; at least 0.

  State: ``inner``, that of the inner transform with its own ``count``; ``emitted``, what it emitted
  last, unless it ends in a filter, such as `moving_average`, which keeps that itself.

  Source: the estimate of the Hessian in Liu et al. 2023, Sophia, Algorithm 3, https://arxiv.org/abs/2305.14342.

  >>> from gradxform import every, sign
  >>> every(sign(), 2)
  every(sign(), steps=2, first=0)
  """
  check_transform("every", "inner", inner)
  check_integer("every", minimum=1, steps=steps)
  check_integer("every", minimum=0, first=first)
  return Chain([("every", Every(Chain(stages_of(inner)), steps, first))])


@named
def scale_by_sophia(
  hessian_diagonal_fn: Any = None,
  update_interval: int = 10,
  *,
  b1: Hyperparameter = 0.965,
  b2: Hyperparameter = 0.99,
  eps: Hyperparameter = 1e-8,
  gamma: Hyperparameter = 0.01,
  clip_threshold: Hyperparameter = 1.0,
):
  """Divides a momentum by a bound on the curvature, which is estimated now and then: the core of Sophia.

      m ← b1 · m + (1 − b1) · g;   u = clip(m / (1 − b1ᵗ) / max(γ · h, eps), ±c)
      h ← b2 · h + (1 − b2) · D at every k-th step, the first among them;   D ≈ diag ∇²f(p)

  Where the curvature is small or negative, and at the first step, u is the sign of m, times c.

  Args:
    hessian_diagonal_fn: what gives the estimate D: `hutchinson_diagonal()` if not given, which wants
      ``value_fn`` and a ``key``, at each step.
    update_interval: k, at least 1.
    b1: decay of the momentum m, in [0, 1).
    b2: decay of the average h of the estimates, which is used from before the step, in [0, 1).
    eps: the least divisor.
    gamma: γ; the larger, the fewer elements are clipped.
    clip_threshold: c, the largest element; greater than 0.

  State: that of `divide`: ``numerator``, with the momentum; ``by``, with that of `every`, the average
  and what the estimate keeps.

  Raises:
    TypeError: for complex parameters.

  Source: Liu et al. 2023, Algorithms 1 and 3, https://arxiv.org/abs/2305.14342; the correction of m, and
  h from before the step, are those of ``optax.contrib.sophia``.
  """
  estimate = hutchinson_diagonal() if hessian_diagonal_fn is None else hessian_diagonal_fn
  curvature = every(chain(estimate, moving_average(b2)), update_interval)
  first = chain(scale_by_momentum(b1), bias_correction(b1))
  return chain(divide(first, by=chain(previous(curvature), scale(gamma), at_least(eps))), clip(clip_threshold))


@named
def scale_by_sophia_g(
  hessian_diagonal_fn: Any = None,
  update_interval: int = 10,
  *,
  b1: Hyperparameter = 0.965,
  b2: Hyperparameter = 0.99,
  eps: Hyperparameter = 1e-15,
  gamma: Hyperparameter = 0.04,
):
  """Divides a momentum by the curvature that a classifier's own labels show: the core of Sophia-G.

      h ← b2 · h + (1 − b2) · D after every k steps, before the next;   D = B · ĝ² (see `gauss_newton_bartlett`)
      m ← b1 · m + (1 − b1) · g;   u = sign(m) · min(|m| / (γ · h + eps), 1)

  In the first k steps, where h is 0, u is the sign of m.

  Args:
    hessian_diagonal_fn: what gives the estimate D, which must not be negative: `gauss_newton_bartlett()`
      if not given, which wants ``logits_fn`` and a ``key``, at each step.
    update_interval: k, at least 1.
    b1: decay of the momentum m, in [0, 1).
    b2: decay of the average h of the estimates, in [0, 1).
    eps: added to the divisor.
    gamma: γ; the larger, the fewer elements are clipped.

  State: as of `scale_by_sophia`.

  Raises:
    TypeError: for complex parameters.

  Source: Liu et al. 2023, Algorithms 2 and 3, https://arxiv.org/abs/2305.14342, as in the authors' ``SophiaG``,
  whose γ is ``rho``, and whose average is of ĝ², times ``bs`` = B where it is used. The authors average
  the estimates of the batch after the k-th step; here it is that of the step itself.
  """
  estimate = gauss_newton_bartlett() if hessian_diagonal_fn is None else hessian_diagonal_fn
  curvature = every(chain(estimate, moving_average(b2)), update_interval, first=update_interval)
  divisor = chain(curvature, scale(gamma), add_constant(eps))
  return chain(divide(scale_by_momentum(b1), by=divisor), clip(1.0))
