"""Matrices in a basis of a few singular vectors, in which an inner transform keeps less: GaLore."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradxform._checks import check_choice, check_integer, check_number, check_transform
from gradxform.compounds import Chain, Compound, child_state, gather
from gradxform.core import Hyperparameter, is_hole, named, part_of, stages_of
from gradxform.parts import Flow, Here, Like, Part, Scope, State, Step, get
from gradxform.transforms import scale as scaled_by
from gradxform.transforms import scale_by_adam
from gradxform.tree import promoted
from gradxform.wrappers._when import when


def _is_matrix(shape: tuple[int, ...]) -> bool:
  return len(shape) == 2 and 0 not in shape


def _is_tall(shape: tuple[int, ...]) -> bool:
  """Whether the basis is of the columns: the longer axis is the one that is shortened."""
  return shape[0] >= shape[1]


class LowRank(Compound):
  """A part that gets, in the place of each matrix, its coordinates in a basis of a few singular vectors."""

  def __init__(self, inner: Chain, factor: Part, rank: int, update_every: int, computed_in: str | None):
    super().__init__([("inner", inner)])
    self.inner, self.factor, self.rank = inner, factor, rank
    self.update_every, self.computed_in = update_every, computed_in
    self.slots = (("projector",), *self.slots)
    self.scope = Scope.WHOLE_TREE

  @property
  def stateful(self) -> bool:
    return True

  def _shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The shapes of the basis and of the coordinates of a matrix."""
    rows, columns = shape
    rank = min(self.rank, rows, columns)
    return ((rows, rank), (rank, columns)) if _is_tall(shape) else ((columns, rank), (rows, rank))

  def _low(self, like: Like) -> Like:
    """What the inner part is told of a leaf."""
    shared = {name: self._low(value) for name, value in like.shared.items()}
    shape = self._shapes(like.shape)[1] if _is_matrix(like.shape) else like.shape
    return dataclasses.replace(like, shape=shape, shared=shared)

  def _seen(self, leaf: Any) -> jax.ShapeDtypeStruct:
    """What stands for a parameter where the inner part describes what it keeps."""
    like = self._low(Like.of(leaf))
    return jax.ShapeDtypeStruct(like.shape, jnp.result_type(leaf))

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    own, out = self.inner.init([self._low(like) for like in flow], treedef)
    bases = [
      like.full(0, self._shapes(like.shape)[0]) if _is_matrix(like.shape) else optax.MaskedNode() for like in flow
    ]  # fmt: skip
    flows_on = [
      dataclasses.replace(like, dtype=promoted(like.dtype, result.dtype))
      if _is_matrix(like.shape)
      else dataclasses.replace(result, shared=like.shared)
      for like, result in zip(flow, out, strict=True)
    ]
    return {"projector": treedef.unflatten(bases), **gather(self.children, [own])}, flows_on

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    bases = self._bases(flow, step.leaves(get(state, ("projector",)), ("projector",)), step)
    out, own = self.inner.update(_coordinates(flow, bases), child_state(state, "inner"), _seen_from(step, bases))
    factor, _ = self.factor.prepare((), step)
    lifted = [self._lifted(u, result, basis, factor) for u, result, basis in zip(flow, out, bases, strict=True)]
    return lifted, {"projector": step.treedef.unflatten(bases), **gather(self.children, [own])}

  def _bases(self, flow: Flow, bases: Flow, step: Step) -> Flow:
    """The bases of this step: new ones every so often. Derivatives take them as constant."""
    old = [basis for basis in bases if not is_hole(basis)]
    matrices = [u for u, basis in zip(flow, bases, strict=True) if not is_hole(basis)]

    def fresh(old: Flow) -> Flow:
      del old
      return [self._basis(u) for u in matrices]

    new = iter(when(step.count % self.update_every == 0, fresh, old) if old else [])
    return [basis if is_hole(basis) else next(new) for basis in bases]

  def _basis(self, u: jax.Array) -> jax.Array:
    """The singular vectors of the largest singular values, those of the longer axis."""
    u = jax.lax.stop_gradient(u)
    if self.computed_in is not None:
      u = u.astype("complex64" if jnp.iscomplexobj(u) else self.computed_in)
    left, _, right = jnp.linalg.svd(u, full_matrices=False)
    return (left if _is_tall(u.shape) else right.mT.conj())[:, : self.rank]

  def _lifted(self, u: jax.Array, result: jax.Array, basis: Any, factor: Any) -> jax.Array:
    """The matrix of these coordinates, scaled; what is no matrix as it is."""
    if is_hole(basis):
      return result
    result = jnp.broadcast_to(result, self._shapes(u.shape)[1])
    basis = basis.astype(promoted(result.dtype, basis.dtype))
    matrix = basis @ result.astype(basis.dtype) if _is_tall(u.shape) else result.astype(basis.dtype) @ basis.mT.conj()
    return self.factor.apply(matrix, (), factor, Here(None, {}, {}))[0]

  def describe(self, params: Any, names: Any) -> State:
    leaves, treedef = jax.tree.flatten(params)
    places = zip(leaves, treedef.flatten_up_to(names), strict=True)
    named_bases = [name if _is_matrix(jnp.shape(leaf)) else optax.MaskedNode() for leaf, name in places]
    seen = treedef.unflatten([self._seen(leaf) for leaf in leaves])
    return {"projector": treedef.unflatten(named_bases), **super().describe(seen, names)}


