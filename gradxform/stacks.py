"""Matrices that are alike as one stack: one batched operation in the place of many."""

import math
from collections.abc import Callable, Sequence
from typing import Any

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
