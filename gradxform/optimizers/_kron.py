"""Updates made white by learnt factors of each axis."""

from gradxform.core import Hyperparameter, Structure, named
from gradxform.optimizers._matrix import decayed, viewed
from gradxform.wrappers import scale_by_kron


@named
def kron(
  learning_rate: Hyperparameter = 1e-3,
  *,
  b1: Hyperparameter = 0.9,
  weight_decay: Hyperparameter = 0.0,
  preconditioner_update_probability: Hyperparameter | None = None,
  preconditioner_lr: Hyperparameter = 0.1,
  max_size_triangular: int = 2048,
  max_rms: Hyperparameter = 1.1,
  key: int = 0,
  matrix_view: Structure = None,
):
  """PSGD-Kron: a momentum made white by a learnt factor for each axis, vectors and all else alike.

      p ← p − a · (scale_by_kron(g) + λ · p)

  `update` and `step` take nothing more than the gradients: chance comes from the seed and the count.

  Args:
    learning_rate: the step a; about a third of Adam's is the authors' advice.
    b1: decay of the momentum.
    weight_decay: λ, of all parameters.
    preconditioner_update_probability: the probability with which the factors are renewed; 1 for 500 steps
      and falling to 0.03 if not given (see `whiten`).
    preconditioner_lr: the learning rate of the factors, in [0, 1).
    max_size_triangular: the greatest length of an axis whose factor is a triangle, at least 1.
    max_rms: the greatest root mean square of the white momentum; infinity for no bound.
    key: a seed, at least 0.
    matrix_view: which leaves are matrices, and how they are seen (see `as_matrices`); if it is given, only
      the last two axes have factors.

  Source: Li 2015, https://arxiv.org/abs/1512.04202, in Walters' version, which timm has as ``Kron``, here
  with its decoupled decay (see `whiten`).
  """
  own = b1, preconditioner_update_probability, preconditioner_lr, max_size_triangular, max_rms, key
  return decayed(viewed(scale_by_kron, matrix_view, *own), learning_rate, weight_decay)
