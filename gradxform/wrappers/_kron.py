"""Arrays made white by a factor for each axis, learnt from random probes: PSGD's Kronecker preconditioner."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gradxform._checks import check_fraction, check_integer, check_unit_interval
from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.lifted import Slot, TreeRule
from gradxform.parts import Flow, Like, State, Step, get
from gradxform.transforms import bias_correction, clip_by_block_rms, scale_by_momentum
from gradxform.tree import norm, quotient, real_dtype
from gradxform.wrappers._along import as_tuples, contained_as, square_along, times_along
from gradxform.wrappers._when import when


class Whitening(TreeRule):
  """A rule for whole trees that keeps a factor for each axis of each array: a triangle, or a diagonal."""

  def __init__(self, max_size_triangular: int, key: int, axes: int | None, **hyperparameters: Hyperparameter):
    super().__init__({"factors": Slot()}, "whiten", self.whitened, {}, {}, hyperparameters)
    self.max_size_triangular, self.key, self.axes = max_size_triangular, key, axes

  def _depth(self, shape: tuple[int, ...]) -> int:
    """How many axes, the first ones, count arrays that stand for themselves."""
    return 0 if self.axes is None else max(len(shape) - self.axes, 0)

  def _of_axes(self, shape: tuple[int, ...], diagonal: Any, triangle: Any) -> tuple[Any, ...]:
    """For each axis a value made of the shape of its factors; for a number, one as if it had an axis."""
    if 0 in shape:
      return ()
    first, own = shape[: self._depth(shape)], shape[self._depth(shape) :]
    full = [len(own) > 1 and 1 < n <= self.max_size_triangular for n in own]
    each = (triangle((*first, n, n)) if f else diagonal((*first, n)) for n, f in zip(own, full, strict=True))
    return tuple(each) or (diagonal(()),)

  def start(self, like: Like) -> tuple[tuple[Any, ...], Like]:
    def identity(shape: tuple[int, ...]) -> jax.Array:
      return jnp.array(jnp.broadcast_to(jnp.eye(shape[-1], dtype=like.dtype), shape))

    return (self._of_axes(like.shape, lambda shape: like.full(1, shape), identity),), like

  def describe(self, params: Any, names: Any) -> State:
    leaves, treedef = jax.tree.flatten(params)
    places = zip(leaves, treedef.flatten_up_to(names), strict=True)
    of_axes = [self._of_axes(jnp.shape(leaf), *[lambda _, path=name: path] * 2) for leaf, name in places]
    return {"factors": treedef.unflatten(of_axes)}

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    kept = step.leaves(get(state, ("factors",)), ("factors",))
    tuples = as_tuples(lambda shape, make: self._of_axes(shape, make, make), [u.shape for u in flow], kept)
    updates, new = super().update(flow, {"factors": step.treedef.unflatten(tuples)}, step)
    factors = contained_as(kept, step.leaves(new["factors"], ("factors",)))
    return updates, {"factors": step.treedef.unflatten(factors)}

  def whitened(self, updates, factors, *, count, preconditioner_update_probability, preconditioner_lr):
    """The updates made white by the factors, which are renewed before that if the draw of this step says so."""
    leaves, treedef = jax.tree.flatten(updates)
    draw, probes = jax.random.split(jax.random.fold_in(jax.random.key(self.key), count))

    def renew(kept: list[Any]) -> list[Any]:
      keys = [jax.random.fold_in(probes, index) for index in range(len(leaves))]
      return [
        self._each(_renewed, u)(own, u, jax.random.normal(key, u.shape, u.dtype), preconditioner_lr)
        for own, u, key in zip(kept, leaves, keys, strict=True)
      ]

    kept = treedef.flatten_up_to(factors)
    if leaves:
      drawn = jax.random.uniform(draw, dtype=jnp.float32)
      kept = when(drawn < jnp.asarray(preconditioner_update_probability, drawn.dtype), renew, kept)
    white = [self._each(_white, u)(own, u) for u, own in zip(leaves, kept, strict=True)]
    return treedef.unflatten(white), treedef.unflatten(kept)

  def _each(self, function: Callable[..., Any], u: jax.Array) -> Callable[..., Any]:
    """The function of factors, array and probe, of each of those that the first axes count."""
    for _ in range(self._depth(u.shape)):
      function = _mapped(function)
    return function


def _mapped(function: Callable[..., Any]) -> Callable[..., Any]:
  return lambda factors, u, *rest: jax.vmap(lambda *own: function(*own, *rest[1:]))(factors, u, *rest[:1])


def _white(factors: tuple[jax.Array, ...], u: jax.Array) -> jax.Array:
  return _along(_along(u, factors), tuple(factor.conj() if factor.ndim < 2 else factor.mT.conj() for factor in factors))


def _along(x: jax.Array, factors: tuple[jax.Array, ...]) -> jax.Array:
  """The array multiplied along each axis by the factor of that axis."""
  for axis, factor in enumerate(factors):
    x = x * _spread(factor, axis, x.ndim) if factor.ndim < 2 else x
  return times_along(x, tuple(optax.MaskedNode() if factor.ndim < 2 else factor for factor in factors))


def _divided_along(x: jax.Array, factors: tuple[jax.Array, ...]) -> jax.Array:
  """The array multiplied along each axis by the inverse of the adjoint of the factor of that axis."""
  for axis, factor in enumerate(factors):
    if factor.ndim < 2:
      x = x / _spread(factor.conj(), axis, x.ndim)
    else:
      first = jnp.moveaxis(x, axis, 0)
      columns = jax.scipy.linalg.solve_triangular(factor, first.reshape(len(factor), -1), trans="C")
      x = jnp.moveaxis(columns.reshape(first.shape), 0, axis)
  return x


def _spread(diagonal: jax.Array, axis: int, ndim: int) -> jax.Array:
  return diagonal.reshape((*diagonal.shape, *[1] * (ndim - 1 - axis)))


def _squared_along(x: jax.Array, axis: int, factor: jax.Array) -> jax.Array:
  """The sum over all other axes of x xᴴ; of its diagonal alone, where the factor is one."""
  if factor.ndim < 2:
    return jnp.sum(jnp.square(jnp.abs(x)), axis=[i for i in range(x.ndim) if i != axis]).astype(factor.dtype)
  return square_along(x, axis)


def _renewed(factors: tuple[jax.Array, ...], u: jax.Array, probe: jax.Array, rate: Any) -> tuple[jax.Array, ...]:
  """A step of the factors Q towards where Q u uᴴ Qᴴ and Q⁻ᴴ v vᴴ Q⁻¹, of a white v, are alike."""
  factors = _balanced(factors)
  image, back = _along(u, factors), _divided_along(probe, factors)
  # An array of zeros says nothing, and would let the factors grow until they overflow.
  rate = jnp.where(jnp.any(u != 0), jnp.asarray(rate, real_dtype(u.dtype)), 0)

  def moved(axis: int, factor: jax.Array) -> jax.Array:
    of_image, of_back = _squared_along(image, axis, factor), _squared_along(back, axis, factor)
    size = _least_norm(of_image + of_back) + jnp.finfo(u.dtype).tiny
    gap = rate * (of_image - of_back) / size
    return factor - (gap * factor if factor.ndim < 2 else jnp.triu(gap) @ factor)

  return tuple(moved(axis, factor) for axis, factor in enumerate(factors))


def _balanced(factors: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
  """The factors with one largest element, so that none vanishes for another to overflow: a product that is the same."""
  if len(factors) < 2:
    return factors
  largest = [jnp.max(jnp.abs(factor)) for factor in factors]
  common = jnp.exp(sum(map(jnp.log, largest), start=jnp.zeros_like(largest[0])) / len(factors))
  return tuple(factor * (common / own) for factor, own in zip(factors, largest, strict=True))


def _least_norm(square: jax.Array) -> jax.Array:
  """A lower bound of the largest eigenvalue of a positive matrix, from its longest row; of a diagonal, the largest."""
  largest = jnp.max(jnp.abs(square))
  if square.ndim < 2:
    return largest
  unit = quotient(square, largest)
  row = unit[jnp.argmax(jnp.sum(jnp.square(jnp.abs(unit)), axis=1))]
  direction = unit @ row.conj()
  return largest * norm(unit @ quotient(direction, norm(direction)))


FLAT, DECAY, FLOOR = 500, 1e-3, 0.03


def _annealed(count: jax.Array) -> jax.Array:
  """The authors' probability: 1 for 500 steps, then less and less."""
  since = jnp.asarray(count, jnp.result_type(float)) - FLAT
  return jnp.clip(jnp.exp(-DECAY * since), FLOOR, 1)


