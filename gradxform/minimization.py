"""`minimize`: runs any optimizer on a function until its gradient is small, as one compiled loop."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradxform._checks import check_integer, check_not_negative, check_transform, rejected
from gradxform.combinators import chain
from gradxform.compounds import Chain
from gradxform.core import Transform, stages_of
from gradxform.foreign import Foreign
from gradxform.lifted import TreeRule
from gradxform.parts import Part, State, get
from gradxform.tree import Params, global_norm

__all__ = ["Result", "minimize"]

_RUNNING, _CONVERGED, _NOT_FINITE, _STALLED = range(4)
_MESSAGES = {
  _RUNNING: "stopped after {steps} steps, `max_steps`: the norm of the gradient is {norm:.3g}, above `tolerance`",
  _CONVERGED: "converged in {steps} steps: the norm of the gradient is {norm:.3g}",
  _NOT_FINITE: "stopped after {steps} steps: the next point, its value or its gradient is not finite",
  _STALLED: "stopped after {steps} steps: the line search finds no lower value; the norm of the gradient is {norm:.3g}",
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Result:
  """Where `minimize` ended. A pytree of arrays: inside `jax.vmap`, one entry for each run.

  Attributes:
    point: the last point, a tree like the start.
    value: the objective there.
    gradient_norm: the Euclidean norm of the gradient there, over all leaves.
    steps: the number of steps made.
    evaluations: of the objective, with its gradient or without, those of the line searches included;
      what a transform evaluates besides, such as a Hessian, is not counted.
    converged: whether the norm of the gradient is at most the tolerance.
    status: 0 if it is stopped by ``max_steps``, 1 converged, 2 not finite, 3 stalled.
  """

  point: Params
  value: jax.Array
  gradient_norm: jax.Array
  steps: jax.Array
  evaluations: jax.Array
  status: jax.Array

  @property
  def converged(self) -> jax.Array:
    """Whether the norm of the gradient is at most the tolerance."""
    return self.status == _CONVERGED

  @property
  def message(self) -> str:
    """Why it stopped, in words; of one run, outside of `jax.jit`."""
    if self.status.ndim:
      raise ValueError(
        f"`message` is that of one run, this is a result of {self.status.shape}: take one of them first."
      )
    if int(self.status) == _NOT_FINITE and not (jnp.isfinite(self.value) & jnp.isfinite(self.gradient_norm)):
      return "stopped at the start: the value or the gradient is not finite there"
    return _MESSAGES[int(self.status)].format(steps=int(self.steps), norm=float(self.gradient_norm))


def minimize(
  optimizer: Any,
  fn: Callable[..., jax.Array],
  start: Params,
  *,
  tolerance: float = 1e-5,
  max_steps: int = 1000,
  args: tuple[Any, ...] = (),
  key: jax.Array | None = None,
) -> Result:
  """Minimizes a function of a pytree, as one compiled loop.

      until ‖∇fn(p)‖ ≤ tolerance:   p ← one step of the optimizer

  The loop ends early where a value or a gradient is not finite, with the last point where they were,
  and where a line search fails twice in a row. What a line search at the end of the optimizer has
  evaluated at its last point is used again. For other settings of the optimizer, another start,
  other ``args``, ``tolerance`` or ``max_steps`` nothing is compiled again; for another ``fn`` it is.

  Args:
    optimizer: a transform, ours or Optax's, such as `lbfgs()`.
    fn: the function ``(point, *args) -> real scalar``, in JAX; hashable, and the same object each time.
    start: the first point, a tree of floating-point or complex arrays.
    tolerance: the greatest norm of the gradient that counts as converged, at least 0.
    max_steps: the number of steps after which it stops, at least 0.
    args: more arguments of the function.
    key: a random key, where the optimizer asks for one; another is made of it for each step.

  Returns:
    A `Result`: ``point``, ``value``, ``gradient_norm``, ``steps``, ``evaluations``, ``converged``,
    and ``message``, which says why it stopped.

  Raises:
    TypeError: if the optimizer is no transform, or the function does not return a real scalar.
    ValueError: for an argument out of its range.

  >>> import gradxform as gx
  >>> result = gx.minimize(gx.lbfgs(), lambda x: ((x - 3) ** 2).sum(), jnp.zeros(2))
  >>> print(result.point.round(), result.steps, result.converged)
  [3. 3.] 2 True
  """
  check_transform("minimize", "optimizer", optimizer)
  check_not_negative("minimize", tolerance=tolerance)
  if not isinstance(max_steps, jax.Array):
    check_integer("minimize", minimum=0, max_steps=max_steps)
  transform = optimizer if isinstance(optimizer, Transform) else chain(optimizer)
  point = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), start)
  if key is None and "key" in transform.part.reads:
    key = jax.random.key(0)
  return _run(transform, point, args, key, tolerance, max_steps, fn=fn)


class _Stand(NamedTuple):
  """Where the loop stands."""

  point: Params
  value: jax.Array
  grad: Any
  norm: jax.Array
  state: State
  steps: jax.Array
  evaluations: jax.Array
  failures: jax.Array  # steps in a row that a line search left at the same point
  status: jax.Array


@functools.partial(jax.jit, static_argnames="fn")
def _run(
  optimizer: Transform, start: Params, args: Any, key: Any, tolerance: Any, max_steps: Any, *, fn: Callable[..., Any]
) -> Result:
  def value_fn(point: Params) -> jax.Array:
    value = jnp.asarray(fn(point, *args))
    if value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
      got = f"a function that returns a real scalar, got one that returns {value.dtype}{list(value.shape)}."
      raise rejected(TypeError, "minimize", "fn", fn, got)
    return value

  def go_on(s: _Stand) -> jax.Array:
    return (s.status == _RUNNING) & (s.steps < max_steps)

  def step(s: _Stand) -> _Stand:
    extra = {} if key is None else {"key": jax.random.fold_in(key, s.steps)}
    descent = jax.tree.map(jnp.conj, s.grad)  # JAX's gradient of a complex parameter points along its conjugate
    point, state = optimizer.step(descent, s.state, s.point, value=s.value, grad=s.grad, value_fn=value_fn, **extra)
    value, grad, made = measure(point, state, s.state)
    norm = global_norm(grad).astype(s.norm.dtype)
    failures = jnp.where(searches & _equal(point, s.point), s.failures + 1, 0)
    status = jnp.where(failures < 2, _status(point, value, norm, tolerance), _STALLED)
    new = s._replace(point=point, value=value.astype(s.value.dtype), grad=grad, norm=norm, steps=s.steps + 1)
    chosen = jax.tree.map(lambda new, old: jnp.where(status == _NOT_FINITE, old, new), new, s)
    made = s.evaluations + made.astype(jnp.int32)
    return chosen._replace(state=state, evaluations=made, failures=failures, status=status)

  measure, searches = _measurement(optimizer, value_fn)
  state = optimizer.init(start)  # it refuses leaves that are no floating-point numbers, by path
  value, grad = jax.value_and_grad(value_fn)(start)
  norm, zero = global_norm(grad), jnp.zeros((), jnp.int32)
  first = _Stand(start, value, grad, norm, state, zero, zero + 1, zero, _status(start, value, norm, tolerance))
  end = jax.lax.while_loop(go_on, step, first)
  return Result(end.point, end.value, end.norm, end.steps, end.evaluations, end.status)


def _status(point: Params, value: jax.Array, norm: jax.Array, tolerance: Any) -> jax.Array:
  finite = functools.reduce(jnp.logical_and, [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves((point, value, norm))])
  return jnp.where(finite, jnp.where(norm <= tolerance, _CONVERGED, _RUNNING), _NOT_FINITE).astype(jnp.int32)


def _equal(a: Any, b: Any) -> jax.Array:
  return functools.reduce(
    jnp.logical_and, map(jnp.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)), jnp.asarray(True)
  )


Measure = Callable[[Params, State, State], tuple[jax.Array, Any, Any]]


def _measurement(optimizer: Transform, value_fn: Callable[..., Any]) -> tuple[Measure, bool]:
  """How to get value, gradient and the number of evaluations of a step; and whether a line search ends it.

  A line search that comes last has evaluated the objective at the new point, and remembers it.
  """
  path: tuple[str, ...] = ()
  last: Part = Chain(stages_of(optimizer))
  while isinstance(last, Chain) and last.children:
    key, last = last.children[-1]
    path += () if key is None else (key,)
  compute = jax.value_and_grad(value_fn)

  def of_ours(point: Params, state: State, before: State) -> tuple[jax.Array, Any, Any]:
    search = get(state, path)
    made = search["evaluations"] - get(before, path)["evaluations"]
    if "grad" in search:
      return search["value"], search["grad"], made
    return *compute(point), made + 1

  def of_optax(point: Params, state: State, before: State) -> tuple[jax.Array, Any, Any]:
    del before
    try:
      inner = get(state, path)
    except ValueError:  # a transform without state leaves no trace
      inner = {}
    value, grad, tries = (_found(inner, name) for name in ("value", "grad", "num_linesearch_steps"))
    if value is None or grad is None:
      return *compute(point), jnp.ones((), jnp.int32)
    known = jnp.isfinite(value)
    value, grad = jax.lax.cond(known, lambda _: (value, grad), compute, point)
    return value, grad, ~known + (1 if tries is None else tries)

  def anew(point: Params, state: State, before: State) -> tuple[jax.Array, Any, Any]:
    del state, before
    return *compute(point), jnp.ones((), jnp.int32)

  if isinstance(last, TreeRule) and "evaluations" in last.initial_scalars:
    return of_ours, True
  return (of_optax if isinstance(last, Foreign) else anew), False


def _found(state: State, name: str) -> Any:
  """The one entry of this name in a state of Optax's transforms; `None` if there are none or several."""
  try:
    return optax.tree.get(state, name)
  except KeyError:
    return None
