"""Matrices scaled as their coordinates in few dimensions are: APOLLO; and what a basis leaves out: Fira."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gradxform._checks import check_choice, check_not_negative, check_number, check_positive, check_transform
from gradxform.combinators import chain, divide
from gradxform.compounds import Chain, child_state
from gradxform.core import Hyperparameter, is_hole, named, part_of, stages_of
from gradxform.parts import Flow, Here, Part, State, Step
from gradxform.rules import after
from gradxform.transforms import (
  add_constant,
  bias_correction,
  limit_norm_growth,
  moving_average,
  root,
  scale_by_momentum,
  square,
)
from gradxform.transforms import scale as scaled_by
from gradxform.tree import norms
from gradxform.wrappers._low_rank import Lifted
from gradxform.wrappers._projection import InLowRank, Projection, Seen, checked_projection, part_in_low_rank


class Ratio:
  """How much longer coordinates have become: one number for each line of a matrix, or one for all of it."""

  def __init__(self, projection: Projection, per: str, offset: Part):
    self.projection, self.per, self.offset = projection, per, offset

  def of(self, seen: Seen, offset: Any) -> jax.Array:
    """‖out‖ / (‖low‖ + eps)."""
    shortened = -2 if self.projection.shortens_rows(seen.u.shape) else -1
    axes = (-2, -1) if self.per == "matrix" else shortened
    before, _ = self.offset.apply(norms(seen.low, axes), (), offset, Here(None, {}, {}))
    return norms(seen.out, axes) / before


class Rescaled(InLowRank):
  """What comes out for a matrix is itself, scaled as its coordinates have been."""

  def __init__(self, inner: Chain, projection: Projection, ratio: Ratio):
    super().__init__(inner, projection)
    self.ratio = ratio

  def results(self, seen: Sequence[Seen], state: State, step: Step) -> tuple[Flow, Sequence[State]]:
    del state
    offset, _ = self.ratio.offset.prepare((), step)
    return [row.out if is_hole(row.basis) else row.u * self.ratio.of(row, offset) for row in seen], ()


class WithRest(Lifted):
  """What comes out for a matrix has besides, scaled as its coordinates have been, what these leave out."""

  def __init__(self, inner: Chain, rest: Chain, projection: Projection, factor: Part, ratio: Ratio):
    super().__init__(inner, projection, factor, ("rest", rest))
    self.ratio, self.rest = ratio, rest

  def results(self, seen: Sequence[Seen], state: State, step: Step) -> tuple[Flow, Sequence[State]]:
    lifted, _ = super().results(seen, state, step)
    offset, _ = self.ratio.offset.prepare((), step)
    left_out = [self._left_out(row, offset) for row in seen]
    rest, own = self.rest.update(left_out, child_state(state, "rest"), step)
    return [u if is_hole(row.basis) else u + v for row, u, v in zip(seen, lifted, rest, strict=True)], (own,)

  def _left_out(self, seen: Seen, offset: Any) -> jax.Array:
    if is_hole(seen.basis):
      return jnp.zeros_like(seen.u)
    outside = seen.u - self.projection.matrix(seen.low, seen.basis, seen.u.shape)
    return outside * self.ratio.of(seen, offset)


@named
def rescale_in_low_rank(
  inner: Any,
  rank: int = 128,
  update_every: int = 200,
  *,
  per: str = "line",
  side: str = "shorter",
  projection: str = "random",
  key: int = 0,
  eps: Hyperparameter = 1e-8,
):
  """Scales each matrix as a transform scales its coordinates in few dimensions.

      r = Pᵀ u, P anew every k steps;   uⱼ ← uⱼ · ‖inner(r)ⱼ‖ / (‖rⱼ‖ + eps),   j the columns, or all at once

  The columns are those of a matrix with no more rows than columns, of which the rows are shortened; else
  it is the rows that have a number each. The matrix is in the last two axes, those before count them;
  vectors and numbers become what the inner transform makes of them.

  Args:
    inner: a transform, ours or Optax's, that does not read the parameters.
    rank: the number of coordinates, at least 1; no more than the shorter side counts.
    update_every: k, the number of steps for which P is kept, at least 1.
    per: ``line``, for a number for each; or ``matrix``, for one number.
    side: which side is shortened, ``shorter`` or ``longer`` (see `in_low_rank`).
    projection: ``random`` or ``singular`` (see `in_low_rank`).
    key: a seed of random projections, at least 0; they depend also on the place among the leaves.
    eps: added to the lengths of the coordinates; greater than 0.

  State: ``inner``, that of the inner transform for the coordinates; ``projector`` as in `in_low_rank`.

  Raises:
    ValueError: at once if the inner transform reads the parameters, which are no coordinates.

  Source: Zhu et al. 2024, APOLLO, Algorithm 1, https://arxiv.org/abs/2412.05270.
  """
  check_choice("rescale_in_low_rank", ("line", "matrix"), per=per)
  check_positive("rescale_in_low_rank", eps=eps)
  where = checked_projection("rescale_in_low_rank", rank, update_every, side, projection, key, stacks=True)
  ratio = Ratio(where, per, part_of(add_constant(eps)))
  part = part_in_low_rank("rescale_in_low_rank", inner)
  return Chain([("rescale_in_low_rank", Rescaled(part, where, ratio))])


@named
def in_low_rank_and_rest(
  inner: Any,
  rest: Any,
  rank: int = 128,
  update_every: int = 200,
  scale: Hyperparameter = 1.0,
  *,
  side: str = "shorter",
  eps: Hyperparameter = 1e-8,
  computed_in: str | None = None,
):
  """Adds to what a transform makes of each matrix in low rank what its basis leaves out, scaled alike.

      r = Uᴴ u;   u ← s · U · inner(r) + rest((u − U r) · φ),   φⱼ = ‖inner(r)ⱼ‖ / (‖rⱼ‖ + eps), j the columns

  or its transposed. The matrix is in the last two axes, those before count them; vectors and numbers
  become what the inner transform makes of them, the other one sees 0 in their place.

  Args:
    inner: a transform, ours or Optax's, that does not read the parameters.
    rest: a transform, ours or Optax's, of what is left out: `limit_norm_growth` in Fira.
    rank: the number of singular vectors in U, at least 1; no more than the shorter side counts.
    update_every: the number of steps for which they are kept, at least 1.
    scale: s, for matrices alone; any finite number.
    side: which side is shortened, ``shorter`` or ``longer`` (see `in_low_rank`).
    eps: added to the lengths of the coordinates; greater than 0.
    computed_in: ``float32`` for singular vectors in single precision where the updates are in double.

  State: ``projector`` and ``inner`` as in `in_low_rank`; ``rest``, that of the other transform.

  Raises:
    ValueError: at once if the inner transform reads the parameters, which are no coordinates.

  Source: Chen et al. 2024, Fira, https://arxiv.org/abs/2410.01623. In the authors' code it is s · U r that is
  taken from u.
  """
  check_transform("in_low_rank_and_rest", "rest", rest)
  check_number("in_low_rank_and_rest", scale=scale)
  check_positive("in_low_rank_and_rest", eps=eps)
  where = checked_projection("in_low_rank_and_rest", rank, update_every, side, computed_in=computed_in, stacks=True)
  ratio = Ratio(where, "line", part_of(add_constant(eps)))
  parts = part_in_low_rank("in_low_rank_and_rest", inner), Chain(stages_of(rest))
  return Chain([("in_low_rank_and_rest", WithRest(*parts, where, part_of(scaled_by(scale)), ratio))])


def _uncorrected_adam(b1: Hyperparameter, b2: Hyperparameter, eps: Hyperparameter):
  return divide(scale_by_momentum(b1), by=chain(square(), moving_average(b2), root(eps)))


def _corrections(b1: Hyperparameter, b2: Hyperparameter):
  """Adam's, for what came of moments that have none."""
  return chain(bias_correction(b1), bias_correction(b2, power=-0.5))


