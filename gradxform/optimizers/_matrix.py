"""Matrices as matrices."""

from collections.abc import Callable
from typing import Any

from gradxform._checks import check_not_negative
from gradxform.combinators import chain
from gradxform.core import Hyperparameter, Structure, named
from gradxform.optimizers._adam import adamw, nadamw
from gradxform.rules import after
from gradxform.transforms import (
  add_decayed_weights,
  scale,
  scale_by_adamuon,
  scale_by_learning_rate,
  scale_by_muon,
  scale_by_normuon,
  scale_by_shape,
)
from gradxform.transforms._orthogonal import Coefficients
from gradxform.wrappers import as_matrices, in_eigenbasis, route_matrices, scale_by_galore
from gradxform.wrappers._eigenbasis import adam_of_plain_root


@named
def muon(
  learning_rate: Hyperparameter, *, ns_coeffs: Coefficients = "jordan", ns_steps: int = 5, beta: Hyperparameter = 0.95,
  eps: Hyperparameter = 1e-8, weight_decay: Hyperparameter = 0.0, shape_factor: str = "columns_by_rows",
  consistent_rms: Hyperparameter | None = None, adam_learning_rate: Hyperparameter | None = None,
  adam_b1: Hyperparameter = 0.9, adam_b2: Hyperparameter = 0.999, adam_weight_decay: Hyperparameter = 0.0,
  matrix_view: Structure = None,
):  # fmt: skip
  """Muon: orthogonalized momentum for matrices, Adam with Nesterov's momentum for all else.

      p ← p − a · (orthogonalize(m) · √max(1, columns / rows) + λ · p)   for matrices

  where m is a momentum that looks one step ahead, and matrices are what has two axes, or what `matrix_view` says.

  Args:
    learning_rate: the step a, of all leaves; the norms of the matrices' columns have its size.
    ns_coeffs: the coefficients of `newton_schulz`: ``jordan``, ``dion``, ``polar_express``, or numbers.
    ns_steps: its number of steps.
    beta: decay of the momentum of matrices.
    eps: added to the norm of the momentum, and outside of Adam's root.
    weight_decay: λ, of matrices.
    shape_factor: what stands for √max(1, columns / rows), of `scale_by_shape`: ``rows_by_columns`` for matrices
      that are multiplied from the right, as torch's weights.
    consistent_rms: the root mean square of a step of matrices, in the place of that factor: 0.2 is about
      that of Adam, whose learning rate then suits these too.
    adam_learning_rate: the step of all else, the same if not given.
    adam_b1: decay of the first moment of all else.
    adam_b2: decay of the second moment of all else.
    adam_weight_decay: the weight decay of all else.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`): ``"flax"``, or patterns by path.

  Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; ``optax.contrib.muon``. torch
  has matrices alone, another momentum and the transposed factor.
  """
  rate = learning_rate if adam_learning_rate is None else adam_learning_rate
  others = nadamw(rate, b1=adam_b1, b2=adam_b2, eps=eps, weight_decay=adam_weight_decay)
  core = chain(scale_by_muon(ns_coeffs, ns_steps, beta, eps), _factor(shape_factor, consistent_rms))
  return of_matrices(core, learning_rate, weight_decay, others, matrix_view)


def _factor(shape_factor: str, consistent_rms: Hyperparameter | None):
  """What orthogonal matrices are scaled by."""
  if consistent_rms is None:
    return scale_by_shape(shape_factor)
  return chain(scale_by_shape("longer_side"), scale(consistent_rms))


@named
def normuon(
  learning_rate: Hyperparameter,
  *,
  ns_steps: int = 5,
  beta: Hyperparameter = 0.95,
  b2: Hyperparameter = 0.95,
  weight_decay: Hyperparameter = 0.0,
  others: Any = None,
  matrix_view: Structure = None,
):
  """NorMuon: Muon whose neurons, the columns of a matrix, all move about equally far; AdamW for all else.

      p ← p − a · (normalized(orthogonalize(m)) · √max(1, columns / rows) + λ · p)   for matrices

  Args:
    learning_rate: the step a, of all leaves.
    ns_steps: the number of steps of `newton_schulz`.
    beta: decay of the momentum of matrices.
    b2: decay of the second moment of their neurons.
    weight_decay: λ, of all leaves.
    others: the optimizer of all else; ``adamw(learning_rate, weight_decay=weight_decay)`` if not given.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`).

  Source: Li et al. 2025, https://arxiv.org/abs/2510.05491, as in the authors' code, whose neurons are rows:
  ``scale_by_normuon(lines="columns")`` and ``scale_by_shape("rows_by_columns")`` are for such matrices.
  """
  core = chain(scale_by_normuon(ns_steps=ns_steps, beta=beta, b2=b2), scale_by_shape())
  return of_matrices(core, learning_rate, weight_decay, others, matrix_view)


