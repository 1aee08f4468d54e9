"""Matrices: their norms and means, factors of their shape."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gradxform._checks import check_choice
from gradxform.core import named
from gradxform.lifted import rows_and_columns
from gradxform.parts import Like
from gradxform.rules import as_real, per_array
from gradxform.tree import matrix_norms


@named
def matrix_norm():
  """Replaces each matrix, which is in the last two axes, by its Frobenius norm, one number.

      u ← ‖u‖ = √(Σ |uᵢⱼ|²)

  What follows keeps one number for each matrix, until a combinator spreads it over the matrix again.
  A vector counts as a matrix of one row.

  Source: what Muon divides by before it orthogonalizes, Jordan et al. 2024,
  https://kellerjordan.github.io/posts/muon/.
  """

  def flows_on(like: Like) -> Like:
    return dataclasses.replace(as_real(like), shape=like.shape[:-2] + (1,) * len(like.shape[-2:]))

  return per_array("matrix_norm", matrix_norms, output=flows_on)


_AXIS = {"rows": -2, "columns": -1}


@named
def mean_over(lines: str = "rows"):
  """Replaces each matrix, which is in the last two axes, by its means over rows, or over columns.

      u ← mean of u over rows, one number for each column;   or the reverse

  What follows keeps one number for each, until a combinator spreads it over the matrix again. A
  vector counts as a matrix of one row.

  Args:
    lines: ``rows``, for one number for each output of a Flax kernel; or ``columns``, for one for
      each output of torch's weights.

  Source: the second moment of NorMuon, Li et al. 2025, https://arxiv.org/abs/2510.05491.
  """
  check_choice("mean_over", tuple(_AXIS), lines=lines)
  axis = _AXIS[lines]

  def flows_on(like: Like) -> Like:
    if len(like.shape) < -axis:
      return like
    index = len(like.shape) + axis
    return dataclasses.replace(like, shape=(*like.shape[:index], 1, *like.shape[index + 1 :]))

  def rule(u):
    if u.ndim < -axis:
      return u
    return jnp.sum(u, axis=axis, keepdims=True) / max(u.shape[axis], 1)

  return per_array("mean_over", rule, output=flows_on)


_FACTORS: dict[str, Callable[[int, int], float]] = {
  "columns_by_rows": lambda rows, columns: math.sqrt(max(1.0, columns / max(rows, 1))),
  "rows_by_columns": lambda rows, columns: math.sqrt(max(1.0, rows / max(columns, 1))),
  "columns_to_rows": lambda rows, columns: math.sqrt(columns / max(rows, 1)),
  "rows_to_columns": lambda rows, columns: math.sqrt(rows / max(columns, 1)),
  "longer_side": lambda rows, columns: math.sqrt(max(rows, columns)),
  "size": lambda rows, columns: math.sqrt(rows * columns),
  "inverse_rows": lambda rows, columns: 1 / max(rows, 1),
  "inverse_columns": lambda rows, columns: 1 / max(columns, 1),
  "inverse_mean_side": lambda rows, columns: 2 / max(rows + columns, 1),
}


@named
def scale_by_shape(factor: str = "columns_by_rows"):
  """Scales each matrix, which is in the last two axes, by a function of its shape.

      u ← u · √max(1, columns / rows),   u · √max(1, rows / columns),   u · √(columns / rows),
      u · √(rows / columns),   u · √max(rows, columns),   u · √(rows · columns),
      u / rows,   u / columns   or   u · 2 / (rows + columns)

  Args:
    factor: ``columns_by_rows``, for matrices that are multiplied from the left, as Flax's kernels;
      ``rows_by_columns``, for those that are multiplied from the right, as torch's weights;
      ``columns_to_rows`` and ``rows_to_columns``, for the same, less than 1 where outputs are fewer than
      inputs; ``longer_side``, which gives orthogonal matrices the root mean square 1; ``size``,
      which gives it to matrices of norm 1; ``inverse_rows`` and ``inverse_columns``, for signs, of which
      an output then has the mean; or ``inverse_mean_side``, for signs in another basis.

  Source: Jordan et al. 2024, Muon, https://kellerjordan.github.io/posts/muon/, for the first two; Ahn
  et al. 2025, https://arxiv.org/abs/2504.05295, and Pethick et al. 2025,
  https://arxiv.org/abs/2502.07529, for the next two, and the latter for signs; Liu et al. 2025,
  https://arxiv.org/abs/2502.16982, for ``longer_side``, and Si et al. 2025,
  https://arxiv.org/abs/2507.11005, for ``size``, both times 0.2; Frans et al. 2025, SPlus,
  https://arxiv.org/abs/2506.07254, for the last. Optax's Muon has the first, torch's
  the second, both ``longer_side`` as an option.
  """
  check_choice("scale_by_shape", tuple(_FACTORS), factor=factor)

  def rule(u: jax.Array) -> jax.Array:
    return u * _FACTORS[factor](*rows_and_columns(u.shape))

  return per_array("scale_by_shape", rule)
