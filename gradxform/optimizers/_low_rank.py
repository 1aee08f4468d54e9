"""Matrices by a few of their directions."""

from typing import Any

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, Structure, named
from gradxform.optimizers._matrix import of_matrices
from gradxform.transforms import scale_by_dion, scale_by_shape
from gradxform.wrappers import scale_by_apollo, scale_by_fira


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

  Source: Ahn et al. 2025, https://arxiv.org/abs/2504.05295, and the authors' code, whose matrices
  are the transposed of Flax's kernels, and whose AdamW has the decays 0.9 and 0.95.
  """
  core = chain(scale_by_dion(rank, decay, rank_fraction=rank_fraction), scale_by_shape("columns_to_rows"))
  return of_matrices(core, learning_rate, weight_decay, others, matrix_view)


@named
def apollo(
  learning_rate: Hyperparameter,
  *,
  rank: int = 256,
  update_proj_gap: int = 200,
  scale: Hyperparameter = 1.0,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  weight_decay: Hyperparameter = 0.0,
  others: Any = None,
  matrix_view: Structure = None,
):
  """APOLLO: gradients whose columns or rows are scaled as Adam scales them in a random projection; else AdamW.

      p ← p − a · (scale_by_apollo(g) + λ · p)   for matrices

  Args:
    learning_rate: the step a, of all leaves; one that is larger than Adam's.
    rank: the number of coordinates of a column or row, at least 1.
    update_proj_gap: the number of steps for which a projection is kept, at least 1.
    scale: its square root scales the steps of matrices; at least 0.
    b1: decay of the first moment of matrices.
    b2: decay of the second moment of matrices.
    weight_decay: λ, of all leaves.
    others: the optimizer of all else; ``adamw(learning_rate, weight_decay=weight_decay)`` if not given.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`).

  Source: Zhu et al. 2024, Algorithm 1, https://arxiv.org/abs/2412.05270, as in the authors' code, whose decay is of
  the parameters after the step (see `scale_by_apollo`).
  """
  core = scale_by_apollo(rank, update_proj_gap, scale, b1, b2)
  return of_matrices(core, learning_rate, weight_decay, others, matrix_view)


@named
def apollo_mini(
  learning_rate: Hyperparameter,
  *,
  update_proj_gap: int = 200,
  scale: Hyperparameter = 128.0,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  weight_decay: Hyperparameter = 0.0,
  others: Any = None,
  matrix_view: Structure = None,
):
  """APOLLO-Mini: `apollo` with one coordinate, and one factor for each matrix: about the memory of plain descent.

      p ← p − a · (scale_by_apollo(g) + λ · p)   for matrices, with r = 1 and j all columns at once

  Args:
    learning_rate: the step a, of all leaves; one that is larger than Adam's.
    update_proj_gap: the number of steps for which a projection is kept, at least 1.
    scale: its square root scales the steps of matrices; at least 0.
    b1: decay of the first moment of matrices.
    b2: decay of the second moment of matrices.
    weight_decay: λ, of all leaves.
    others: the optimizer of all else; ``adamw(learning_rate, weight_decay=weight_decay)`` if not given.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`).

  Source: Zhu et al. 2024, https://arxiv.org/abs/2412.05270, as `apollo`.
  """
  core = scale_by_apollo(1, update_proj_gap, scale, b1, b2, per="matrix")
  return of_matrices(core, learning_rate, weight_decay, others, matrix_view)


@named
def fira(
  learning_rate: Hyperparameter,
  *,
  rank: int = 128,
  update_proj_gap: int = 200,
  scale: Hyperparameter = 1.0,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  weight_decay: Hyperparameter = 0.0,
  others: Any = None,
  matrix_view: Structure = None,
):
  """Fira: GaLore's Adam in few dimensions, and a scaled gradient in the others; AdamW for what is no matrix.

      p ← p − a · (scale_by_fira(g) + λ · p)   for matrices

  Args:
    learning_rate: the step a, of all leaves.
    rank: the number of singular vectors, at least 1.
    update_proj_gap: the number of steps for which they are kept, at least 1.
    scale: the factor of what is along them.
    b1: decay of the first moment of matrices.
    b2: decay of the second moment of matrices.
    weight_decay: λ, of all leaves.
    others: the optimizer of all else; ``adamw(learning_rate, weight_decay=weight_decay)`` if not given.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`).

  Source: Chen et al. 2024, https://arxiv.org/abs/2410.01623, as in the authors' code, whose decay is of the
  parameters after the step (see `scale_by_fira`).
  """
  core = scale_by_fira(rank, update_proj_gap, scale, b1, b2)
  return of_matrices(core, learning_rate, weight_decay, others, matrix_view)