@named
def whiten(
  preconditioner_update_probability: Hyperparameter | None = None,
  preconditioner_lr: Hyperparameter = 0.1,
  max_size_triangular: int = 2048,
  key: int = 0,
  *,
  axes: int | None = None,
):
  """Makes the updates white by a Kronecker product of factors, one for each axis, learnt from random probes.

      u ← (Q₁ᴴ Q₁) u (Q₂ᴴ Q₂)ᵀ, and so on for more axes
      a = Q₁ u Q₂ᵀ,   b = Q₁⁻ᴴ v Q̄₂⁻¹,   v ~ N(0, 1);   for each axis, before that, with probability p:
      Q ← Q − c · triu(a aᴴ − b bᴴ) Q / ‖a aᴴ + b bᴴ‖

  where the squares are along that axis, and the norm is a lower bound of it. Each Q is an upper
  triangle, from the identity on; of numbers, vectors, axes of length 1 and long ones a diagonal. A
  white update has the size 1, so a rate that suits Adam is near. There is no eps.

  Whether to renew, and the probes, are functions of the key and the count, so that `update` takes
  nothing more; steps that renew nothing do not touch the factors. An array of zeros leaves its own.

  Args:
    preconditioner_update_probability: p, in [0, 1]; if not given min(1, max(0.03, e^(−(k − 500) / 1000))),
      k updates after the first, for factors soon change slowly.
    preconditioner_lr: c, in [0, 1).
    max_size_triangular: the greatest length of an axis whose factor is a triangle, at least 1.
    key: a seed, at least 0.
    axes: how many axes, the last ones, have factors; in the others each index has its own, as for
      stacked layers. All if not given.

  State: ``factors``, for each array a tuple of the Q of its axes, n×n or n; none of an empty one.

  Source: Li 2015, https://arxiv.org/abs/1512.04202, and the authors' code in Walters' version, which timm has as
  ``Kron``: it balances the factors, which changes no product, at about each hundredth renewal, here at
  each; and renews those of arrays of zeros too. timm renews at every ⌈1 / p⌉-th step instead of by chance.

  >>> import jax.numpy as jnp
  >>> [q.shape for q in whiten(max_size_triangular=4).init(jnp.zeros((3, 8)))["whiten"]["factors"]]
  [(3, 3), (8,)]
  """
  probability = _annealed if preconditioner_update_probability is None else preconditioner_update_probability
  check_unit_interval("whiten", preconditioner_update_probability=probability)
  check_fraction("whiten", preconditioner_lr=preconditioner_lr)
  check_integer("whiten", minimum=1, max_size_triangular=max_size_triangular, axes=1 if axes is None else axes)
  check_integer("whiten", minimum=0, key=key)
  rates = {"preconditioner_update_probability": probability, "preconditioner_lr": preconditioner_lr}
  return Whitening(max_size_triangular, key, axes, **rates)


