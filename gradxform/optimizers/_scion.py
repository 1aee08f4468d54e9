"""Steps to the border of a ball in a norm that suits the layer."""

from typing import Any

from gradxform._checks import check_positive, rejected
from gradxform.combinators import chain, divide, identity
from gradxform.core import Hyperparameter, Structure, named
from gradxform.selection import WANTED, all_of, is_embedding, is_head, is_matrix, is_selector
from gradxform.transforms import (
  add_decayed_weights,
  mean_of_squares,
  orthogonalize,
  root,
  scale,
  scale_by_learning_rate,
  scale_by_momentum,
  scale_by_shape,
  sign,
)
from gradxform.wrappers import partition, route_matrices


@named
def scion(
  learning_rate: Hyperparameter,
  *,
  radius: Hyperparameter = 50.0,
  last_radius: Hyperparameter = 3000.0,
  beta: Hyperparameter = 0.9,
  weight_decay: Hyperparameter = 1.0,
  last: Structure = None,
  embeddings: Structure = None,
  matrix_view: Structure = None,
):
  """Scion: goes towards the point, of a ball around 0 in the norm of the layer, that is farthest along the momentum.

      m ← b · m + (1 − b) · g;   p ← (1 − a · λ) · p − a · s, where
      s = ρ · √(outputs / inputs) · orthogonalize(m)   for matrices,
      s = ρ₂ / inputs · sign(m)   for the last layer and for embeddings, whose columns are inputs of that,
      s = ρ · m / rms(m)   for all else

  With λ = 1 parameters stay in balls of these radii where they are in them at the start; with λ = 0 there are
  no bounds: unconstrained Scion.

  Args:
    learning_rate: the step a; with λ = 1 the part of the way that is gone, in [0, 1].
    radius: ρ > 0; 50 in the authors' language models, 8 in their convolutional nets, 1 in their perceptrons.
    last_radius: ρ₂; with these 3000, 128, and 1024.
    beta: b, the decay of the momentum, in [0, 1).
    weight_decay: λ, at least 0.
    last: which matrices are the last layer: a glob of paths, a compiled regular expression, or a function of
      (path, array); `is_head` if not given, which goes by names such as ``head``, not ``Dense_2``.
    embeddings: which matrices are embeddings, inputs in rows, likewise; `is_embedding` if not given.
    matrix_view: which others are matrices, and how they are seen (see `as_matrices`).

  Source: Pethick et al. 2025, https://arxiv.org/abs/2502.07529, and the authors' code, which
  orthogonalizes in bfloat16, has kernels transposed, shares its embeddings with the last layer, and sees those of
  convolutions as matrices of outputs, divided by their area.
  """
  oracle = _oracle_by_layer(radius, last_radius, last or is_head, embeddings or is_embedding, matrix_view)
  rest = add_decayed_weights(weight_decay), scale_by_learning_rate(learning_rate)
  return chain(scale_by_momentum(beta), oracle, *rest)


def _check_selectors(transform: str, **arguments: Any) -> None:
  for name, value in arguments.items():
    if not is_selector(value):
      raise rejected(TypeError, transform, name, value, f"{WANTED}, got {value!r}.")


def _oracle_by_layer(radius: Any, last_radius: Any, last: Any, embeddings: Any, matrix_view: Any):
  """The point of the ball of each layer that is farthest along its momentum."""
  check_positive("scion", radius=radius, last_radius=last_radius)
  _check_selectors("scion", last=last, embeddings=embeddings)
  spectral = chain(orthogonalize(eps=1e-7), scale_by_shape("columns_to_rows"), scale(radius))
  of_unit_rms = divide(identity(), by=chain(mean_of_squares(), root(eps=1e-8)))
  return partition(
    {
      all_of(embeddings, is_matrix): chain(sign(), scale_by_shape("inverse_columns"), scale(last_radius)),
      all_of(last, is_matrix): chain(sign(), scale_by_shape("inverse_rows"), scale(last_radius)),
      "*": route_matrices(spectral, others=chain(of_unit_rms, scale(radius)), matrix_view=matrix_view),
    }
  )
