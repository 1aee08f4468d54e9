"""Arrays in the eigenbases of the averages of their squares, in which an inner transform works: SOAP."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradxform._checks import check_fraction, check_integer, check_transform, rejected
from gradxform.combinators import chain, divide
from gradxform.compounds import Chain, Compound, FanOut
from gradxform.core import Hyperparameter, is_hole, named, part_of, stages_of
from gradxform.parts import SCALAR, Flow, Here, Like, Part, State, Step, get
from gradxform.stacks import in_stacks, in_turn
from gradxform.transforms import bias_correction, moving_average, root, scale_by_momentum, square
from gradxform.tree import cast
from gradxform.wrappers._along import as_tuples, contained_as, square_along, times_along
from gradxform.wrappers._complex import Split
from gradxform.wrappers._pace import Paced
from gradxform.wrappers._when import when

FACTORS, BASIS = ("factors",), ("basis",)


class Eigenbasis(Paced):
  """A part that gets each array in the eigenbases of the averages of its squares, one for each axis."""

  def __init__(self, inner: Chain, average: Part, update_every: int, max_dim: int, axes: int | None):
    super().__init__(inner)
    self.average, self.update_every, self.max_dim, self.axes = average, update_every, max_dim, axes
    self.slots = (FACTORS, BASIS, *self.slots)

  def _of_axes(self, shape: tuple[int, ...], value: Any) -> tuple[Any, ...]:
    """For each axis that may have a basis a value made of its shape, or a hole where it keeps its own."""
    own = shape if self.axes is None else shape[-self.axes :]
    stack = shape[: len(shape) - len(own)]
    turns = len(shape) > 1 and 0 not in shape
    return tuple(value((*stack, n, n)) if turns and 1 < n <= self.max_dim else optax.MaskedNode() for n in own)

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    def zeros() -> Any:
      return treedef.unflatten([self._of_axes(like.shape, lambda shape, of=like: of.full(0, shape)) for like in flow])

    inner, _ = self.start_inner(flow, treedef)
    return {"factors": zeros(), "basis": zeros(), "inner": inner}, list(flow)

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    kept = [step.leaves(get(state, path), path) for path in (FACTORS, BASIS)]
    factors, bases = (as_tuples(self._of_axes, [u.shape for u in flow], column) for column in kept)
    updates, inner = self._within(flow, bases, state["inner"], step)
    values, _ = self.average.prepare((), step)
    factors = [self._averaged(u, own, values) for u, own in zip(flow, factors, strict=True)]
    bases, inner = self._renewed(factors, bases, inner, flow, step)
    factors, bases = map(step.treedef.unflatten, map(contained_as, kept, (factors, bases)))
    return updates, {"factors": factors, "basis": bases, "inner": inner}

  def _within(self, flow: Flow, bases: Flow, inner: State, step: Step) -> tuple[Flow, State]:
    """A step of the inner part, in the bases from before it; none at the first, which has no bases."""

    def go(kept: tuple[Flow, State]) -> tuple[Flow, State]:
      return self._inside(flow, bases, kept[1], step)

    return when(step.count > 0, go, ([jnp.zeros_like(u) for u in flow], inner))

  def _inside(self, flow: Flow, bases: Flow, inner: State, step: Step) -> tuple[Flow, State]:
    """A step of the inner part, in these bases."""
    out, new = self.update_inner(_coordinates(flow, bases), inner, self._seen_from(step, flow, bases))
    spread = [jnp.broadcast_to(result, u.shape) for u, result in zip(flow, out, strict=True)]
    return [times_along(u, basis) for u, basis in zip(spread, bases, strict=True)], new

  def _seen_from(self, step: Step, flow: Flow, bases: Flow) -> Step:
    """What the inner part may read of the step: trees like the updates, in coordinates."""
    params = _coordinates(step.params, bases) if step.params is not None and "param" in self.inner.reads else None
    extra = {
      name: step.treedef.unflatten(_coordinates(jax.tree.leaves(value), bases)) if step.is_like(name, flow) else value
      for name, value in step.extra.items()
    }
    shared = {name: _coordinates(values, bases) for name, values in step.shared.items()}
    return dataclasses.replace(step, params=params, tree=None, extra=extra, shared=shared)

  def _averaged(self, u: jax.Array, factors: tuple[Any, ...], values: Any) -> tuple[Any, ...]:
    """The averages with this update's square along each axis: of u uᴴ, of uᵀ ū, …"""

    def averaged(axis: int, factor: Any) -> Any:
      if is_hole(factor):
        return factor
      squared = cast(square_along(u, axis, stacked=u.ndim - len(factors)), factor.dtype)
      return self.average.apply(squared, (factor,), values, Here(None, {}, {}))[0]

    return tuple(averaged(axis, factor) for axis, factor in enumerate(factors))

  def _renewed(self, factors: Flow, bases: Flow, inner: State, flow: Flow, step: Step) -> tuple[Flow, State]:
    """The bases for the next step, and what the inner part keeps, in them. Derivatives take them as constant."""
    if not jax.tree.leaves(bases):
      return bases, inner
    fixed = jax.lax.stop_gradient(factors)
    bases = when(step.count == 0, lambda old: alike_together(lambda _, factor: eigenvectors(factor), old, fixed), bases)

    def renew(kept: tuple[Flow, State]) -> tuple[Flow, State]:
      return self._moved(alike_together(_power_step, jax.lax.stop_gradient(kept[0]), fixed), kept, flow, step)

    return when((step.count > 0) & (step.count % self.update_every == 0), renew, (bases, inner))

  def _moved(self, new: Flow, kept: tuple[Flow, State], flow: Flow, step: Step) -> tuple[Flow, State]:
    """Other bases, and what the inner part keeps, in these."""
    turns = jax.tree.map(lambda to, of: to.mT.conj() @ of, new, jax.lax.stop_gradient(kept[0]))
    return new, self._turned(kept[1], turns, flow, step)

  def _turned(self, inner: State, turns: Flow, flow: Flow, step: Step) -> State:
    """The state of the inner part with its directions in another basis; the rest as it is."""
    owners = self.describe_inner(step.treedef.unflatten(flow), step.treedef.unflatten(range(len(flow))))

    def turned(slot: jax.Array, owner: Any, like: jax.ShapeDtypeStruct) -> jax.Array:
      is_whole = owner is not SCALAR and like.shape == flow[owner].shape
      is_direction = is_whole and jnp.issubdtype(like.dtype, jnp.complexfloating)
      return cast(times_along(slot, turns[owner]), slot.dtype) if is_direction else slot

    return jax.tree.map(turned, inner, owners, self._of_complex(flow, step))

  def _of_complex(self, flow: Flow, step: Step) -> State:
    """Shapes and dtypes of the inner state, were the updates complex, though not the parameters.

    Then directions are complex, and sizes are not: ours go by the updates, as Optax's are made to.
    """

    def like(u: jax.Array) -> Like:
      real = jnp.zeros(u.shape, u.real.dtype)
      alone = Like(u.shape, np.result_type(real.dtype, np.complex64), real)
      return dataclasses.replace(alone, shared=dict.fromkeys(step.shared, alone))

    def started() -> State:
      likes = [like(u) for u in flow]
      return self.start_inner(likes, step.treedef)[0]

    return jax.eval_shape(started)

  def describe(self, params: Any, names: Any) -> State:
    leaves, treedef = jax.tree.flatten(params)
    places = zip(leaves, treedef.flatten_up_to(names), strict=True)
    of_axes = [self._of_axes(jnp.shape(leaf), lambda _, path=name: path) for leaf, name in places]
    of_factors = treedef.unflatten(of_axes)
    return {"factors": of_factors, "basis": of_factors, "inner": self.describe_inner(params, names)}


