"""Gradients divided by roots of their squares along each axis, and signs in the bases of these."""

from typing import Any

from gradxform.combinators import add, chain, divide, graft, share, shared
from gradxform.core import Hyperparameter, Structure, named
from gradxform.optimizers._adam import adamw
from gradxform.optimizers._matrix import decayed, decayed_after, of_matrices, viewed
from gradxform.transforms import (
  add_decayed_weights,
  begin_with,
  bias_correction,
  moving_average,
  root,
  scale,
  scale_by_learning_rate,
  scale_by_momentum,
  scale_by_shape,
  sign,
  square,
  stop_after,
)
from gradxform.wrappers import average_parameters, precondition_by_factors, scale_by_kl_shampoo, scale_by_splus


@named
def shampoo(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter | None = None,
  magnitude: Any = None,
  weight_decay: Hyperparameter = 0.0,
  precondition_frequency: int = 10,
  start_preconditioning_step: int | None = None,
  block_size: int = 1024,
  matrix_view: Structure = None,
):
  """Shampoo: a momentum times inverse roots of the gradients' squares along each axis, as long as a step of Adam.

      p ← p − a · (d · ‖s‖ / ‖d‖ + λ · p),   d = precondition_by_factors(m), s = m / (√v + 1e-8)

  where m is a momentum of the gradients and v an average of their squares, both corrected, and norms
  are those of whole arrays. Until there are roots the step is s.

  Args:
    learning_rate: the step a: one that suits the method whose norm is taken.
    b1: decay of the momentum.
    b2: decay of the averages of the squares along each axis; they are summed up if not given.
    magnitude: a transform, of whose step s the norm is taken; it is given gradients, and ``shared("momentum")``
      stands for m, so that this itself is grafting to SGD. Adam's, with 0.999 for v, if not given.
    weight_decay: λ, of all parameters.
    precondition_frequency: the number of steps for which roots are kept, at least 1.
    start_preconditioning_step: the first step that has roots, that number if not given.
    block_size: the greatest length of a block, at least 1.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`); if it is given, only
      the last two axes have factors.

  Without grafting it is `scale_by_shampoo` and a learning rate.

  Source: Gupta et al. 2018, https://arxiv.org/abs/1802.09568, blocked and grafted as in Anil et al. 2020,
  https://arxiv.org/abs/2002.09018, and Shi et al. 2023, https://arxiv.org/abs/2309.06497, and Meta's code, which takes
  norms block by block, and new roots at every step unless told otherwise (see `precondition_by_factors`).
  """
  own = b1, b2, magnitude, precondition_frequency, start_preconditioning_step, block_size
  return decayed(viewed(_grafted, matrix_view, *own), learning_rate, weight_decay)


def _grafted(
  b1: Any, b2: Any, magnitude: Any, every: int, start: int | None, block_size: int, *, axes: int | None = None
):
  """A momentum times inverse roots, as long as a step of Adam or another, which it is until there are roots."""
  start = every if start is None else start
  options = {"update_every": every, "start": start, "block_size": block_size, "axes": axes}
  factored = precondition_by_factors(shared("momentum"), b2, **options)
  second = chain(square(), moving_average(0.999), bias_correction(0.999), root(1e-8))
  return share(
    add(chain(shared("step"), stop_after(start - 1)), graft(factored, magnitude=shared("step"))),
    momentum=chain(scale_by_momentum(b1), bias_correction(b1)),
    step=divide(shared("momentum"), by=second) if magnitude is None else magnitude,
  )


@named
def kl_shampoo(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.98,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 0.01,
  precondition_frequency: int = 10,
  others: Any = None,
  matrix_view: Structure = None,
):
  """KL-Shampoo: Shampoo whose factors fit each other, without grafting; AdamW for all else.

      p ← p − a · u;   p ← p − a · λ · p,   u = scale_by_kl_shampoo(g)   for matrices

  The first call only sets the bases of matrices up: they do not change.

  Args:
    learning_rate: the step a, of all leaves.
    b1: decay of the momentum of matrices.
    b2: decay of their covariances.
    eps: added to the roots of eigenvalues.
    weight_decay: λ, of all leaves.
    precondition_frequency: the number of steps for which bases are kept, at least 1.
    others: the optimizer of all else; ``adamw(learning_rate, weight_decay=weight_decay)`` if not given.
    matrix_view: how leaves are seen as matrices, as in `route_matrices`; those with two axes as they are if not given.

  Source: Lin et al. 2025, https://arxiv.org/abs/2509.03378, and the authors' code (see `scale_by_kl_shampoo`).
  """
  core = decayed_after(scale_by_kl_shampoo(b1, b2, eps, precondition_frequency), learning_rate, weight_decay)
  rest = adamw(learning_rate, weight_decay=weight_decay) if others is None else others
  return of_matrices(chain(core, begin_with(0.0)), learning_rate, 0.0, rest, matrix_view)


@named
def splus(
  learning_rate: Hyperparameter = 0.1,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  ema_rate: Hyperparameter = 0.999,
  weight_decay: Hyperparameter = 1e-2,
  inverse_every: int = 100,
  others: Any = None,
  matrix_view: Structure = None,
):
  """SPlus: the sign of a momentum in the eigenbases of Shampoo's averages, and an average of the parameters.

      p ← p − a · 2 / (rows + columns) · (P · sign(Pᴴ m Q) · Qᴴ + λ · p)   for matrices
      p ← p − a · (sign(m) + λ · p) / 1000   for all else

  Gradients are taken at p; `gx.averaged` reads the average, which is what is evaluated.

  Args:
    learning_rate: the step a; it is the same for matrices of all sizes.
    b1: decay of the momentum m.
    b2: decay of the averages of which the bases P and Q are.
    ema_rate: decay of the average of the parameters.
    weight_decay: λ, of all parameters.
    inverse_every: the number of steps for which bases are kept, at least 1.
    others: the optimizer of all else, the second line if not given.
    matrix_view: how leaves are seen as matrices, as in `route_matrices`; those with two axes as they are if not given.

  Source: Frans et al. 2025, https://arxiv.org/abs/2506.07254, and the authors' code, which counts among all
  else matrices with 10,000 or more rows or columns, and those that have ``embed`` or ``layernorm`` in
  their names: here ``matrix_view={"*embed*": None}`` does. Its average is of the parameters before each
  step, here it is of those after it.
  """
  core = _per_mean_side(scale_by_splus(b1, b2, inverse_every), weight_decay)
  rest = _small_signs(learning_rate, b1, weight_decay) if others is None else others
  return average_parameters(of_matrices(core, learning_rate, 0.0, rest, matrix_view), ema_rate)


def _per_mean_side(core: Any, weight_decay: Hyperparameter):
  """Steps and decay of matrices, divided by the mean of their sides."""
  return chain(core, add_decayed_weights(weight_decay), scale_by_shape("inverse_mean_side"))


def _small_signs(learning_rate: Hyperparameter, b1: Hyperparameter, weight_decay: Hyperparameter):
  """What is no matrix, at a thousandth of the rate."""
  signs = chain(scale_by_momentum(b1), sign(), add_decayed_weights(weight_decay), scale(1e-3))
  return chain(signs, scale_by_learning_rate(learning_rate))
