"""Matrices in a basis of a few vectors, in which an inner transform keeps less: GaLore."""

from collections.abc import Sequence
from typing import Any

import jax

from gradxform._checks import check_number, rejected
from gradxform.compounds import Chain
from gradxform.core import Hyperparameter, is_hole, named, part_of
from gradxform.parts import Flow, Here, Part, State, Step
from gradxform.transforms import scale as scaled_by
from gradxform.transforms import scale_by_adam
from gradxform.wrappers._projection import InLowRank, Projection, Seen, checked_projection, part_in_low_rank


class Lifted(InLowRank):
  """What comes out for a matrix is that of the coordinates that the inner part makes, scaled."""

  def __init__(self, inner: Chain, projection: Projection, factor: Part, *others: tuple[str, Chain]):
    super().__init__(inner, projection, *others)
    self.factor = factor

  def results(self, seen: Sequence[Seen], state: State, step: Step) -> tuple[Flow, Sequence[State]]:
    del state
    factor, _ = self.factor.prepare((), step)
    return [row.out if is_hole(row.basis) else self.lifted(row, factor) for row in seen], ()

  def lifted(self, seen: Seen, factor: Any) -> jax.Array:
    """The matrix of what the inner part has made, scaled."""
    matrix = self.projection.matrix(seen.out, seen.basis, seen.u.shape)
    return self.factor.apply(matrix, (), factor, Here(None, {}, {}))[0]


@named
def in_low_rank(
  inner: Any,
  rank: int = 128,
  update_every: int = 200,
  scale: Hyperparameter = 1.0,
  *,
  side: str = "longer",
  projection: str = "singular",
  key: int = 0,
  computed_in: str | None = None,
  axes: int | None = None,
):
  """Lets a transform see each matrix in the basis of its largest singular vectors: GaLore's projection.

      U S Vᴴ = u, anew every k steps, cut to rank r;   u ← s · U · inner(Uᴴ u),   or inner(u V) · Vᴴ · s

  So what the inner transform keeps of an m×n matrix is r×n where m ≥ n, with the basis U of m×r, else
  m×r, with V of n×r. All else, what has not two axes, it sees as it is. Its moments are not turned
  when the basis is. A rank that is the matrix's own loses nothing.

  Args:
    inner: a transform, ours or Optax's, that does not read the parameters. Its updates should follow
      a change of sign of theirs, since the signs of singular vectors have no meaning.
    rank: r, at least 1; no more than the shorter side counts.
    update_every: k, the number of steps for which a basis is kept, at least 1.
    scale: s, for matrices alone; any finite number.
    side: which side is shortened: ``longer``, which leaves the inner transform the least to keep; or
      ``shorter``, with which the basis is smaller, as the authors have it.
    projection: ``singular``; or ``random``, for bases of normal numbers of variance 1 / r, which are
      not orthonormal, come for free, and are not kept: they are drawn again at each step.
    key: a seed of random bases, at least 0; each depends also on the place of the matrix among the leaves.
    computed_in: ``float32`` for singular vectors in single precision where the updates are in double.
    axes: 2 for stacked matrices too, in the last two axes of arrays with more; arrays with two axes alone if not given.

  State: ``projector``, the basis of each matrix where it is not random, and holes elsewhere;
  ``inner``, that of the inner transform for the coordinates.

  Raises:
    ValueError: at once if the inner transform reads the parameters, which are no coordinates.

  Source: Zhao et al. 2024, GaLore, Algorithm 1, https://arxiv.org/abs/2403.03507, whose basis is that
  of the shorter side: here, as in ``optax.contrib.scale_by_galore``, it is that of the longer one by
  default. Optax has it for cores without extra arguments, and its transposes are wrong for complex
  matrices. Random bases: Hao et al. 2024, Flora, https://arxiv.org/abs/2402.03293.
  """
  check_number("in_low_rank", scale=scale)
  if axes not in (None, 2):
    raise rejected(ValueError, "in_low_rank", "axes", axes, f"2 or None, got {axes!r}.")
  options = (side, projection, key, computed_in)
  where = checked_projection("in_low_rank", rank, update_every, *options, stacks=axes is not None)
  part = part_in_low_rank("in_low_rank", inner)
  return Chain([("in_low_rank", Lifted(part, where, part_of(scaled_by(scale))))])


@named
def scale_by_galore(
  rank: int = 128,
  update_proj_gap: int = 200,
  scale: Hyperparameter = 1.0,
  base_optimizer: Any = None,
  *,
  axes: int | None = None,
):
  """Applies the core of Adam, or another, to matrices in a basis of a few singular vectors.

      u ← in_low_rank(core)(u)

  Args:
    rank: the number of singular vectors, at least 1.
    update_proj_gap: the number of steps for which they are kept, at least 1.
    scale: the factor of matrices.
    base_optimizer: the core, which must not read the parameters; `scale_by_adam()` if not given.
    axes: 2 for stacked matrices too, in the last two axes; arrays with two axes alone if not given.

  State: that of `in_low_rank`.

  Source: Zhao et al. 2024, https://arxiv.org/abs/2403.03507; ``optax.contrib.scale_by_galore``, which
  has its singular vectors in single precision in double precision too.
  """
  core = scale_by_adam() if base_optimizer is None else base_optimizer
  return in_low_rank(core, rank, update_proj_gap, scale, axes=axes)