def alike_together(function: Callable[..., Any], *trees: Any) -> Any:
  """A function of stacks of matrices, of all leaves of one shape together."""
  leaves = [jax.tree.leaves(tree) for tree in trees]
  return jax.tree.unflatten(jax.tree.structure(trees[0]), in_stacks(in_turn(function), *leaves))


def _coordinates(leaves: Flow, bases: Flow) -> Flow:
  """The leaves in their bases."""
  inverses = jax.tree.map(lambda basis: basis.mT.conj(), bases)
  return [times_along(jnp.asarray(u), inverse) for u, inverse in zip(leaves, inverses, strict=True)]


def eigenvectors(factor: jax.Array) -> jax.Array:
  """Those of the largest eigenvalues first."""
  return jnp.linalg.eigh(factor)[1][..., ::-1]


def _power_step(basis: jax.Array, factor: jax.Array) -> jax.Array:
  """One step of orthogonal iteration: each vector stays near where it was, and at its place.

  Orthogonalization leaves the first vectors most as they are: so those of the largest eigenvalues come
  first in it, and go back afterwards, since what the inner transform keeps is in their old order.
  """
  image = factor @ basis
  order = jnp.argsort(-jnp.sum(basis.conj() * image, axis=-2, keepdims=True).real)
  orthogonal, _ = jnp.linalg.qr(jnp.take_along_axis(image, order, axis=-1))
  return jnp.take_along_axis(orthogonal, jnp.argsort(order), axis=-1)


def _hindrance(part: Part) -> str | None:
  """What keeps a part from working where coordinates turn."""
  if unseen := sorted(part.reads & {"value_fn", "grad_fn", "logits_fn"}):
    return f"read `{unseen[0]}`"
  if isinstance(part, Split):
    return "split complex numbers"
  children = part.children if isinstance(part, Compound) else ()
  if "param" in part.reads and part.stateful and type(part) not in (Chain, FanOut):
    return "keep the parameters"
  return next(filter(None, (_hindrance(child) for _, child in children)), None)