@named
def scale_by_apollo(
  rank: int = 256,
  update_proj_gap: int = 200,
  scale: Hyperparameter = 1.0,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-6,
  *,
  per: str = "line",
  key: int = 0,
):
  """Scales each line of a matrix as Adam scales it in a random projection: the core of APOLLO.

      uⱼ ← √s · limited(uⱼ · ‖m / (√v + eps)‖ⱼ / ‖r‖ⱼ) · √(1 − b2ᵗ) / (1 − b1ᵗ),   r = Pᵀ u

  where m and v are Adam's moments of r, without corrections, and norms grow by 1 % a step at most.

  Args:
    rank: the number of coordinates r, at least 1.
    update_proj_gap: the number of steps for which P is kept, at least 1.
    scale: s; at least 0.
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: added to the root; at least 0.
    per: ``line`` or ``matrix`` (see `rescale_in_low_rank`).
    key: a seed of the projections, at least 0.

  State: those of `rescale_in_low_rank` and `limit_norm_growth`.

  Source: Zhu et al. 2024, Algorithm 1, https://arxiv.org/abs/2412.05270, as in the authors' code.
  """
  check_not_negative("scale_by_apollo", scale=scale)
  adam = _uncorrected_adam(b1, b2, eps)
  scaled = rescale_in_low_rank(adam, rank, update_proj_gap, per=per, key=key)
  return chain(scaled, limit_norm_growth(), scaled_by(after(lambda s: s**0.5, scale)), _corrections(b1, b2))


@named
def scale_by_fira(
  rank: int = 128,
  update_proj_gap: int = 200,
  scale: Hyperparameter = 1.0,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-6,
):
  """Applies Adam to matrices in a basis of singular vectors, and what it does to norms there to the rest: Fira's core.

      u ← (s · U · n + limited((u − U r) · ‖n‖ⱼ / ‖r‖ⱼ)) · √(1 − b2ᵗ) / (1 − b1ᵗ),   n = m / (√v + eps), r = Uᵀ u

  where m and v are Adam's moments of r, without corrections, and norms grow by 1 % a step at most.

  Args:
    rank: the number of singular vectors, at least 1.
    update_proj_gap: the number of steps for which they are kept, at least 1.
    scale: s; any finite number.
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: added to the root; at least 0.

  State: that of `in_low_rank_and_rest`.

  Source: Chen et al. 2024, https://arxiv.org/abs/2410.01623, as in the authors' code where s is 1 (see
  `in_low_rank_and_rest`).
  """
  adam = _uncorrected_adam(b1, b2, eps)
  return chain(in_low_rank_and_rest(adam, limit_norm_growth(), rank, update_proj_gap, scale), _corrections(b1, b2))
