"""Matrices by a few of their directions."""

from typing import Any

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, Structure, named
from gradxform.optimizers._matrix import of_matrices
from gradxform.transforms import scale_by_dion, scale_by_shape


@named
def dion(
  learning_rate: Hyperparameter,
  *,
  rank: int | None = None,
  rank_fraction: Structure = 1.0,
  decay: Hyperparameter = 0.95,
  weight_decay: Hyperparameter = 0.01,
  others: Any = None,
  matrix_view: Structure = None,
):
  """Dion: steps that are orthonormal along the leading singular vectors of a momentum; AdamW for all else.

      p ← p − a · (P Qᵀ · √(outputs / inputs) + λ · p)   for matrices (see `scale_by_dion`)

  Args:
    learning_rate: the step a, of all leaves.
    rank: the number of singular vectors, at least 1; by default a fraction of the shorter side.
    rank_fraction: that fraction, in (0, 1]; with less than 1 steps are cheaper, and of that rank.
    decay: b of the momentum of matrices.
    weight_decay: λ, of all leaves.
    others: the optimizer of all else; ``adamw(learning_rate, weight_decay=weight_decay)`` if not given.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`).

  Source: Ahn et al. 2025, Algorithm 1, https://arxiv.org/abs/2504.05295, and the authors' code, whose matrices
  are the transposed of Flax's kernels, and whose AdamW has the decays 0.9 and 0.95.
  """
  core = chain(scale_by_dion(rank, decay, rank_fraction=rank_fraction), scale_by_shape("columns_to_rows"))
  return of_matrices(core, learning_rate, weight_decay, others, matrix_view)