def turning(name: str, kind: type[Eigenbasis], inner: Any, decay: Hyperparameter, *numbers: Any) -> Part:
  """The part of a wrapper of this name, if what it is given can turn."""
  check_transform(name, "inner", inner)
  check_fraction(name, decay=decay)
  update_every, max_dim, axes = numbers
  check_integer(name, minimum=1, update_every=update_every, max_dim=max_dim, axes=1 if axes is None else axes)
  part = Chain(stages_of(inner))
  if hindrance := _hindrance(part):
    wanted = f"a transform that does not {hindrance}, since its coordinates turn, got {inner!r}. Put that outside."
    raise rejected(ValueError, name, "inner", inner, wanted)
  return Chain([(name, kind(part, part_of(moving_average(decay)), update_every, max_dim, axes))])


@named
def in_eigenbasis(
  inner: Any, decay: Hyperparameter = 0.95, update_every: int = 10, *, max_dim: int = 10_000, axes: int | None = None
):
  """Lets a transform see each matrix in the eigenbases of the averages of u uᴴ and uᴴ u: SOAP's rotation.

      u ← P · inner(Pᴴ u Q) · Qᴴ
      l ← b · l + (1 − b) · u uᴴ;   r ← b · r + (1 − b) · uᴴ u;   then, at every k-th step,
      P ← qr(l P),   Q ← qr(r Q),   the eigenvectors of l and r at the first

  The bases are those from before the step, so the first call only sets them up: it emits 0, and the
  inner transform, which counts its own steps, begins at the second. An array with more axes has a
  basis for each of them, unless only the last ones have: then each index of the others, which count layers
  or the like, has its own. Vectors, numbers, and axes of length 1 or above a limit keep their own.
  All bases of one size are renewed together, as one stack.

  When the bases turn, what the inner transform keeps as a direction, such as a momentum, is turned
  along; what it keeps as a size, such as an average of squares, stays with the vectors as they are,
  which keep their places. A direction is what would be complex if the updates were.

  Args:
    inner: a transform, ours or Optax's. It sees the parameters in coordinates too, and may not keep
      them. Its updates should follow a change of sign of theirs, since the signs of eigenvectors
      have no meaning.
    decay: b of the averages, in [0, 1).
    update_every: k, the number of steps for which a basis is kept, at least 1.
    max_dim: the greatest length of an axis that has a basis, at least 1.
    axes: how many axes, the last ones, have one, at least 1: 2 for stacked matrices. All if not given.

  State: ``factors``, for each array a tuple of the averages l, r, …, n×n for an axis of length n, for
  each index of those that only count, and holes where an axis has none; ``basis``, the like of P, Q, …;
  ``inner``, that of the inner transform with its own ``count``.

  Raises:
    ValueError: at once if the inner transform keeps parameters, evaluates the objective, or splits
      complex numbers: what does should stand around.

  Source: Vyas et al. 2024, SOAP, Algorithms 3 and 4, https://arxiv.org/abs/2409.11321, and the authors' code,
  which sorts the vectors anew at each refresh, and the second moments with them, has bases of ±1
  for axes of length 1, and as an option merges axes; ``axes`` is not theirs.

  >>> from gradxform import in_eigenbasis, sign
  >>> in_eigenbasis(sign(), 0.9)
  in_eigenbasis(sign(), decay=0.9, update_every=10, max_dim=10000, axes=None)
  """
  return turning("in_eigenbasis", Eigenbasis, inner, decay, update_every, max_dim, axes)


def adam_of_plain_root(b1: Hyperparameter, b2: Hyperparameter, eps: Hyperparameter):
  """The core of Adam with eps at the uncorrected root, as SOAP's authors have it."""
  second = chain(square(), moving_average(b2), root(eps), bias_correction(b2, power=0.5))
  return divide(chain(scale_by_momentum(b1), bias_correction(b1)), by=second)


@named
def scale_by_soap(
  b1: Hyperparameter = 0.95,
  b2: Hyperparameter = 0.95,
  eps: Hyperparameter = 1e-8,
  precondition_frequency: int = 10,
  max_precond_dim: int = 10_000,
  *,
  axes: int | None = None,
):
  """Applies Adam to matrices in the eigenbases of the averages of their squares: the core of SOAP.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · g²;   g = in_eigenbasis(u)
      u = √(1 − b2ᵗ) / (1 − b1ᵗ) · m / (√v + eps),   turned back

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment and of the averages of which the bases are, in [0, 1).
    eps: added to the uncorrected root; at least 0.
    precondition_frequency: the number of steps for which bases are kept, at least 1.
    max_precond_dim: the greatest length of an axis that has a basis, at least 1.
    axes: how many axes, the last ones, have one; all if not given.

  State: that of `in_eigenbasis`.

  Its first update is 0. Directions in which gradients are 0 but for rounding, as all but three are for
  one of shape (8, 3), get steps too while eps is smaller than that.

  Source: Vyas et al. 2024, https://arxiv.org/abs/2409.11321, and the authors' code.
  """
  core = adam_of_plain_root(b1, b2, eps)
  return in_eigenbasis(core, b2, precondition_frequency, max_dim=max_precond_dim, axes=axes)