@named
def adamuon(
  learning_rate: Hyperparameter,
  *,
  ns_steps: int = 5,
  beta: Hyperparameter = 0.95,
  b2: Hyperparameter = 0.95,
  weight_decay: Hyperparameter = 0.0,
  others: Any = None,
  matrix_view: Structure = None,
):
  """AdaMuon: an orthogonalized momentum, with a step size for each element, of Adam's usual size; AdamW for all else.

      p ← p − a · (normalized(orthogonalize(sign m)) + λ · p)   for matrices, of which the root mean square is 0.2

  Args:
    learning_rate: the step a, of all leaves: one that suits Adam.
    ns_steps: the number of steps of `newton_schulz`.
    beta: decay of the momentum of matrices.
    b2: decay of their second moment.
    weight_decay: λ, of all leaves.
    others: the optimizer of all else; ``adamw(learning_rate, weight_decay=weight_decay)`` if not given.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`).

  Source: Si et al. 2025, Algorithm 1, https://arxiv.org/abs/2507.11005 (see `scale_by_adamuon`).
  """
  core = scale_by_adamuon(ns_steps=ns_steps, beta=beta, b2=b2)
  return of_matrices(core, learning_rate, weight_decay, others, matrix_view)


def viewed(core: Callable[..., Any], matrix_view: Any, *args: Any, **kwargs: Any):
  """A core of all axes or, as `matrix_view` says, of matrices in the last two, which the others count."""
  if matrix_view is None:
    return core(*args, **kwargs)
  return as_matrices(core(*args, **kwargs, axes=2), matrix_view)


def decayed(core: Any, learning_rate: Hyperparameter, weight_decay: Hyperparameter):
  """A core, with decay that is decoupled from it, and a learning rate for both."""
  return chain(core, add_decayed_weights(weight_decay), scale_by_learning_rate(learning_rate))


def decayed_after(core: Any, learning_rate: Hyperparameter, weight_decay: Hyperparameter):
  """A core whose decay, once there is a learning rate, is that of the parameters after the step."""
  check_not_negative("scale_by_learning_rate", learning_rate=learning_rate, weight_decay=weight_decay)
  after_step = scale(after(lambda a, decay: 1 - a * decay, learning_rate, weight_decay))
  return chain(core, after_step, add_decayed_weights(weight_decay))


def of_matrices(
  core: Any, learning_rate: Hyperparameter, weight_decay: Hyperparameter, others: Any = None, matrix_view: Any = None
):
  """An optimizer of matrices by their core, and of all else."""
  rest = adamw(learning_rate, weight_decay=weight_decay) if others is None else others
  return route_matrices(decayed(core, learning_rate, weight_decay), others=rest, matrix_view=matrix_view)


@named
def galore(
  learning_rate: Hyperparameter,
  *,
  rank: int = 128,
  update_proj_gap: int = 200,
  scale: Hyperparameter = 1.0,
  base_optimizer: Any = None,
  weight_decay: Hyperparameter = 0.0,
  matrix_view: Structure = None,
):
  """GaLore: Adam whose moments of a matrix are kept in the basis of its gradient's largest singular vectors.

      p ← p − a · (in_low_rank(core)(g) + λ · p)

  Args:
    learning_rate: the step a.
    rank: the number of singular vectors, at least 1; with that of the matrix it is Adam in another basis.
    update_proj_gap: the number of steps for which they are kept, at least 1.
    scale: the factor of matrices.
    base_optimizer: the core, which must not read the parameters; `scale_by_adam()` if not given.
    weight_decay: λ, of all parameters.
    matrix_view: which leaves are matrices, or stacks of them, and how they are seen (see `as_matrices`);
      those with two axes if not given.

  Source: Zhao et al. 2024, https://arxiv.org/abs/2403.03507, with the bases of the longer sides as in
  ``optax.contrib.galore`` (see `in_low_rank`).
  """
  core = viewed(scale_by_galore, matrix_view, rank, update_proj_gap, scale, base_optimizer)
  return decayed(core, learning_rate, weight_decay)


@named
def soap(
  learning_rate: Hyperparameter = 3e-3,
  *,
  b1: Hyperparameter = 0.95,
  b2: Hyperparameter = 0.95,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 0.01,
  precondition_frequency: int = 10,
  max_precond_dim: int = 10_000,
  matrix_view: Structure = None,
):
  """SOAP: Adam in the eigenbases of Shampoo's preconditioner, which are renewed now and then.

      p ← p − a · u;   p ← p − a · λ · p,   u = scale_by_soap(g)

  The first call only sets the bases up: no parameter changes, and schedules count from the second.
  A gradient that is the same at the second, as that of a whole data set is, is diagonal in its own bases but
  for rounding, and of that too Adam makes whole steps while eps is smaller.

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: decay of the second moment and of the averages of which the bases are.
    eps: added to the uncorrected root.
    weight_decay: λ, of all parameters, after the step.
    precondition_frequency: the number of steps for which bases are kept, at least 1.
    max_precond_dim: the greatest length of an axis that has a basis, at least 1.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`); if it is given, only
      the last two axes have bases.

  Source: Vyas et al. 2024, https://arxiv.org/abs/2409.11321, and the authors' code, whose updates these
  are for arrays of any number of axes without its options ``merge_dims`` and ``precondition_1d``.
  """
  step = decayed_after(adam_of_plain_root(b1, b2, eps), learning_rate, weight_decay)
  rated = chain(step, scale_by_learning_rate(learning_rate))
  return viewed(in_eigenbasis, matrix_view, rated, b2, precondition_frequency, max_dim=max_precond_dim)
