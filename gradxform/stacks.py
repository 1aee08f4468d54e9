"""Matrices that are alike as one stack: one batched operation in the place of many."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


def in_stacks(function: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
  """Applies a function of stacks of matrices once to all that are alike, so that a program has it once for each shape.

  Args:
    function: of as many stacks as there are columns, the matrices in their last two axes and one in
      front that counts them; to such a stack.
    *columns: the arguments for one array after the other, each with any number of axes in front.

  Returns:
    What it makes of each, with the axes in front of the first column.
  """
  rows = list(zip(*columns, strict=True))
  kinds: dict[Any, list[int]] = {}
  for index, row in enumerate(rows):
    kinds.setdefault(tuple((x.shape[-2:], x.dtype) for x in row), []).append(index)
  out: list[Any] = [None] * len(rows)
  for indices in kinds.values():
    alike = zip(*(rows[index] for index in indices), strict=True)
    results = function(*(jnp.concatenate([_stack(x) for x in column]) for column in alike))
    end = 0
    for index in indices:
      in_front = rows[index][0].shape[:-2]
      start, end = end, end + math.prod(in_front)
      out[index] = results[start:end].reshape(*in_front, *results.shape[1:])
  return out


def _stack(x: Any) -> Any:
  return x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])


def in_turn(function: Callable[..., Any]) -> Callable[..., Any]:
  """A function each call of which begins, in the compiled program, when the call before it has ended.

  It is for decompositions of stacks on a CPU. XLA runs what is independent at once, in as many
  threads as there are cores; JAX's decomposition of a stack shares its matrices out among these, and
  waits for them in one of them. As many decompositions at once as there are threads wait for ever:
  with two cores, two.

  Args:
    function: of arrays, to an array. Its calls belong to one trace.
  """
  last: list[jax.Array] = []

  def after_the_last(*arrays: Any) -> jax.Array:
    if last:
      # 0 whatever it is, but XLA cannot tell; it sees through `optimization_barrier`
      none = jnp.isnan(last[0]) & (last[0] == 0)
      arrays = tuple(x + none.astype(x.dtype) if isinstance(x, jax.Array) else x for x in arrays)
    result = function(*arrays)
    if result.size:
      last[:] = [result.ravel()[0].real]
    return result

  return after_the_last
