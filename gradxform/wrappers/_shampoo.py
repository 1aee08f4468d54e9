"""What a transform makes of the updates, divided by roots of the updates' squares along each axis: Shampoo."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gradxform._checks import check_integer, check_positive, check_transform
from gradxform.combinators import chain
from gradxform.compounds import Chain, Compound, child_state, gather
from gradxform.core import Hyperparameter, named, part_of, stages_of
from gradxform.parts import SCALAR, Flow, Here, Like, Part, Scope, State, Step, get, put
from gradxform.stacks import in_stacks, in_turn
from gradxform.transforms import add_constant, bias_correction, moving_average, running_sum, scale_by_momentum
from gradxform.tree import cast, real_dtype
from gradxform.wrappers._along import as_tuples, contained_as, square_along, times_along
from gradxform.wrappers._blocks import Blocks
from gradxform.wrappers._when import when

FACTORS, ROOTS = ("factors",), ("roots",)
NOTHING = Here(None, {}, {})


class Preconditioned(Compound):
  """A part whose results are multiplied by inverse roots of the updates' squares along each axis, block by block.

  Attributes:
    inner: the part whose results these are.
    gathered: the filter that gathers the squares.
    regular: what becomes of their eigenvalues before the root is taken; it has no slots.
    due: of the number of a step, whether the roots are taken anew.
    block_size: the greatest length of a block.
    axes: how many axes, the last ones, have squares; all if ``None``.
  """

  def __init__(self, inner: Part, gathered: Part, regular: Part, due: Any, block_size: int, axes: int | None):
    super().__init__([("inner", inner), ("eigenvalues", regular)])
    self.inner, self.gathered, self.regular = inner, gathered, regular
    self.due, self.block_size, self.axes = due, block_size, axes
    self.slots = (FACTORS, ROOTS, *self.slots)
    self.scope = Scope.WHOLE_TREE

  @property
  def stateful(self) -> bool:
    return True

  def _blocks(self, shape: tuple[int, ...]) -> Blocks:
    return Blocks.of(shape, self.block_size, self.axes)

  def _of_axes(self, shape: tuple[int, ...], value: Any) -> tuple[Any, ...]:
    """For each axis of a block a value, made of the shape of the stack of its matrices; none of an empty array."""
    blocks = self._blocks(shape)
    return tuple(value((blocks.number, n, n)) for n in blocks.block) if blocks.number else ()

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    def zeros() -> Any:
      return treedef.unflatten([self._of_axes(like.shape, lambda s, of=like: of.full(0, s)) for like in flow])

    inner, out = self.inner.init(flow, treedef)
    regular: State = {}
    for path, value in zip(self.regular.scalars, self.regular.start_scalars(), strict=True):
      put(regular, path, value)
    return {"factors": zeros(), "roots": zeros(), **gather(self.children, [inner, regular])}, out

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    out, inner = self.inner.update(flow, child_state(state, "inner"), step)
    values, _ = self.gathered.prepare((), step)
    kept = [step.leaves(get(state, path), path) for path in (FACTORS, ROOTS)]
    factors, roots = (as_tuples(self._of_axes, [u.shape for u in flow], column) for column in kept)
    factors = [self._gathered(u, own, values) for u, own in zip(flow, factors, strict=True)]
    old = child_state(state, "eigenvalues")
    values, scalars = self.regular.prepare(tuple(get(old, path) for path in self.regular.scalars), step)
    regular: State = {}
    for path, value in zip(self.regular.scalars, scalars, strict=True):
      put(regular, path, value)
    roots = self._renewed(factors, roots, values, step)
    applied = zip(flow, out, roots, strict=True)
    updates = [self._preconditioned(jnp.broadcast_to(result, u.shape), own) for u, result, own in applied]
    factors, roots = map(step.treedef.unflatten, map(contained_as, kept, (factors, roots)))
    return updates, {"factors": factors, "roots": roots, **gather(self.children, [inner, regular])}

  def _gathered(self, u: jax.Array, factors: tuple[Any, ...], values: Any) -> tuple[Any, ...]:
    """The squares along each axis so far, with those of this update."""
    if not factors:
      return factors
    blocks = self._blocks(u.shape).cut(u)
    squares = (cast(square_along(blocks, axis, stacked=1), factor.dtype) for axis, factor in enumerate(factors))
    return tuple(
      self.gathered.apply(square, (factor,), values, NOTHING)[0]
      for square, factor in zip(squares, factors, strict=True)
    )

  def _renewed(self, factors: Flow, roots: Flow, values: Any, step: Step) -> Flow:
    """The inverse roots, taken anew at some of the steps. Derivatives take them as constant."""
    if not jax.tree.leaves(roots):
      return roots
    fixed = jax.lax.stop_gradient((factors, values))
    return when(self.due(step.t), lambda _: self._roots(*fixed), roots)

  def _roots(self, factors: Flow, values: Any) -> Flow:
    """The inverse roots, of the order of twice the number of axes; of all matrices of one shape at once."""
    leaves, treedef = jax.tree.flatten(factors)
    powers = [jnp.full((len(factor), 1, 1), -0.5 / len(own)) for own in factors for factor in own]
    inverse_roots = in_turn(functools.partial(self._inverse_roots, values))
    return treedef.unflatten(in_stacks(inverse_roots, leaves, powers))

  def _inverse_roots(self, values: Any, stack: jax.Array, power: jax.Array) -> jax.Array:
    """(a + eps) to this power, of each positive matrix a: what was rounded below 0 is lifted to it."""
    if stack.shape[-1] == 1:
      eigenvalues, vectors = stack[:, 0].real, jnp.ones_like(stack)
    else:
      eigenvalues, vectors = jnp.linalg.eigh(stack)
    eigenvalues = eigenvalues - jnp.minimum(jnp.min(eigenvalues, axis=-1, keepdims=True), 0)
    regular, _ = self.regular.apply(eigenvalues, (), values, NOTHING)
    powers = regular ** cast(power[:, 0], real_dtype(stack.dtype))
    return (vectors * powers[:, None, :]) @ vectors.mT.conj()

  def _preconditioned(self, u: jax.Array, roots: tuple[Any, ...]) -> jax.Array:
    if not roots:
      return u
    blocks = self._blocks(u.shape)
    return blocks.join(times_along(blocks.cut(u), roots)).reshape(u.shape)

  def describe(self, params: Any, names: Any) -> State:
    leaves, treedef = jax.tree.flatten(params)
    places = zip(leaves, treedef.flatten_up_to(names), strict=True)
    of_axes = [self._of_axes(jnp.shape(leaf), lambda _, path=name: path) for leaf, name in places]
    of_factors = treedef.unflatten(of_axes)
    regular: State = {}
    for path in self.regular.scalars:
      put(regular, path, SCALAR)
    own = gather(self.children, [self.inner.describe(params, names), regular])
    return {"factors": of_factors, "roots": of_factors, **own}


@named
def precondition_by_factors(
  inner: Any,
  decay: Hyperparameter | None = None,
  eps: Hyperparameter = 1e-12,
  update_every: int = 10,
  start: int | None = None,
  *,
  block_size: int = 1024,
  axes: int | None = None,
):
  """Multiplies what a transform makes of each array by inverse roots of the updates' squares along each axis.

      l ← l + u uᴴ;   r ← r + uᵀ ū;   u ← (l + eps)^(−1/4) · inner(u) · (r + eps)^(−1/4)ᵀ   for a matrix

  and so with a root of the order 2k and k factors for an array of k axes. An axis longer than a block
  is cut into the fewest blocks of equal length; then each block of the array has its own factors.
  Vectors and numbers are cut into single elements, which divides by the root of their own
  sums, as Adagrad does. Roots are taken at every n-th step from the start on; before that it
  emits 0.

  Args:
    inner: a transform, ours or Optax's, such as a momentum; the squares are those of what it is given.
    decay: b, in [0, 1), for averages b · l + (1 − b) · u uᴴ, whose bias is corrected, instead of the sums.
    eps: added to the eigenvalues of the factors; greater than 0.
    update_every: n, the number of steps for which roots are kept, at least 1.
    start: the first step that has roots, at least 1; n if not given.
    block_size: the greatest length of a block, at least 1; 1 leaves the squares of single elements.
    axes: how many axes, the last ones, have factors; in the others each index has its own, as for
      stacked layers. All if not given.

  State: ``factors``, for each array a tuple of the factors of its axes, each a stack of n×n for blocks
  of length n; ``roots``, the like; ``inner``, that of the inner transform; for a scheduled decay
  ``eigenvalues``, with its correction.

  All factors of one size, of all arrays, are decomposed as one stack. Derivatives take the roots as constant.

  Source: Gupta et al. 2018, Shampoo, Algorithms 1 and 2, https://arxiv.org/abs/1802.09568; the blocks of Anil
  et al. 2020, https://arxiv.org/abs/2002.09018; averages, correction and eps of Shi et al. 2023,
  https://arxiv.org/abs/2309.06497, and Meta's code, where the last block may be shorter, a vector has
  a matrix too, axes are merged as long as they fit a block, and there is no 0 before the start.

  >>> import gradxform as gx
  >>> t = gx.precondition_by_factors(gx.identity(), update_every=1)
  >>> t.update(-4.0, t.init(0.0))[0].item()
  -1.0
  """
  check_transform("precondition_by_factors", "inner", inner)
  check_positive("precondition_by_factors", eps=eps)
  check_integer("precondition_by_factors", minimum=1, update_every=update_every, block_size=block_size)
  first = update_every if start is None else start
  check_integer("precondition_by_factors", minimum=1, start=first, axes=1 if axes is None else axes)

  def due(t: jax.Array) -> jax.Array:
    return (t == first) | ((t > first) & (t % update_every == 0))

  if decay is None:
    gathered, regular = running_sum(), add_constant(eps)
  else:
    gathered, regular = moving_average(decay), chain(bias_correction(decay), add_constant(eps))
  parts = Chain(stages_of(inner)), part_of(gathered), Chain(stages_of(regular))
  return Chain([("precondition_by_factors", Preconditioned(*parts, due, block_size, axes))])


@named
def scale_by_shampoo(
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter | None = None,
  eps: Hyperparameter = 1e-12,
  precondition_frequency: int = 10,
  start_preconditioning_step: int | None = None,
  *,
  block_size: int = 1024,
  axes: int | None = None,
):
  """Multiplies a momentum by inverse roots of the gradients' squares along each axis: the core of Shampoo.

      m ← b1 · m + (1 − b1) · g;   l ← l + g gᴴ;   r ← r + gᵀ ḡ
      u = (l + eps)^(−1/4) · m / (1 − b1ᵗ) · (r + eps)^(−1/4)ᵀ   for a matrix

  Args:
    b1: decay of the momentum, in [0, 1).
    b2: decay of averages in the place of the sums, in [0, 1).
    eps: added to the eigenvalues of the factors; greater than 0.
    precondition_frequency: the number of steps for which roots are kept, at least 1.
    start_preconditioning_step: the first step that has roots, that number if not given; before it u is 0.
    block_size: the greatest length of a block, at least 1.
    axes: how many axes, the last ones, have factors; all if not given.

  State: that of `precondition_by_factors`.

  Source: Gupta et al. 2018, https://arxiv.org/abs/1802.09568, which has no momentum in it (b1 = 0), as Shi et
  al. 2023, https://arxiv.org/abs/2309.06497, have it (see `precondition_by_factors`).
  """
  momentum = chain(scale_by_momentum(b1), bias_correction(b1))
  every, start = precondition_frequency, start_preconditioning_step
  return precondition_by_factors(momentum, b2, eps, every, start, block_size=block_size, axes=axes)
