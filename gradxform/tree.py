"""Arithmetic on pytrees, in at least float32, and the update of parameters."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_shapes, tree_mismatch

__all__ = ["apply_updates"]

Params = Any
Updates = Any


@jax.custom_jvp
def sqrt(x: jax.Array) -> jax.Array:
  """The square root, whose derivatives at 0 are taken as 0, not as infinite.

  An element or array whose gradients were all zero has no say in the derivative of a training run
  with respect to a hyperparameter, where 0 · ∞ would give NaN.
  """
  return jax.lax.sqrt(x)


@sqrt.defjvp
def _sqrt_derivative(primals: Any, tangents: Any) -> Any:
  (x,), (tangent,) = primals, tangents
  root = sqrt(x)
  return root, tangent * jnp.where(root == 0, 0, 0.5 / jnp.where(root == 0, 1, root))


@jax.custom_jvp
def cbrt(x: jax.Array) -> jax.Array:
  """The cube root, whose derivatives at 0 are taken as 0, as those of `sqrt`."""
  return jax.lax.cbrt(x)


@cbrt.defjvp
def _cbrt_derivative(primals: Any, tangents: Any) -> Any:
  (x,), (tangent,) = primals, tangents
  root = cbrt(x)
  return root, tangent * jnp.where(root == 0, 0, 1 / (3 * jnp.where(root == 0, 1, root * root)))


def quotient(numerator: Any, divisor: Any) -> jax.Array:
  """The quotient, or 0 where the divisor is 0."""
  empty = divisor == 0
  # The inner `where` keeps the derivative at 0 / 0 from being NaN.
  return jnp.where(empty, 0, numerator / jnp.where(empty, 1, divisor))


def angle(opposite: Any, adjacent: Any) -> jax.Array:
  """The angle whose tangent is the quotient, or 0 where both are 0, with derivatives that are not NaN there."""
  return jnp.arctan2(opposite, jnp.where((opposite == 0) & (adjacent == 0), 1, adjacent))


def norm(x: jax.Array) -> jax.Array:
  """The Euclidean norm of one array."""
  return sqrt(jnp.sum(jnp.square(jnp.abs(x))))


def norms(x: jax.Array, axis: Any) -> jax.Array:
  """The Euclidean norms along some axes, which stay, of length 1."""
  return sqrt(jnp.sum(jnp.square(jnp.abs(x)), axis=axis, keepdims=True))


def matrix_norms(x: jax.Array) -> jax.Array:
  """Those of matrices, in the last two axes; a vector is a matrix of one row."""
  return norms(x, tuple(range(x.ndim))[-2:])


@functools.cache
def promoted(a: np.dtype, b: np.dtype) -> np.dtype:
  """The common dtype of two, the first float32 at least; whatever the user's mode of promotion."""
  if jnp.issubdtype(b, jnp.floating) and b.itemsize < 4:
    return a  # at least float32 already; 8-bit floats have no promotion in JAX
  with jax.numpy_dtype_promotion("standard"):
    return jnp.promote_types(a, b)


def computing_dtype(*values: Any) -> np.dtype:
  """The dtype in which values, or dtypes, are computed with: their common one, float32 at least."""
  dtype = np.dtype(np.float32)
  for value in values:
    dtype = promoted(dtype, np.dtype(jnp.result_type(value)))
  return dtype


def cast(x: Any, dtype: Any) -> Any:
  """The array in this dtype, and not weakly typed; itself if it is so already."""
  return x if x.dtype == dtype and not getattr(x, "weak_type", False) else x.astype(dtype)


def real_dtype(dtype: Any) -> np.dtype:
  """The dtype of the real part: float32 for complex64, the dtype itself if real."""
  return jnp.finfo(dtype).dtype


def paths(treedef: Any) -> list[str]:
  """The paths of the leaves, as they are printed: ``params/Dense_0/kernel``."""
  leaves = jax.tree_util.tree_leaves_with_path(treedef.unflatten(range(treedef.num_leaves)))
  return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def of_one_example(leaves: Sequence[Any], names: Callable[[], Sequence[str]]) -> list[jax.ShapeDtypeStruct]:
  """What the gradient of one example is like, where the leaves have the examples along their first axis."""
  numbers = {np.shape(leaf)[:1] for leaf in leaves}
  if len(numbers) > 1 or numbers & {(), (0,)}:
    shapes = dict(zip(names(), map(np.shape, leaves), strict=True))
    raise ValueError(
      "the updates must be the gradients of single examples, as many along the first axis of each leaf, got the "
      f"shapes {shapes}. Make them by `jax.vmap(jax.grad(loss), in_axes=(None, 0))(params, batch)`."
    )
  return [jax.ShapeDtypeStruct(np.shape(leaf)[1:], jnp.result_type(leaf)) for leaf in leaves]


