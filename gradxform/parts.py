"""What an expression becomes when it runs: parts.

A part acts on the *flow*, the list of the leaves that pass through the expression, in the
computing dtype. Parts whose scope is at most one array are defined for one leaf (`start`,
`prepare`, `apply`), with their slots as a flat tuple; from that this module derives the version
for a whole tree, with its named state, once for all of them. So an expression of such parts runs
leaf by leaf as one function, which is traced once for each shape and dtype, not once for each leaf.
"""

import collections
import dataclasses
import enum
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradxform import _checks
from gradxform.tree import computing_dtype

Path = tuple[str, ...]
Flow = list[Any]
State = dict[str, Any]

SCALAR = ""  # in a description: what belongs to no parameter

class Scope(enum.IntEnum):
  """What a transform must see to do its work."""

  ELEMENTWISE = 0
  PER_ARRAY = 1
  WHOLE_TREE = 2


@dataclasses.dataclass(frozen=True)
class Like:
  """What flows past a point of the expression at one leaf: known before any update."""

  shape: tuple[int, ...]
  dtype: Any
  param: Any
  shared: Mapping[str, "Like"] = dataclasses.field(default_factory=dict)

  @classmethod
  def of(cls, param: Any) -> "Like":
    return cls(np.shape(param), computing_dtype(param), param)

  def full(self, value: Any, shape: tuple[int, ...] | None = None) -> jax.Array:
    """An array filled with ``value``; with the parameter's shape it takes its sharding too."""
    shape = self.shape if shape is None else shape
    if shape == np.shape(self.param) and hasattr(self.param, "dtype"):
      return jnp.full_like(self.param, value, dtype=self.dtype)
    return jnp.full(shape, value, dtype=self.dtype)


class Here(NamedTuple):
  """What a rule may read at one leaf besides the update and its slots."""

  param: Any
  extra: dict[str, Any]
  shared: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Step:
  """What all parts of an expression may read during one update."""

  treedef: Any
  count: jax.Array
  params: Flow | None
  extra: Mapping[str, Any]
  shared: Mapping[str, Flow] = dataclasses.field(default_factory=dict)

  def leaves(self, tree: Any, path: Path) -> Flow:
    """The leaves of one slot, in the order of the flow."""
    try:
      return self.treedef.flatten_up_to(tree)
    except ValueError as error:
      name = f"the state's {'/'.join(path)!r}"
      raise _checks.tree_mismatch(name, self.treedef, jax.tree.structure(tree)) from error

  def is_per_leaf(self, name: str) -> bool:
    """Whether the extra argument is a tree like the parameters (else a value for all leaves)."""
    return name in self.extra and jax.tree.structure(self.extra[name]) == self.treedef

  def here(self, part: "Part") -> list[Here]:
    """For each leaf, what this part reads there."""
    columns = {n: jax.tree.leaves(self.extra[n]) for n in part.reads if self.is_per_leaf(n)}
    params = self.params if "param" in part.reads else None
    keys: Flow = []
    if "key" in part.reads and "key" in self.extra:
      keys = [jax.random.fold_in(self.extra["key"], i) for i in range(self.treedef.num_leaves)]
    rows = []
    for i in range(self.treedef.num_leaves):
      extra = {name: column[i] for name, column in columns.items()}
      if keys:
        extra["key"] = keys[i]
      shared = {name: self.shared[name][i] for name in part.free}
      rows.append(Here(None if params is None else params[i], extra, shared))
    return rows


def get(state: Any, path: Path) -> Any:
  """The entry of a nested state."""
  for depth, name in enumerate(path):
    if not isinstance(state, Mapping) or name not in state:
      got = sorted(state) if isinstance(state, Mapping) else [type(state).__name__]
      raise _checks.state_mismatch(["/".join(path[: depth + 1])], got)
    state = state[name]
  return state


def put(state: State, path: Path, value: Any) -> None:
  """Sets the entry of a nested state."""
  for name in path[:-1]:
    state = state.setdefault(name, {})
  state[path[-1]] = value


