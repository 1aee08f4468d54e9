"""Matrices in eigenbases, divided by roots of eigenvalues that fit rows and columns together: KL-Shampoo."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gradxform._checks import check_fraction, check_integer, check_not_negative, check_positive
from gradxform.core import Hyperparameter, named
from gradxform.lifted import rows_and_columns
from gradxform.rules import Slot, per_array
from gradxform.stacks import in_turn
from gradxform.wrappers._when import when

_SIDE = {"left": 0, "right": 1}
_FEWEST, _MOST = 10, 4000  # between these the inverse roots of eigenvalues are at most as many as there are


def _shape(side: int, *, square: bool) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
  """That of what is kept for the rows or for the columns, from that of the array."""

  def shape(of: tuple[int, ...]) -> tuple[int, ...]:
    n = rows_and_columns(of)[side]
    return (*of[:-2], n, n) if square else (*of[:-2], n)

  return shape


def _slots(initial: Hyperparameter) -> dict[str, Slot]:
  squares = {name: Slot(shape=_shape(side, square=True)) for name, side in _SIDE.items()}
  bases = {f"{name}_basis": squares[name] for name in _SIDE}
  values = {f"{name}_values": Slot(initial, _shape(side, square=False), real=True) for name, side in _SIDE.items()}
  return {"momentum": Slot(), **squares, **bases, **values}


def _eigenvectors(square: jax.Array, basis: jax.Array) -> jax.Array:
  del basis
  return jnp.linalg.eigh(square)[1][..., ::-1]


def _followed(square: jax.Array, basis: jax.Array) -> jax.Array:
  """One step of orthogonal iteration, as the authors': in the order that there is."""
  return jnp.linalg.qr(square @ basis)[0]


def _bases(old: list[jax.Array], squares: list[jax.Array], count: jax.Array, every: int) -> list[jax.Array]:
  """The bases for the next step. Derivatives take them as constant."""
  squares = jax.lax.stop_gradient(squares)

  def renewed(make: Callable[..., jax.Array]) -> Callable[[list[jax.Array]], list[jax.Array]]:
    return lambda kept: list(map(in_turn(make), squares, jax.lax.stop_gradient(kept)))

  old = when(count == 0, renewed(_eigenvectors), old)
  return when((count > 0) & (count % every == 0), renewed(_followed), old)


def _at_least(values: jax.Array) -> jax.Array:
  """Eigenvalues of which the inverse roots are bounded."""
  return jnp.maximum(values, max(_FEWEST, min(values.shape[-1], _MOST)) ** -2.0)


@named
def scale_by_kl_shampoo(
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.98,
  eps: Hyperparameter = 1e-8,
  precondition_frequency: int = 10,
  *,
  initial: Hyperparameter = 0.1,
):
  """Divides a momentum of each matrix by the roots of eigenvalues of covariances of its rows and columns.

      m ← b1 · m + (1 − b1) · g;   D = √(d eᵀ);   u = P · (Pᴴ m Q / (D + eps)) · Qᴴ
      l ← b2 · l + (1 − b2) · g r⁻¹ gᴴ / columns;   r ← b2 · r + (1 − b2) · gᴴ l⁻¹ g / rows
      d ← b2 · d + (1 − b2) · diag(Pᴴ g r⁻¹ gᴴ P) / columns;   e ← b2 · e + (1 − b2) · diag(Qᴴ gᴴ l⁻¹ g Q) / rows
      with l⁻¹ = P d⁻¹ Pᴴ, r⁻¹ = Q e⁻¹ Qᴴ from before the step;   at every k-th step P ← qr(l P), Q ← qr(r Q)

  So each covariance is of what the other has whitened: that minimizes the divergence of Kullback and
  Leibler from a Gaussian with the gradients' covariance, and needs no grafting. Matrices are in the
  last two axes. The first call only sets up the bases, eigenvectors of g gᴴ and gᴴ g, and emits 0.

  Args:
    b1: decay of the momentum, which is not corrected, in [0, 1).
    b2: decay of the covariances l and r, and of the eigenvalues d and e, in [0, 1).
    eps: added to the roots; at least 0.
    precondition_frequency: k, the number of steps for which bases are kept, at least 1.
    initial: the eigenvalues before the first update; greater than 0.

  State: ``momentum``, like the parameters; ``left`` and ``right``, the covariances, n×n for n rows or columns;
  ``left_basis`` and ``right_basis``, P and Q; ``left_values`` and ``right_values``, n numbers each. 1 / √d is
  at most n, but never less than 10, nor more than 4000.

  Source: Lin et al. 2025, https://arxiv.org/abs/2509.03378, and the authors' code, which computes in
  bfloat16 unless told otherwise, and has a third covariance for an array of three axes.
  """
  check_fraction("scale_by_kl_shampoo", b1=b1, b2=b2)
  check_not_negative("scale_by_kl_shampoo", eps=eps)
  check_positive("scale_by_kl_shampoo", initial=initial)
  check_integer("scale_by_kl_shampoo", minimum=1, precondition_frequency=precondition_frequency)

  def rule(u, momentum, left, right, p, q, d, e, *, count, b1, b2, eps):
    if u.size == 0:
      return u, momentum, left, right, p, q, d, e
    g = u.reshape(*u.shape[:-2], *rows_and_columns(u.shape))
    begun = count > 0
    momentum = jnp.where(begun, b1 * momentum + (1 - b1) * u, momentum)
    roots = jnp.sqrt(d)[..., :, None] * jnp.sqrt(e)[..., None, :] + eps
    direction = p @ ((p.mT.conj() @ momentum.reshape(g.shape) @ q) / roots) @ q.mT.conj()

    turned = g @ q
    rows = jnp.where(begun, turned * jax.lax.rsqrt(e)[..., None, :], g)
    columns = jnp.where(begun, jax.lax.rsqrt(d)[..., :, None] * (p.mT.conj() @ g), g)
    left = b2 * left + (1 - b2) * rows @ rows.mT.conj() / g.shape[-1]
    right = b2 * right + (1 - b2) * columns.mT.conj() @ columns / g.shape[-2]
    squares = jnp.square(jnp.abs(p.mT.conj() @ turned))
    of_rows = _at_least(b2 * d + (1 - b2) * jnp.mean(squares / e[..., None, :], axis=-1))
    of_columns = _at_least(b2 * e + (1 - b2) * jnp.mean(squares / d[..., :, None], axis=-2))
    d, e = jnp.where(begun, of_rows, d), jnp.where(begun, of_columns, e)
    p, q = _bases([p, q], [left, right], count, precondition_frequency)
    return direction.reshape(u.shape), momentum, left, right, p, q, d, e

  return per_array("scale_by_kl_shampoo", rule, _slots(initial), b1=b1, b2=b2, eps=eps)