def _total(sums: Iterable[jax.Array]) -> jax.Array:
  """The sum of real scalars, in their widest dtype, float32 at least."""
  total = jnp.zeros((), np.float32)
  for part in sums:
    common = promoted(total.dtype, part.dtype)
    total = total.astype(common) + part.astype(common)
  return total


def _wide(x: Any, *others: Any) -> jax.Array:
  return jnp.asarray(x, computing_dtype(x, *others))


def squared_norm(tree: Any) -> jax.Array:
  """The sum of the squares of all leaves, Σ |xᵢ|², accumulated in float32 at least."""
  return _total(jnp.sum(jnp.square(jnp.abs(_wide(leaf)))) for leaf in jax.tree.leaves(tree))


def absolute_sum(tree: Any) -> jax.Array:
  """The sum of the absolute values of all leaves, Σ |xᵢ|, accumulated in float32 at least."""
  return _total(jnp.sum(jnp.abs(_wide(leaf))) for leaf in jax.tree.leaves(tree))


def global_norm(tree: Any) -> jax.Array:
  """Computes the Euclidean norm of all leaves together, accumulated in float32 at least.

      ‖x‖ = √(Σ |xᵢ|²)

  Args:
    tree: arrays of any shapes, real or complex; an empty tree has norm 0.

  Returns:
    A scalar array.
  """
  return sqrt(squared_norm(tree))


def vdot(a: Any, b: Any) -> jax.Array:
  """Computes the inner product of two trees over all leaves, its real part, in float32 at least.

  a·b = Re Σ aᵢ* bᵢ
  """
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  # a sum, not `jnp.vdot`: of arrays sharded over a mesh with explicit axes that needs to be told its sharding
  return _total(jnp.sum(jnp.real(jnp.conj(_wide(x, y)) * _wide(y, x))) for x, y in pairs)


def scaled(factor: Any, tree: Any) -> Any:
  """The tree with each leaf times a real scalar, in the leaf's dtype."""
  return jax.tree.map(lambda x: jnp.asarray(factor, real_dtype(x.dtype)) * x, tree)


def plus(a: Any, b: Any) -> Any:
  """The sum of two trees, leaf by leaf."""
  return jax.tree.map(jnp.add, a, b)


def minus(a: Any, b: Any) -> Any:
  """The difference of two trees, leaf by leaf."""
  return jax.tree.map(jnp.subtract, a, b)


def mixed(old: Any, new: Any, decay: Any) -> Any:
  """Gives b · old + (1 − b) · new.

  Rounded to float32, b and 1 − b of a Python number do not add up to 1, and the average of a constant
  is off, with 0.999 by 1.3e-5. Small b would lose a small update to a large average.
  """
  if isinstance(decay, float) and decay >= 0.5:
    return old + (1 - decay) * (new - old)
  return decay * old + (1 - decay) * new


def averaged(decay: Any, average: Any, new: Any) -> Any:
  """A step of a moving average of trees, leaf by leaf."""

  def leaf(old: jax.Array, x: jax.Array) -> jax.Array:
    return mixed(old, x, decay if isinstance(decay, float) else jnp.asarray(decay, real_dtype(old.dtype)))

  return jax.tree.map(leaf, average, new)


def squares(tree: Any) -> Any:
  """The tree with each element squared; of a complex one, its absolute value."""
  return jax.tree.map(lambda x: jnp.real(x * jnp.conj(x)), tree)


def add_and_round(param: Any, update: Any) -> jax.Array:
  """The parameter plus its update, computed in float32 at least and rounded once."""
  dtype = computing_dtype(param, update)
  total = jnp.asarray(param, dtype) + jnp.asarray(update, dtype)
  return total.astype(jnp.result_type(param))


def no_update(like: Any, dtype: Any = None) -> jax.Array:
  """An update that leaves a parameter as it is: −0, since 0 would make 0 of −0, and of both parts of a complex one."""
  return -jnp.zeros_like(like, dtype)


def apply_updates(params: Params, updates: Updates) -> Params:
  """Adds the updates to the parameters.

      p ← p + u

  Args:
    params: a tree of arrays; ``None`` leaves stay.
    updates: a tree of the same structure and shapes.

  Returns:
    The new parameters, each in its parameter's dtype: the sum is computed in float32 at least
    and rounded once.

  Raises:
    ValueError: if the structures or the shapes differ.

  Source: `optax.apply_updates`, which adds in the parameter's dtype.
  """
  leaves, treedef = jax.tree.flatten(params)
  updates_structure = jax.tree.structure(updates)
  if updates_structure != treedef:
    raise tree_mismatch("`params`", updates_structure, treedef)
  flow = jax.tree.leaves(updates)
  check_shapes(flow, leaves, lambda: paths(treedef))
  return treedef.unflatten([add_and_round(p, u) for p, u in zip(leaves, flow, strict=True)])