class Part:
  """One node of an expression at work.

  Attributes:
    scope: what it must see.
    slots: the paths, in its state, of what it keeps for each leaf.
    scalars: the paths of what it keeps once for all leaves.
    reads: ``param`` and the extra arguments that its rules ask for.
    free: the names of the shared values that it reads and does not itself define.
    stateful: whether it leaves a trace in the state.
    delayed: whether what it emits is independent of the present input.
  """

  scope: Scope = Scope.ELEMENTWISE
  slots: tuple[Path, ...] = ()
  scalars: tuple[Path, ...] = ()
  reads: frozenset[str] = frozenset()
  free: frozenset[str] = frozenset()
  delayed: bool = False

  @property
  def stateful(self) -> bool:
    return bool(self.slots or self.scalars)

  # For one leaf.

  def start(self, like: Like) -> tuple[tuple[Any, ...], Like]:
    """The first slots for one leaf, and what flows on from here."""
    raise NotImplementedError

  def start_scalars(self) -> tuple[Any, ...]:
    """The first values of the scalars."""
    return ()

  def prepare(self, scalars: tuple[Any, ...], step: Step) -> tuple[Any, tuple[Any, ...]]:
    """Once for each step: the values that all leaves use, and the new scalars."""
    del step
    return (), scalars

  def apply(self, u: Any, slots: tuple[Any, ...], values: Any, here: Here) -> tuple[Any, tuple[Any, ...]]:
    """The update of one leaf, and its new slots."""
    raise NotImplementedError

  # For a whole tree, derived from the above; parts that see the whole tree override these.

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    """The first state, and what flows on from here."""
    started = [self.start(like) for like in flow]
    state: State = {}
    for index, path in enumerate(self.slots):
      put(state, path, treedef.unflatten([slots[index] for slots, _ in started]))
    for path, value in zip(self.scalars, self.start_scalars(), strict=True):
      put(state, path, value)
    return state, [like for _, like in started]

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    """The updates of all leaves, and the new state."""
    columns = [step.leaves(get(state, path), path) for path in self.slots]
    rows = list(zip(*columns, strict=True)) if columns else [()] * len(flow)
    values, scalars = self.prepare(tuple(get(state, path) for path in self.scalars), step)
    results = _for_each_leaf(self, flow, rows, values, step.here(self))
    new: State = {}
    for index, path in enumerate(self.slots):
      put(new, path, step.treedef.unflatten([slots[index] for _, slots in results]))
    for path, value in zip(self.scalars, scalars, strict=True):
      put(new, path, value)
    return [u for u, _ in results], new

  def describe(self, params: Any, names: Any) -> State:
    """The state with, for each leaf, the path of its parameter, or `SCALAR`."""
    del params
    described: State = {}
    for path in self.slots:
      put(described, path, names)
    for path in self.scalars:
      put(described, path, SCALAR)
    return described


def _for_each_leaf(part: Part, flow: Flow, rows: Sequence[Any], values: Any, heres: Sequence[Here]) -> list[Any]:
  """Applies the part to each leaf; under a trace, leaves of one kind share one traced function."""
  kinds = [(np.shape(u), jnp.result_type(u)) for u in flow]
  repeated = {kind for kind, times in collections.Counter(kinds).items() if times > 1}
  leaves, structure = jax.tree.flatten(values)
  numbers = [None if _checks.is_array(leaf) else leaf for leaf in leaves]  # constants stay constants

  def one(arrays: Flow, u: Any, slots: Any, here: Here) -> Any:
    rest = iter(arrays)
    filled = [next(rest) if number is None else number for number in numbers]
    return part.apply(u, slots, structure.unflatten(filled), here)

  arrays = [leaf for leaf in leaves if _checks.is_array(leaf)]
  traced = jax.jit(one)
  results = []
  for u, slots, kind, here in zip(flow, rows, kinds, heres, strict=True):
    shares = kind in repeated and isinstance(u, jax.core.Tracer)
    results.append((traced if shares else one)(arrays, u, slots, here))
  return results


