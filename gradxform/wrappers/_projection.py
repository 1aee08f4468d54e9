"""Parts that see matrices by few coordinates, in bases that are renewed now and then."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gradxform._checks import check_choice, check_integer, check_transform
from gradxform.compounds import Chain, Compound, child_state, gather
from gradxform.core import is_hole, stages_of
from gradxform.parts import Flow, Like, Scope, State, Step, get
from gradxform.stacks import in_stacks, in_turn
from gradxform.tree import promoted
from gradxform.wrappers._when import when

PROJECTOR = ("projector",)


class Seen(NamedTuple):
  """What there is of one leaf: its update, its basis or a hole, its coordinates, what was made of them."""

  u: jax.Array
  basis: Any
  low: jax.Array
  out: jax.Array


@dataclasses.dataclass(frozen=True)
class Projection:
  """Where matrices have few coordinates: which of their sides is shortened, to what, by which basis.

  Attributes:
    rank: the number of coordinates along the shortened side.
    update_every: the number of steps for which a basis is kept.
    side: ``longer`` or ``shorter``, the one that is shortened; of equal ones the rows are.
    kind: ``singular``, for singular vectors of the update at hand, or ``random``.
    key: the seed of random ones.
    computed_in: ``float32`` for singular vectors in single precision.
    stacks: whether an array of more axes is a stack of matrices, in the last two, and not something else.
  """

  rank: int
  update_every: int
  side: str
  kind: str = "singular"
  key: int = 0
  computed_in: str | None = None
  stacks: bool = False

  def projects(self, shape: tuple[int, ...]) -> bool:
    """Whether such an array has a basis."""
    return (len(shape) == 2 or (self.stacks and len(shape) > 2)) and 0 not in shape

  def shortens_rows(self, shape: tuple[int, ...]) -> bool:
    """Whether the basis is of the columns, and stands on the left."""
    *_, rows, columns = shape
    return rows >= columns if self.side == "longer" else rows <= columns

  def shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of the basis and of the coordinates of a matrix, or of a stack of them."""
    *count, rows, columns = shape
    rank = min(self.rank, rows, columns)
    if self.shortens_rows(shape):
      return (*count, rows, rank), (*count, rank, columns)
    return (*count, columns, rank), (*count, rows, rank)

  def singular(self, u: jax.Array) -> jax.Array:
    """The singular vectors of the largest singular values, of each matrix. Derivatives take them as constant."""
    u = jax.lax.stop_gradient(u)
    if self.computed_in is not None:
      u = u.astype("complex64" if jnp.iscomplexobj(u) else self.computed_in)
    left, _, right = jnp.linalg.svd(u, full_matrices=False)
    return (left if self.shortens_rows(u.shape) else right.mT.conj())[..., : self.rank]

  def drawn(self, place: int, u: jax.Array, count: jax.Array) -> jax.Array:
    """Normal numbers of variance 1 / rank: a function of the key, of when a basis was due, and of the leaf's place."""
    key = jax.random.fold_in(jax.random.key(self.key), count - count % self.update_every)
    shape, _ = self.shapes(u.shape)
    return jax.random.normal(jax.random.fold_in(key, place), shape, u.dtype) / math.sqrt(shape[-1])

  def coordinates(self, leaves: Flow, bases: Flow) -> Flow:
    """The coordinates of matrices; leaves without a basis as they are."""

    def of_one(u: jax.Array, basis: jax.Array) -> jax.Array:
      dtype = promoted(basis.dtype, u.dtype)
      u, basis = u.astype(dtype), basis.astype(dtype)
      return basis.mT.conj() @ u if self.shortens_rows(u.shape) else u @ basis

    return [u if is_hole(basis) else of_one(jnp.asarray(u), basis) for u, basis in zip(leaves, bases, strict=True)]

  def matrix(self, coordinates: jax.Array, basis: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The matrix of these coordinates."""
    basis = basis.astype(promoted(coordinates.dtype, basis.dtype))
    coordinates = coordinates.astype(basis.dtype)
    return basis @ coordinates if self.shortens_rows(shape) else coordinates @ basis.mT.conj()


class InLowRank(Compound):
  """A part that gets, in the place of each matrix, its coordinates in a basis of a few vectors.

  What comes out for a matrix is in `results`; for all else it is what the inner part makes of it.
  """

  def __init__(self, inner: Chain, projection: Projection, *others: tuple[str, Chain]):
    super().__init__([("inner", inner), *others])
    self.inner, self.projection = inner, projection
    self.keeps = projection.kind == "singular"
    if self.keeps:
      self.slots = (PROJECTOR, *self.slots)
    self.scope = Scope.WHOLE_TREE

  @property
  def stateful(self) -> bool:
    return self.keeps or super().stateful

  def results(self, seen: Sequence[Seen], state: State, step: Step) -> tuple[Flow, Sequence[State]]:
    """What comes out for each leaf, and the states of the parts besides the inner one."""
    raise NotImplementedError

  def _low(self, like: Like) -> Like:
    """What the inner part is told of a leaf."""
    shared = {name: self._low(value) for name, value in like.shared.items()}
    shape = self.projection.shapes(like.shape)[1] if self.projection.projects(like.shape) else like.shape
    return dataclasses.replace(like, shape=shape, shared=shared)

  def _seen(self, leaf: Any) -> jax.ShapeDtypeStruct:
    """What stands for a parameter where the inner part describes what it keeps."""
    like = self._low(Like.of(leaf))
    return jax.ShapeDtypeStruct(like.shape, jnp.result_type(leaf))

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    own, out = self.inner.init([self._low(like) for like in flow], treedef)
    flows_on = [
      dataclasses.replace(like, dtype=promoted(like.dtype, result.dtype))
      if self.projection.projects(like.shape)
      else dataclasses.replace(result, shared=like.shared)
      for like, result in zip(flow, out, strict=True)
    ]
    others = [part.init(flow, treedef)[0] for _, part in self.children[1:]]
    shapes = [self.projection.shapes(like.shape)[0] if self.projection.projects(like.shape) else None for like in flow]
    bases = [
      optax.MaskedNode() if shape is None else like.full(0, shape) for like, shape in zip(flow, shapes, strict=True)
    ]
    return {**self._kept(bases, treedef), **gather(self.children, [own, *others])}, flows_on

  def _kept(self, bases: Flow, treedef: Any) -> State:
    return {"projector": treedef.unflatten(bases)} if self.keeps else {}

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    bases = self._bases(flow, state, step)
    low = self.projection.coordinates(flow, bases)
    out, own = self.inner.update(low, child_state(state, "inner"), self._seen_from(step, flow, bases))
    seen = [Seen(*row) for row in zip(flow, bases, low, out, strict=True)]
    results, others = self.results([self._spread(row) for row in seen], state, step)
    return results, {**self._kept(bases, step.treedef), **gather(self.children, [own, *others])}

  def _bases(self, flow: Flow, state: State, step: Step) -> Flow:
    """The bases of this step: new ones every so often, those of all matrices of one shape together."""
    if not self.keeps:
      places = enumerate(flow)
      return [
        self.projection.drawn(i, u, step.count) if self.projection.projects(u.shape) else optax.MaskedNode()
        for i, u in places
      ]
    bases = step.leaves(get(state, PROJECTOR), PROJECTOR)
    old = [basis for basis in bases if not is_hole(basis)]
    matrices = [u for u, basis in zip(flow, bases, strict=True) if not is_hole(basis)]

    def fresh(old: Flow) -> Flow:
      del old
      return in_stacks(in_turn(self.projection.singular), matrices)

    new = iter(when(step.count % self.projection.update_every == 0, fresh, old) if old else [])
    return [basis if is_hole(basis) else next(new) for basis in bases]

  def _spread(self, seen: Seen) -> Seen:
    """With what the inner part has made of a matrix in the shape of its coordinates."""
    return seen if is_hole(seen.basis) else seen._replace(out=jnp.broadcast_to(seen.out, seen.low.shape))

  def _seen_from(self, step: Step, flow: Flow, bases: Flow) -> Step:
    """What the inner part may read of the step: trees like the updates in coordinates, no parameters."""

    def low(tree: Any) -> Any:
      return step.treedef.unflatten(self.projection.coordinates(jax.tree.leaves(tree), bases))

    extra = {name: low(value) if step.is_like(name, flow) else value for name, value in step.extra.items()}
    shared = {name: self.projection.coordinates(values, bases) for name, values in step.shared.items()}
    return dataclasses.replace(step, params=None, tree=None, extra=extra, shared=shared)

  def describe(self, params: Any, names: Any) -> State:
    leaves, treedef = jax.tree.flatten(params)
    places = zip(leaves, treedef.flatten_up_to(names), strict=True)
    named_bases = [name if self.projection.projects(jnp.shape(leaf)) else optax.MaskedNode() for leaf, name in places]
    low = treedef.unflatten([self._seen(leaf) for leaf in leaves])
    described = [self.inner.describe(low, names), *(part.describe(params, names) for _, part in self.children[1:])]
    return {**self._kept(named_bases, treedef), **gather(self.children, described)}


def checked_projection(
  transform: str,
  rank: int,
  update_every: int,
  side: str = "shorter",
  kind: str = "singular",
  key: int = 0,
  computed_in: str | None = None,
  *,
  stacks: bool = False,
) -> Projection:
  """The projection with these arguments of a transform."""
  check_integer(transform, minimum=1, rank=rank, update_every=update_every)
  check_integer(transform, minimum=0, key=key)
  check_choice(transform, ("longer", "shorter"), side=side)
  check_choice(transform, ("singular", "random"), projection=kind)
  if computed_in is not None:
    check_choice(transform, ("float32",), computed_in=computed_in)
  return Projection(rank, update_every, side, kind, key, computed_in, stacks)


def part_in_low_rank(transform: str, inner: Any) -> Chain:
  """The part that a transform becomes, if it can work in coordinates."""
  check_transform(transform, "inner", inner)
  part = Chain(stages_of(inner))
  if unseen := part.reads & {"param", "value_fn", "grad_fn", "logits_fn"}:
    what = "the parameters" if "param" in unseen else f"`{min(unseen)}`"
    raise ValueError(
      f"`{transform}(inner=...)` must not read {what}, which are no coordinates, got {inner!r}. "
      f"Put what reads them outside: `chain({transform}(...), add_decayed_weights(...))`."
    )
  return part
