"""What a lifted rule becomes when it runs: a part that gives the rule what it asks for by name."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradxform import _checks
from gradxform.parts import Flow, Here, Like, Part, Scope, State, Step, get
from gradxform.stacks import in_stacks
from gradxform.tree import cast, computing_dtype, real_dtype

Rule = Callable[..., Any]
Once = Mapping[str, Callable[..., Any]]


@dataclasses.dataclass(frozen=True)
class Slot:
  """What a rule keeps for each array.

  Attributes:
    initial: the value it starts with: a number, an array, or a schedule, read at count 0.
    shape: its shape from that of the array; the same if not given.
    real: whether it is real where the array is complex.
    from_param: makes it of the parameter instead.
  """

  initial: Any = 0.0
  shape: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None
  real: bool = False
  from_param: Callable[[jax.Array], jax.Array] | None = None

  def start(self, like: Like) -> jax.Array:
    """The first value for one array."""
    if self.from_param is not None:  # a copy, so that parameters and state can both be donated
      return jnp.array(self.from_param(jnp.asarray(like.param, computing_dtype(like.param))), copy=True)
    like = dataclasses.replace(like, dtype=real_dtype(like.dtype)) if self.real else like
    return like.full(first_value(self.initial), None if self.shape is None else self.shape(like.shape))


@dataclasses.dataclass(frozen=True)
class Emitted:
  """A scalar of the state that a rule returns and never reads: an extra argument may have its name.

  Attributes:
    initial: the value it starts with.
  """

  initial: float = 0.0


def _asked(rule: Rule) -> tuple[str, ...]:
  """What a rule asks for by name; what has a default of its own it can do without."""
  parameters = inspect.signature(rule).parameters.values()
  return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty)


def _at(value: Any, count: Any) -> Any:
  return value(count) if callable(value) else value


def first_value(hyperparameter: Any) -> Any:
  """The hyperparameter, or what its schedule gives at count 0."""
  return _at(hyperparameter, np.zeros((), np.int32))


class _Prepared(Part):
  """What the lifts share: hyperparameters, scalars, and values computed once for each step."""

  def __init__(self, name: str, rule: Rule, once: Once, scalars: Mapping[str, float], hyperparameters: Any):
    self.name, self.rule, self.once, self.initial_scalars = name, rule, once, scalars
    self.hyperparameters = hyperparameters
    self.scalars = tuple((scalar,) for scalar in scalars)
    self.asked = _asked(rule)
    self.readable = tuple(name for name, value in scalars.items() if not isinstance(value, Emitted))
    known = {"count", "t", *hyperparameters, *once, *self.readable}
    asked = {n for function in (rule, *once.values()) for n in _asked(function)}
    self.reads = frozenset(asked - known)

  def start_scalars(self) -> tuple[Any, ...]:
    return tuple(_scalar(value) for value in self.initial_scalars.values())

  def prepare(self, scalars: tuple[Any, ...], step: Step) -> tuple[Any, tuple[Any, ...]]:
    known: dict[str, Any] = {"count": step.count, "t": step.t}
    for name, value in self.hyperparameters.items():
      known[name] = _checks.as_scalar(self.name, name, _at(value, step.count))
    for name in self.reads:
      if name == "param" and step.params is None:
        raise _checks.missing_params(self.name)
      is_missing = step.extra.get(name) is None and (step.treedef.num_leaves or name not in step.extra)
      if name != "param" and is_missing:  # None can be the gradients of a tree without leaves
        raise _checks.missing_extra(self.name, name)
      if name != "param":
        known[name] = step.extra[name]
    old = dict(zip(self.initial_scalars, scalars, strict=True))
    known.update({name: old[name] for name in self.readable})
    for name, function in self.once.items():
      known[name] = function(**{n: known[n] for n in _asked(function)})
    kept = tuple(jnp.asarray(known[name] if name in self.readable else old[name], old[name].dtype) for name in old)
    by_leaf = {"key", *(name for name in self.reads if step.is_per_leaf(name))}  # each leaf has its own
    return {name: known[name] for name in self.asked if name in known and name not in by_leaf}, kept


class LeafRule(_Prepared):
  """A rule for one leaf as a part."""

  size = 1

  def __init__(
    self,
    scope: Scope,
    slots: Mapping[str, Slot],
    output: Callable[[Like], Like],
    is_filter: bool,
    positive: bool,
    *rest: Any,
  ):
    super().__init__(*rest)
    self.scope, self.initial_slots, self.output = scope, slots, output
    self.is_filter, self.positive = is_filter, positive
    self.slots = tuple((slot,) for slot in slots)

  def start(self, like: Like) -> tuple[tuple[Any, ...], Like]:
    flows_on = self.output(like)
    kept = flows_on if self.is_filter else like
    return tuple(slot.start(kept) for slot in self.initial_slots.values()), flows_on

  def apply(self, u: Any, slots: tuple[Any, ...], values: Any, here: Here) -> tuple[Any, tuple[Any, ...]]:
    for slot, path in zip(slots, self.slots, strict=True):
      if self.scope is Scope.ELEMENTWISE and u.shape != slot.shape:
        raise _checks.slot_mismatch(self.name, path[0], slot.shape, u.shape)
    dtype = computing_dtype(u, *slots)
    asked = {name: _in(value, real_dtype(dtype)) for name, value in values.items()}
    for name in self.asked:
      if name == "param":
        asked[name] = jnp.asarray(here.param, computing_dtype(here.param, u))
      elif name in here.extra:
        value = here.extra[name]
        asked[name] = value if name == "key" else jnp.asarray(value, computing_dtype(value, u))
    kept = [cast(slot, dtype if jnp.iscomplexobj(slot) else real_dtype(dtype)) for slot in slots]
    out = self.rule(cast(u, dtype), *kept, **asked)
    if isinstance(out, tuple) != bool(slots) or (slots and len(out) != 1 + len(slots)):
      raise _checks.wrong_result(self.name, [path[0] for path in self.slots], out)
    out, *new = out if slots else (out,)
    return out, tuple(map(self._kept, new, slots, self.slots))

  def _kept(self, new: Any, slot: Any, path: tuple[str, ...]) -> Any:
    if new.shape != slot.shape:
      raise _checks.slot_mismatch(self.name, path[0], slot.shape, new.shape)
    if jnp.iscomplexobj(new) and not jnp.iscomplexobj(slot):
      raise _checks.slot_mismatch(self.name, path[0], slot.dtype, new.dtype)
    return cast(new, slot.dtype)


def rows_and_columns(shape: tuple[int, ...]) -> tuple[int, ...]:
  """The lengths of the last two axes; a vector is a row, a number a matrix of one."""
  return ((1, 1) + tuple(shape))[-2:]


class MatrixRule(LeafRule):
  """A rule for the matrices in the last two axes as a part: all of one shape go through it as one stack."""

  together = True

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    del state
    values, _ = self.prepare((), step)
    matrices = [u.reshape(*u.shape[:-2], *rows_and_columns(u.shape)) for u in flow]
    out = in_stacks(lambda stack: self.apply(stack, (), values, Here(None, {}, {}))[0], matrices)
    return [result.reshape(u.shape) for result, u in zip(out, flow, strict=True)], {}

  def apply(self, u: Any, slots: tuple[Any, ...], values: Any, here: Here) -> tuple[Any, tuple[Any, ...]]:
    out, _ = super().apply(u.reshape(*u.shape[:-2], *rows_and_columns(u.shape)), slots, values, here)
    return out.reshape(u.shape), ()


class TreeRule(_Prepared):
  """A rule for whole trees as a part."""

  scope = Scope.WHOLE_TREE

  def __init__(self, slots: Mapping[str, Slot], *rest: Any):
    super().__init__(*rest)
    self.initial_slots = slots
    self.slots = tuple((slot,) for slot in slots)

    self.carried = tuple(name for name in self.initial_scalars if name not in self.once)

  def start(self, like: Like) -> tuple[tuple[Any, ...], Like]:
    return tuple(slot.start(like) for slot in self.initial_slots.values()), like

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    state, likes = super().init(flow, treedef)
    made = {name: make([like.param for like in flow]) for name, make in self.initial_scalars.items() if callable(make)}
    return {**state, **made}, likes

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    values, scalars = self.prepare(tuple(get(state, path) for path in self.scalars), step)
    if "param" in self.asked:
      values["param"] = step.treedef.unflatten(step.params)
    for name in self.asked:
      if name == "key":
        values[name] = step.extra[name]
      elif name in self.reads and step.is_per_leaf(name):
        values[name] = jax.tree.map(lambda leaf: jnp.asarray(leaf, computing_dtype(leaf)), step.extra[name])
    slots = [step.treedef.unflatten(step.leaves(get(state, path), path)) for path in self.slots]
    out = self.rule(step.treedef.unflatten(flow), *slots, **values)
    updates, *new = out if self.slots or self.carried else (out,)
    kept = dict(zip(self.initial_scalars, scalars, strict=True))
    old = {**dict(zip(self.initial_slots, slots, strict=True)), **{name: kept[name] for name in self.carried}}
    stored = [jax.tree.map(lambda n, s: cast(n, s.dtype), n, s) for n, s in zip(new, old.values(), strict=True)]
    return step.leaves(updates, ("updates",)), {**kept, **dict(zip(old, stored, strict=True))}


def _scalar(value: Any) -> jax.Array:
  """The first value of a scalar: of its own dtype if it has one; what is made from the parameters comes later."""
  if callable(value):
    return jnp.zeros(())
  if isinstance(value, Emitted):
    value = value.initial
  return jnp.asarray(value, getattr(value, "dtype", jnp.result_type(float)))


def _in(value: Any, dtype: Any) -> Any:
  """A hyperparameter in the computing dtype; Python numbers and counts stay what they are."""
  floating = _checks.is_array(value) and jnp.issubdtype(value.dtype, jnp.floating)
  return jnp.asarray(value, dtype) if floating else value