@named
def scale_by_kron(
  b1: Hyperparameter = 0.9,
  preconditioner_update_probability: Hyperparameter | None = None,
  preconditioner_lr: Hyperparameter = 0.1,
  max_size_triangular: int = 2048,
  max_rms: Hyperparameter = 1.1,
  key: int = 0,
  *,
  axes: int | None = None,
):
  """Makes a momentum white, and bounds its root mean square: the core of PSGD-Kron.

      m ← b1 · m + (1 − b1) · g;   w = whiten(m / (1 − b1ᵗ));   u = w / max(1, rms(w) / c)

  Args:
    b1: decay of the momentum, in [0, 1).
    preconditioner_update_probability: the probability with which the factors are renewed (see `whiten`).
    preconditioner_lr: their learning rate, in [0, 1).
    max_size_triangular: the greatest length of an axis whose factor is a triangle, at least 1.
    max_rms: c, greater than 0; infinity for no bound.
    key: a seed, at least 0.
    axes: how many axes, the last ones, have factors; all if not given.

  State: that of the momentum and of `whiten`.

  Source: Li 2015, https://arxiv.org/abs/1512.04202, as in timm's ``Kron`` (see `whiten`), which adds 1e-8
  to the root mean square.
  """
  white = whiten(preconditioner_update_probability, preconditioner_lr, max_size_triangular, key, axes=axes)
  return chain(scale_by_momentum(b1), bias_correction(b1), white, clip_by_block_rms(max_rms))
