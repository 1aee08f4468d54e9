"""A momentum whose leading singular vectors a power iteration follows: the core of Dion."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gradxform._checks import (
  check_bounded,
  check_choice,
  check_fraction,
  check_integer,
  check_positive,
)
from gradxform.compounds import Chain
from gradxform.core import Hyperparameter, Structure, named, part_of
from gradxform.lifted import rows_and_columns
from gradxform.parts import Flow, Here, Like, Part, Scope, State, Step, get
from gradxform.rules import per_array
from gradxform.stacks import in_stacks, in_turn
from gradxform.tree import cast, computing_dtype, norms

MOMENTUM, BASIS = ("momentum",), ("basis",)


class PowerIteration(Part):
  """A part that keeps a momentum and, for each matrix, a basis near its leading singular vectors.

  The factorizations of all matrices that are alike are one.
  """

  scope = Scope.PER_ARRAY
  slots = (MOMENTUM, BASIS)
  size = 1
  together = True

  def __init__(self, rule: Part, rank_of: Callable[[int], int], transposed: bool, key: int):
    self.rule, self.rank_of, self.transposed, self.key = rule, rank_of, transposed, key

  def _seen(self, u: jax.Array) -> jax.Array:
    """The matrices of an array, their outputs along the rows."""
    matrices = u.reshape(*u.shape[:-2], *rows_and_columns(u.shape))
    return matrices.mT if self.transposed else matrices

  def _unseen(self, matrices: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return (matrices.mT if self.transposed else matrices).reshape(shape)

  def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
    """That of the basis: the length of the inputs × its rank, for each matrix."""
    rows, columns = rows_and_columns(shape)
    return (*shape[:-2], rows if self.transposed else columns, self.rank_of(min(rows, columns)))

  def start(self, like: Like) -> tuple[tuple[Any, ...], Like]:
    basis = jax.random.normal(jax.random.key(self.key), self._shape(like.shape), like.dtype)
    has_axes = len(like.shape) > 1
    return (like.full(0), basis if has_axes else basis.reshape(basis.shape[:-1][: len(like.shape)])), like

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    kept = [step.leaves(get(state, path), path) for path in self.slots]
    values, _ = self.rule.prepare((), step)
    rows = [self._begun(*row) for row in zip(flow, *kept, strict=True)]
    left = in_stacks(in_turn(_orthonormal), [momentum @ basis for momentum, basis in rows])
    out, new = [], []
    for u, p, row, slots in zip(flow, left, rows, zip(*kept, strict=True), strict=True):
      result, (momentum, basis) = self.rule.apply(p, row, values, Here(None, {}, {}))
      out.append(self._unseen(result, u.shape))
      momentum = self._unseen(momentum, u.shape)
      new.append([cast(x.reshape(s.shape), s.dtype) for x, s in zip((momentum, basis), slots, strict=True)])
    columns = zip(*new, strict=True) if new else ((), ())
    names = (path[0] for path in self.slots)
    return out, {name: step.treedef.unflatten(column) for name, column in zip(names, columns, strict=True)}

  def _begun(self, u: jax.Array, momentum: jax.Array, basis: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The momentum with this update in it, and the basis, as matrices in the computing dtype."""
    dtype = computing_dtype(u, momentum)
    total = self._seen(momentum.astype(dtype) + u.astype(dtype))
    return total, basis.reshape(self._shape(u.shape)).astype(dtype)


def _orthonormal(matrices: jax.Array) -> jax.Array:
  """For each matrix one of orthonormal columns that span the same. Derivatives take it as constant."""
  return jnp.linalg.qr(jax.lax.stop_gradient(matrices))[0]


@named
def scale_by_dion(
  rank: int | None = None,
  decay: Hyperparameter = 0.95,
  eps: Hyperparameter = 1e-8,
  *,
  rank_fraction: Structure = 1.0,
  outputs: str = "columns",
  key: int = 0,
):
  """Makes orthonormal what a momentum has along its leading singular vectors, and lets that alone decay: Dion's core.

      m ← m + g;   P = qr(m Q);   R = mᴴ P
      m ← m − (1 − b) · P Rᴴ;   Q ← R / (‖each column of R‖ + eps)
      u = P Qᴴ

  for matrices whose rows are outputs; for Flax's kernels, whose columns are, it is the transposed of
  that. What is left out of the r vectors that P spans stays in the momentum until its turn comes. The
  matrix is in the last two axes, those before count them; a vector is a matrix of one row. All
  matrices that are alike are factorized together. Where m is 0 so is u, and Q stays.

  Directions in which m is 0 but for rounding, as all but one are where gradients have rank 1, get steps
  too where that rounding is above eps: a rank of no more than what gradients have is safer.

  Args:
    rank: r, at least 1; no more than the shorter side counts. By default a fraction of that.
    decay: b of the momentum, in [0, 1).
    eps: added to the lengths of columns; greater than 0.
    rank_fraction: r as a part of the shorter side where no rank is given, in (0, 1]; it is rounded down.
    outputs: ``columns``, as in Flax's kernels; or ``rows``, as in torch's weights.
    key: a seed of the first Q, at least 0, which else depends on the shape alone.

  State: ``momentum``, m; ``basis``, Q, inputs × r, of random normal numbers at first.

  Source: Ahn et al. 2025, Dion, https://arxiv.org/abs/2504.05295, as in the authors' plain code,
  where Q becomes 0 with m; `scale_by_shape` has the factor √(outputs / inputs).
  """
  if rank is not None:
    check_integer("scale_by_dion", minimum=1, rank=rank)
  check_fraction("scale_by_dion", decay=decay)
  check_positive("scale_by_dion", eps=eps, rank_fraction=rank_fraction)
  check_bounded("scale_by_dion", maximum=1, rank_fraction=rank_fraction)
  check_choice("scale_by_dion", ("columns", "rows"), outputs=outputs)
  check_integer("scale_by_dion", minimum=0, key=key)

  def rank_of(shorter: int) -> int:
    wanted = int(rank_fraction * shorter) if rank is None else rank
    return max(1, min(wanted, shorter))

  def rule(p, momentum, basis, *, decay, eps):
    is_zero = jnp.all(momentum == 0, axis=(-2, -1), keepdims=True)
    left, right = jnp.where(is_zero, 0, p), jnp.where(is_zero, basis, momentum.mT.conj() @ p)
    momentum, basis = momentum - (1 - decay) * left @ right.mT.conj(), right / (norms(right, -2) + eps)
    return left @ basis.mT.conj(), momentum, basis

  second_half = part_of(per_array("scale_by_dion", rule, ("momentum", "basis"), decay=decay, eps=eps))
  return Chain([("scale_by_dion", PowerIteration(second_half, rank_of, outputs == "columns", key))])
