"""The three lifts: from a rule, the maths of one array, to a transform of pytrees.

A rule is pure maths, `rule(u, *slots, **asked) -> (u, *slots)` (`-> u` if it has no slots). It gets
by keyword what it asks for by name: its hyperparameters, ``param``, ``count`` (updates made so far),
``t`` (``count + 1``, as papers count), a value computed `once`, or an extra argument of `update`
(``value``, ``hessian_diagonal``, ``key``, …). The lift alone knows of pytrees, dtypes, counts and
schedules.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradxform import _checks
from gradxform.core import Hyperparameter, named
from gradxform.parts import Flow, Here, Like, Part, Scope, State, Step, get
from gradxform.tree import computing_dtype, real_dtype

__all__ = ["Slot", "after", "as_real", "elementwise", "per_array", "whole_tree"]

Rule = Callable[..., Any]
Once = Mapping[str, Callable[..., Any]]


@dataclasses.dataclass(frozen=True)
class Slot:
  """What a rule keeps for each array.

  Attributes:
    initial: the value it starts with: a number, an array, or a schedule, read at count 0.
    shape: its shape from that of the array; the same if not given.
  """

  initial: Hyperparameter = 0.0
  shape: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None

  def start(self, like: Like) -> jax.Array:
    """The first value for one array."""
    return like.full(_at(self.initial, np.zeros((), np.int32)), None if self.shape is None else self.shape(like.shape))


def as_real(like: Like) -> Like:
  """What flows on from a rule whose result is real, such as a square."""
  return dataclasses.replace(like, dtype=real_dtype(like.dtype))


def after(function: Callable[[Any], Any], hyperparameter: Any) -> Any:
  """A function of a hyperparameter: of its value, or of what its schedule gives.

  >>> after(lambda b: 1 - b, 0.75)
  0.25
  """
  if callable(hyperparameter):
    return lambda count: function(hyperparameter(count))
  return function(hyperparameter)


def _asked(rule: Rule) -> tuple[str, ...]:
  """What a rule asks for by name; what has a default of its own it can do without."""
  parameters = inspect.signature(rule).parameters.values()
  return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty)


def _at(value: Any, count: Any) -> Any:
  return value(count) if callable(value) else value


class _Prepared(Part):
  """What the lifts share: hyperparameters, scalars, and values computed once for each step."""

  def __init__(self, name: str, rule: Rule, once: Once, scalars: Mapping[str, float], hyperparameters: Any):
    self.name, self.rule, self.once, self.initial_scalars = name, rule, once, scalars
    self.hyperparameters = hyperparameters
    self.scalars = tuple((scalar,) for scalar in scalars)
    self.asked = _asked(rule)
    known = {"count", "t", *hyperparameters, *once, *scalars}
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
      if name != "param" and name not in step.extra:
        raise _checks.missing_extra(self.name, name)
      if name != "param":
        known[name] = step.extra[name]
    known.update(zip(self.initial_scalars, scalars, strict=True))
    for name, function in self.once.items():
      known[name] = function(**{n: known[n] for n in _asked(function)})
    kept = tuple(jnp.asarray(known[name], old.dtype) for name, old in zip(self.initial_scalars, scalars, strict=True))
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
    kept = [slot.astype(dtype if jnp.iscomplexobj(slot) else real_dtype(dtype)) for slot in slots]
    out = self.rule(u.astype(dtype), *kept, **asked)
    if isinstance(out, tuple) != bool(slots) or (slots and len(out) != 1 + len(slots)):
      raise _checks.wrong_result(self.name, [path[0] for path in self.slots], out)
    out, *new = out if slots else (out,)
    return out, tuple(map(self._kept, new, slots, self.slots))

  def _kept(self, new: Any, slot: Any, path: tuple[str, ...]) -> Any:
    if new.shape != slot.shape:
      raise _checks.slot_mismatch(self.name, path[0], slot.shape, new.shape)
    if jnp.iscomplexobj(new) and not jnp.iscomplexobj(slot):
      raise _checks.slot_mismatch(self.name, path[0], slot.dtype, new.dtype)
    return new.astype(slot.dtype)


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
    cast = [jax.tree.map(lambda n, s: n.astype(s.dtype), n, s) for n, s in zip(new, old.values(), strict=True)]
    return step.leaves(updates, ("updates",)), {**kept, **dict(zip(old, cast, strict=True))}


def _scalar(value: Any) -> jax.Array:
  """The first value of a scalar: of its own dtype if it has one; what is made from the parameters comes later."""
  if callable(value):
    return jnp.zeros(())
  return jnp.asarray(value, getattr(value, "dtype", jnp.result_type(float)))


def _in(value: Any, dtype: Any) -> Any:
  """A hyperparameter in the computing dtype; Python numbers and counts stay what they are."""
  floating = _checks.is_array(value) and jnp.issubdtype(value.dtype, jnp.floating)
  return jnp.asarray(value, dtype) if floating else value


def _slots(slots: Sequence[str] | Mapping[str, Any]) -> dict[str, Slot]:
  if not isinstance(slots, Mapping):
    return {name: Slot() for name in slots}
  return {name: slot if isinstance(slot, Slot) else Slot(slot) for name, slot in slots.items()}


def _unchanged(like: Like) -> Like:
  return like


@named
def elementwise(
  name: str,
  rule: Rule,
  slots: Sequence[str] | Mapping[str, Any] = (),
  *,
  once: Mapping[str, Any] | None = None,
  scalars: Mapping[str, float] | None = None,
  output: Callable[[Like], Like] = _unchanged,
  is_filter: bool = False,
  positive: bool = False,
  **hyperparameters: Hyperparameter,
) -> Part:
  """Lifts a rule for which each element stands alone: any slice of the array gives that slice.

      u, *slots ← rule(u, *slots, **asked)

  Args:
    name: the transform's name in states and errors.
    rule: ``rule(u, *slots, **asked) -> (u, *slots)``, or ``-> u`` without slots. Keyword-only
      parameters name what it asks for: hyperparameters, ``param``, ``count``, ``t``, names of
      `once` and `scalars`, extra arguments of `update`. All arrays come in float32 at least.
    slots: names of the slots, zeros like the parameter; or a mapping to their initial value
      (number, array or schedule) or `Slot`.
    once: functions computed once for each step, in order, by name, of what *they* ask for.
    scalars: values kept once for all leaves, with their first value; a function of `once` of the
      same name gives the next.
    output: what flows on, from what flowed in, where dtype or shape change (`as_real`).
    is_filter: whether the rule has one slot and returns its new value (for `previous`).
    positive: whether the result is known to be greater than 0 (so that `divide` need not ask).
    **hyperparameters: numbers, scalar arrays or schedules.

  >>> import gradxform as gx
  >>> double = elementwise("double", lambda u, *, factor: factor * u, factor=2.0)
  >>> double.update(3.0, double.init(0.0))[0]
  Array(6., dtype=float32)
  """
  common = (name, rule, once or {}, scalars or {}, hyperparameters)
  return LeafRule(Scope.ELEMENTWISE, _slots(slots), output, is_filter, positive, *common)


@named
def per_array(
  name: str,
  rule: Rule,
  slots: Sequence[str] | Mapping[str, Any] = (),
  *,
  once: Mapping[str, Any] | None = None,
  scalars: Mapping[str, float] | None = None,
  output: Callable[[Like], Like] = _unchanged,
  is_filter: bool = False,
  positive: bool = False,
  **hyperparameters: Hyperparameter,
) -> Part:
  """Lifts a rule that must see one whole array: a norm, a mean over an axis, a matrix.

  Arguments and result are those of `elementwise`.
  """
  common = (name, rule, once or {}, scalars or {}, hyperparameters)
  return LeafRule(Scope.PER_ARRAY, _slots(slots), output, is_filter, positive, *common)


@named
def whole_tree(
  name: str,
  rule: Rule,
  slots: Sequence[str] | Mapping[str, Any] = (),
  *,
  once: Mapping[str, Any] | None = None,
  scalars: Mapping[str, float] | None = None,
  **hyperparameters: Hyperparameter,
) -> Part:
  """Lifts a rule that must see everything: ``u``, each slot and ``param`` are trees.

  Arguments and result are those of `elementwise`, but that scalars without a function of `once` are
  returned by the rule, after the slots, and may be arrays: their first value may be a function of
  the list of the parameters' leaves.
  """
  return TreeRule(_slots(slots), name, rule, once or {}, scalars or {}, hyperparameters)


for _lift in (elementwise, per_array, whole_tree):
  _lift.names_itself = True  # type: ignore[attr-defined]