class Compound(Part):
  """A part made of parts, each under a key of its state; a key ``None`` merges into its own."""

  def __init__(self, children: Sequence[tuple[str | None, Part]]):
    self.children = tuple(children)
    parts = [part for _, part in children]
    self.scope = max((part.scope for part in parts), default=Scope.ELEMENTWISE)
    self.reads = frozenset[str]().union(*(part.reads for part in parts))
    self.free = frozenset[str]().union(*(part.free for part in parts))
    prefixed = [((key,) if key else (), part) for key, part in children]
    self.slots = tuple(key + path for key, part in prefixed for path in part.slots)
    self.scalars = tuple(key + path for key, part in prefixed for path in part.scalars)

  @property
  def stateful(self) -> bool:
    return any(part.stateful for _, part in self.children)

  def start_scalars(self) -> tuple[Any, ...]:
    return tuple(itertools.chain.from_iterable(part.start_scalars() for _, part in self.children))

  def prepare(self, scalars: tuple[Any, ...], step: Step) -> tuple[Any, tuple[Any, ...]]:
    rest, values, new = iter(scalars), [], []
    for _, part in self.children:
      own, kept = part.prepare(tuple(itertools.islice(rest, len(part.scalars))), step)
      values.append(own)
      new.extend(kept)
    return tuple(values), tuple(new)

  def divided(self, slots: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The slots of each child."""
    rest = iter(slots)
    return [tuple(itertools.islice(rest, len(part.slots))) for _, part in self.children]

  def describe(self, params: Any, names: Any) -> State:
    return gather(self.children, [part.describe(params, names) for _, part in self.children])


def child_state(state: State, key: str | None) -> State:
  """The part of the state that belongs to a child."""
  return state if key is None else state.get(key, {})


def gather(children: Sequence[tuple[str | None, Part]], states: Sequence[Any]) -> State:
  """The state of a compound from those of its children; a child without state leaves no trace."""
  state: State = {}
  for (key, _), own in zip(children, states, strict=True):
    if key is None:
      state.update(own)
    elif not (isinstance(own, dict) and not own):
      state[key] = own
  return state


class Chain(Compound):
  """One part after the other. Neighbours that work leaf by leaf run as one function of a leaf."""

  def __init__(self, stages: Sequence[tuple[str, Part]], keys: Sequence[str] | None = None):
    self.stages = tuple(stages)
    keys = number(stages) if keys is None else keys
    super().__init__([(key, part) for key, (_, part) in zip(keys, stages, strict=True)])
    self.delayed = any(part.delayed for _, part in stages)

  def start(self, like: Like) -> tuple[tuple[Any, ...], Like]:
    slots: list[Any] = []
    for _, part in self.children:
      own, like = part.start(like)
      slots.extend(own)
    return tuple(slots), like

  def apply(self, u: Any, slots: tuple[Any, ...], values: Any, here: Here) -> tuple[Any, tuple[Any, ...]]:
    new: list[Any] = []
    for (_, part), own, prepared in zip(self.children, self.divided(slots), values, strict=True):
      u, kept = part.apply(u, own, prepared, here)
      new.extend(kept)
    return u, tuple(new)

  def _runs(self) -> list[tuple[str | None, Part]]:
    """Children that see the whole tree, and between them chains of those that do not."""
    runs: list[tuple[str | None, Part]] = []
    for by_leaf, group in itertools.groupby(self.children, lambda child: is_by_leaf(child[1])):
      run = list(group)
      keys = [key or "" for key, _ in run]
      runs.extend([(None, Chain([(key or "", part) for key, part in run], keys))] if by_leaf else run)
    return runs

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    if is_by_leaf(self):
      return super().init(flow, treedef)
    states, runs = [], self._runs()
    for _, part in runs:
      own, flow = part.init(flow, treedef)
      states.append(own)
    return gather(runs, states), list(flow)

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    if is_by_leaf(self):
      return super().update(flow, state, step)
    states, runs = [], self._runs()
    for key, part in runs:
      flow, own = part.update(flow, child_state(state, key), step)
      states.append(own)
    return flow, gather(runs, states)


def is_by_leaf(part: Part) -> bool:
  """Whether the part is defined for one leaf."""
  return part.scope < Scope.WHOLE_TREE


def number(stages: Sequence[tuple[str, Part]]) -> list[str]:
  """The keys of stages: their names, ``name_2`` for the second of a name that has state."""
  taken = {"count"}  # the root's own
  keys = []
  for name, part in stages:
    key, nth = name, 1
    while part.stateful and key in taken:
      nth += 1
      key = f"{name}_{nth}"
    if part.stateful:
      taken.add(key)
    keys.append(key)
  return keys


class Foreign(Part):
  """A transform of Optax as a part. Like all parts it works in the computing dtype."""

  scope = Scope.WHOLE_TREE
  stateful = True  # whether its state has leaves is known only once it is made

  def __init__(self, inner: Any):
    self.inner = inner
    self.extended = optax.with_extra_args_support(
      optax.GradientTransformationExtraArgs(inner.init, inner.update)
      if _takes_extra(inner)
      else optax.GradientTransformation(inner.init, inner.update)
    )

  def _template(self, flow: Sequence[Like]) -> Flow:
    same = [np.shape(like.param) == like.shape for like in flow]
    return [
      jnp.asarray(like.param).astype(like.dtype) if kept else like.full(0)
      for like, kept in zip(flow, same, strict=True)
    ]

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[Any, list[Like]]:
    state = self.inner.init(treedef.unflatten(self._template(flow)))
    return (state if jax.tree.leaves(state) else {}), list(flow)

  def update(self, flow: Flow, state: Any, step: Step) -> tuple[Flow, Any]:
    updates = step.treedef.unflatten(flow)
    params = None
    if step.params is not None:
      cast = [jnp.asarray(p).astype(computing_dtype(p)) for p in step.params]
      params = step.treedef.unflatten(cast)
    if isinstance(state, dict) and not state:
      state = self.inner.init(updates if params is None else params)  # it has no leaves
    updates, state = self.extended.update(updates, state, params, **step.extra)
    flow = step.leaves(updates, ("updates",))
    return flow, (state if jax.tree.leaves(state) else {})

  def describe(self, params: Any, names: Any) -> Any:
    state = jax.eval_shape(self.inner.init, params)
    if not jax.tree.leaves(state):
      return {}
    return optax.tree.map_params(
      self.inner, lambda _, name: name, state, names, transform_non_params=lambda _: SCALAR
    )


def _takes_extra(inner: Any) -> bool:
  return isinstance(inner, optax.GradientTransformationExtraArgs) or not isinstance(
    inner, optax.GradientTransformation
  )


def foreign_name(inner: Any) -> str:
  """The name of an Optax transform: that of the function that made it."""
  name = getattr(inner.init, "__qualname__", type(inner).__name__).split(".<locals>")[0]
  return name.split(".")[-1].lower() if name.endswith(".init") else name
