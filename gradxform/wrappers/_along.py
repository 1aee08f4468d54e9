"""Products along the axes of an array: with matrices, and with itself."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gradxform.core import is_hole
from gradxform.tree import promoted


def as_tuples(
  make: Callable[..., tuple[Any, ...]], shapes: Sequence[tuple[int, ...]], kept: Sequence[Any]
) -> list[Any]:
  """What is kept for the axes of each array, in tuples as it was made.

  `flax.nnx.Optimizer` gives back other containers, without the holes, of what belongs to one parameter.

  Args:
    make: the tuple as it was made, of the shape of the array and a function.
    shapes: those of the arrays.
    kept: for each array what there is now.
  """
  structures = [jax.tree.structure(make(shape, lambda _: 0)) for shape in shapes]
  return [jax.tree.unflatten(to, jax.tree.leaves(own)) for to, own in zip(structures, kept, strict=True)]


def contained_as(kept: Sequence[Any], new: Sequence[Any]) -> list[Any]:
  """What is new of each array, in the containers in which it was given, so that no state changes its structure."""
  return [jax.tree.unflatten(jax.tree.structure(old), jax.tree.leaves(own)) for old, own in zip(kept, new, strict=True)]


def times_along(x: jax.Array, matrices: tuple[Any, ...]) -> jax.Array:
  """The array multiplied along each axis by the matrix of that axis, where there is one.

  Args:
    x: the array, or a stack of arrays.
    matrices: for each axis a matrix, or a hole; of a stack for each of the last axes a stack of them.
  """
  stacked = x.ndim - len(matrices)
  stack = tuple(range(stacked))
  for axis, matrix in enumerate(matrices, stacked):
    if not is_hole(matrix):
      dtype = promoted(x.dtype, matrix.dtype)
      dimensions = (((stacked + 1,), (axis,)), (stack, stack))
      x = jnp.moveaxis(jax.lax.dot_general(matrix.astype(dtype), x.astype(dtype), dimensions), stacked, axis)
  return x


def square_along(u: jax.Array, axis: int, *, stacked: int = 0) -> jax.Array:
  """The array's product with its conjugate over all axes but one, u uᴴ, uᵀ ū, …; in a stack one for each array.

  Args:
    u: the array, or a stack of arrays.
    axis: the axis of one array.
    stacked: how many axes, the first ones, are those of the stack.
  """
  stack = tuple(range(stacked))
  others = tuple(i for i in range(stacked, u.ndim) if i != axis + stacked)
  return jax.lax.dot_general(u, u.conj(), ((others, others), (stack, stack)))