def _coordinates(leaves: Flow, bases: Flow) -> Flow:
  """The coordinates of matrices; leaves without a basis as they are."""

  def coordinates(u: jax.Array, basis: jax.Array) -> jax.Array:
    dtype = promoted(basis.dtype, u.dtype)
    u, basis = u.astype(dtype), basis.astype(dtype)
    return basis.mT.conj() @ u if _is_tall(u.shape) else u @ basis

  return [u if is_hole(basis) else coordinates(jnp.asarray(u), basis) for u, basis in zip(leaves, bases, strict=True)]


def _seen_from(step: Step, bases: Flow) -> Step:
  """What the inner part may read of the step: trees like the updates in coordinates, no parameters."""
  extra = {
    name: step.treedef.unflatten(_coordinates(jax.tree.leaves(value), bases)) if step.is_per_leaf(name) else value
    for name, value in step.extra.items()
  }
  shared = {name: _coordinates(values, bases) for name, values in step.shared.items()}
  return dataclasses.replace(step, params=None, tree=None, extra=extra, shared=shared)


@named
def in_low_rank(
  inner: Any, rank: int = 128, update_every: int = 200, scale: Hyperparameter = 1.0, *, computed_in: str | None = None
):
  """Lets a transform see each matrix in the basis of its largest singular vectors: GaLore's projection.

      U S Vᴴ = u, anew every k steps, cut to rank r;   u ← s · U · inner(Uᴴ u),   or inner(u V) · Vᴴ · s

  So what the inner transform keeps of an m×n matrix is r×n where m ≥ n, with the basis U of m×r, else
  m×r, with V of n×r. All else, what has not two axes, it sees as it is. Its moments are not turned
  when the basis is. A rank that is the matrix's own loses nothing.

  Args:
    inner: a transform, ours or Optax's, that does not read the parameters. Its updates should follow
      a change of sign of theirs, since the signs of singular vectors have no meaning.
    rank: r, at least 1; no more than the shorter side counts.
    update_every: k, the number of steps for which a basis is kept, at least 1.
    scale: s, for matrices alone; any finite number.
    computed_in: ``float32`` for singular vectors in single precision where the updates are in double.

  State: ``projector``, the basis of each matrix, and holes elsewhere; ``inner``, that of the inner
  transform for the coordinates.

  Raises:
    ValueError: at once if the inner transform reads the parameters, which are no coordinates.

  Source: Zhao et al. 2024, GaLore, Algorithm 1, https://arxiv.org/abs/2403.03507, whose basis is that
  of the shorter side: here, as in ``optax.contrib.scale_by_galore``, it is that of the longer one,
  which leaves less to the inner transform. Optax has it for cores without extra arguments, and
  its transposes are wrong for complex matrices.
  """
  check_transform("in_low_rank", "inner", inner)
  check_integer("in_low_rank", minimum=1, rank=rank, update_every=update_every)
  check_number("in_low_rank", scale=scale)
  if computed_in is not None:
    check_choice("in_low_rank", ("float32",), computed_in=computed_in)
  part = Chain(stages_of(inner))
  if unseen := part.reads & {"param", "value_fn", "grad_fn", "logits_fn"}:
    what = "the parameters" if "param" in unseen else f"`{min(unseen)}`"
    raise ValueError(
      f"`in_low_rank(inner=...)` must not read {what}, which are no coordinates, got {inner!r}. "
      "Put what reads them outside: `chain(in_low_rank(...), add_decayed_weights(...))`."
    )
  return Chain([("in_low_rank", LowRank(part, part_of(scaled_by(scale)), rank, update_every, computed_in))])


@named
def scale_by_galore(
  rank: int = 128, update_proj_gap: int = 200, scale: Hyperparameter = 1.0, base_optimizer: Any = None
):
  """Applies the core of Adam, or another, to matrices in a basis of a few singular vectors.

      u ← in_low_rank(core)(u)

  Args:
    rank: the number of singular vectors, at least 1.
    update_proj_gap: the number of steps for which they are kept, at least 1.
    scale: the factor of matrices.
    base_optimizer: the core, which must not read the parameters; `scale_by_adam()` if not given.

  State: that of `in_low_rank`.

  Source: Zhao et al. 2024, https://arxiv.org/abs/2403.03507; ``optax.contrib.scale_by_galore``, which
  has its singular vectors in single precision in double precision too.
  """
  return in_low_rank(scale_by_adam() if base_optimizer is None else base_optimizer, rank, update_proj_gap, scale)
