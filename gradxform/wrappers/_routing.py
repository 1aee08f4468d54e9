"""Parts each of which has its own leaves."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import optax

from gradxform._checks import is_array
from gradxform.compounds import Compound, child_state, gather
from gradxform.parts import Flow, Here, Like, Part, Scope, State, Step
from gradxform.tree import add_and_round, no_update
from gradxform.wrappers._choices import Choice, Leaves
from gradxform.wrappers._view import seen_as


class Own(NamedTuple):
  """What belongs to one of the parts.

  Attributes:
    number: which of the parts it is.
    key: the part's name in the state.
    part: the part.
    places: which of the leaves.
    treedef: the tree with holes in the place of the others.
  """

  number: int
  key: str | None
  part: Part
  places: list[int]
  treedef: Any

  def of(self, leaves: Sequence[Any]) -> list[Any]:
    """Its own of the leaves."""
    return [leaves[index] for index in self.places]

  def tree(self, leaves: Sequence[Any]) -> Any:
    """Its own of the leaves, in its tree."""
    return self.treedef.unflatten(self.of(leaves))

  def seen(self, step: Step) -> Step:
    """What the part reads of a step; its objective is a function of its own leaves, the others stay."""
    stay = step.params

    def whole(tree: Any) -> Any:
      leaves = list(stay or [])
      for index, leaf in zip(self.places, self.treedef.flatten_up_to(tree), strict=True):
        leaves[index] = leaf
      return step.treedef.unflatten(leaves)

    own = seen_as(step, self.treedef, self.of, None if stay is None else whole)
    if is_array(step.extra.get("key")):  # each part has its own leaf 0
      extra = {**own.extra, "key": jax.random.fold_in(step.extra["key"], self.number)}
      return dataclasses.replace(own, extra=extra)
    return own


class Routed(Compound):
  """Parts each of which has its own leaves; in the place of the others it sees a hole.

  A leaf that none has passes unchanged. It has the scope of the whole tree, since the parts have
  slots for their own leaves alone.
  """

  def __init__(self, children: Sequence[tuple[str | None, Part]], choose: Choice):
    super().__init__(children)
    self.choose = choose
    self.scope = Scope.WHOLE_TREE

  def _owned(self, leaves: Leaves) -> Iterator[Own]:
    chosen = self.choose(leaves)
    for number, (key, part) in enumerate(self.children):
      places = [index for index, other in enumerate(chosen) if other == number]
      own = set(places)
      tree = leaves.treedef.unflatten([i if i in own else optax.MaskedNode() for i in range(len(chosen))])
      yield Own(number, key, part, places, jax.tree.structure(tree))

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    leaves, out, states = Leaves(treedef, flow), list(flow), []
    self.choose.check(leaves)
    for own in self._owned(leaves):
      state, likes = own.part.init(own.of(flow), own.treedef)
      states.append(state)
      for index, like in zip(own.places, likes, strict=True):
        out[index] = like
    return gather(self.children, states), out

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    out, state = self._each(lambda own, *args: own.part.update(*args), flow, state, step)
    return [out.get(index, u) for index, u in enumerate(flow)], state

  def advance(self, flow: Flow, state: State, step: Step, leaves: Flow) -> tuple[Flow, State]:
    out, state = self._each(lambda own, *args: own.part.advance(*args, own.of(leaves)), flow, state, step)
    pairs = enumerate(zip(leaves, flow, strict=True))
    return [out[index] if index in out else add_and_round(leaf, u) for index, (leaf, u) in pairs], state

  def _each(self, act: Callable[..., Any], flow: Flow, state: State, step: Step) -> tuple[dict[int, Any], State]:
    """What each part makes of its own leaves, by their places; and the new state."""
    out: dict[int, Any] = {}
    states = []
    for own in self._owned(Leaves(step.treedef, flow)):
      results, new = act(own, own.of(flow), child_state(state, own.key), own.seen(step))
      states.append(new)
      out.update(zip(own.places, results, strict=True))
    return out, gather(self.children, states)

  def describe(self, params: Any, names: Any) -> State:
    arrays, treedef = jax.tree.flatten(params)
    flow = treedef.flatten_up_to(names)
    owned = self._owned(Leaves(treedef, arrays))
    return gather(self.children, [own.part.describe(own.tree(arrays), own.tree(flow)) for own in owned])


class Still(Part):
  """No update: the parameters stay as they are, to the bit."""

  def start(self, like: Like) -> tuple[tuple[Any, ...], Like]:
    return (), like

  def apply(self, u: Any, slots: tuple[Any, ...], values: Any, here: Here) -> tuple[Any, tuple[Any, ...]]:
    del slots, values, here
    return no_update(u), ()

  def advance(self, flow: Flow, state: State, step: Step, leaves: Flow) -> tuple[Flow, State]:
    del flow, step
    return list(leaves), state
