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
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradxform import _checks
from gradxform.tree import add_and_round, computing_dtype, paths

Path = tuple[str, ...]
Flow = list[Any]
State = dict[str, Any]

SCALAR = object()  # in a description: what belongs to no parameter


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
  """What all parts of an expression may read during one update.

  Attributes:
    treedef: the structure of the updates.
    tree: the parameters as Optax's transforms want them, in the computing dtype if like the updates.
    count: updates made so far; 0 at the first.
    t: the number of this update; 1 at the first.
    params: the leaves of the parameters, in the computing dtype.
    extra: the extra arguments of `update`.
    shared: the values of the `share`s around.
    kept: the structure of the parameters that the root was given, and the dtypes in which they are kept.
  """

  treedef: Any
  count: jax.Array
  t: jax.Array
  params: Flow | None
  tree: Any
  extra: Mapping[str, Any]
  shared: Mapping[str, Flow] = dataclasses.field(default_factory=dict)
  kept: tuple[Any, Sequence[Any]] | None = None

  def dtypes(self) -> list[Any]:
    """For each leaf the dtype in which its parameter is kept; ``None`` where it is no leaf of the parameters."""
    treedef, dtypes = self.kept or (jax.tree.structure(()), ())
    of = dict(zip(paths(treedef), dtypes, strict=True))
    return [of.get(path) for path in paths(self.treedef)]

  def leaves(self, tree: Any, path: Path) -> Flow:
    """The leaves of one slot, in the order of the flow."""
    try:
      return self.treedef.flatten_up_to(tree)
    except ValueError as error:
      name = f"the state's {'/'.join(path)!r}"
      raise _checks.tree_mismatch(name, self.treedef, jax.tree.structure(tree)) from error

  def is_per_leaf(self, name: str) -> bool:
    """Whether the extra argument is a tree like the parameters (else a value for all leaves, as a key is)."""
    value = self.extra.get(name)
    is_for_all = value is None or callable(value) or name == "key"
    return not is_for_all and jax.tree.structure(value) == self.treedef

  def is_like(self, name: str, flow: Flow) -> bool:
    """Whether the extra argument is a tree of arrays of the shapes of the updates, which is seen as they are."""
    return self.is_per_leaf(name) and list(map(np.shape, jax.tree.leaves(self.extra[name]))) == [u.shape for u in flow]

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
    positive: whether what it emits is known to be greater than 0.
    is_filter: whether what it emits is the new value of its first slot.
    size: how many rules it applies to each leaf.
    together: whether it wants all leaves at once, though it does not mix them: to compute them as one.
    takes_examples: whether its updates are gradients of single examples, along a first axis of each leaf.
  """

  scope: Scope = Scope.ELEMENTWISE
  slots: tuple[Path, ...] = ()
  scalars: tuple[Path, ...] = ()
  reads: frozenset[str] = frozenset()
  free: frozenset[str] = frozenset()
  delayed: bool = False
  positive: bool = False
  is_filter: bool = False
  size: int = 0
  together: bool = False
  takes_examples: bool = False

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

  def advance(self, flow: Flow, state: State, step: Step, leaves: Flow) -> tuple[Flow, State]:
    """The new parameters, each in its own dtype, and the new state: `update` and its application in one.

    A part that may leave parameters as they are, to the bit, or rounds in its own way, overrides it.
    """
    updates, state = self.update(flow, state, step)
    return [add_and_round(leaf, u) for leaf, u in zip(leaves, updates, strict=True)], state

  def describe(self, params: Any, names: Any) -> State:
    """The state with, for each leaf, the path of its parameter, or `SCALAR`."""
    del params
    described: State = {}
    for path in self.slots:
      put(described, path, names)
    for path in self.scalars:
      put(described, path, SCALAR)
    return described


WORTH_SHARING = 3  # rules: below, a call in the program costs more than the equations that it saves


def _for_each_leaf(part: Part, flow: Flow, rows: Sequence[Any], values: Any, heres: Sequence[Here]) -> list[Any]:
  """Applies the part to each leaf; under a trace, leaves of one kind share one traced function."""
  leaves, structure = jax.tree.flatten(values)
  numbers = [None if _checks.is_array(leaf) else leaf for leaf in leaves]  # constants stay constants
  arrays = [leaf for leaf in leaves if _checks.is_array(leaf)]

  def leaf(arrays: Flow, u: Any, slots: Any, here: Here) -> Any:
    rest = iter(arrays)
    filled = [next(rest) if number is None else number for number in numbers]
    return part.apply(u, slots, structure.unflatten(filled), here)

  kinds = collections.Counter((u.shape, u.dtype) for u in flow)
  shared = jax.jit(leaf) if part.size >= WORTH_SHARING and _is_being_staged() else None
  results = []
  for u, slots, here in zip(flow, rows, heres, strict=True):
    if shared is not None and kinds[u.shape, u.dtype] > 1:
      results.append(shared(arrays, u, slots, here))
    else:
      results.append(part.apply(u, slots, values, here))
  return results


def _is_being_staged() -> bool:
  """Whether a program is being made, by `jax.jit` or its like: not in eager `jax.vmap` or `jax.grad`."""
  return isinstance(jnp.zeros(()), Tracer)


def is_by_leaf(part: Part) -> bool:
  """Whether the part is applied to one leaf after the other."""
  return part.scope < Scope.WHOLE_TREE and not part.together
