"""Arrays in exact eigenbases of the averages of their squares, from the first step on: SPlus."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gradxform.combinators import chain, share, shared
from gradxform.core import Hyperparameter, named
from gradxform.parts import Flow, Like, State, Step
from gradxform.transforms import scale_by_momentum, sign
from gradxform.wrappers._eigenbasis import Eigenbasis, alike_together, eigenvectors, turning
from gradxform.wrappers._when import when


class ExactEigenbasis(Eigenbasis):
  """An `Eigenbasis` that begins with the array's own basis, and is decomposed anew, not followed."""

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    state, flows_on = super().init(flow, treedef)

    def own(zeros: jax.Array) -> jax.Array:
      return jnp.array(jnp.broadcast_to(jnp.eye(zeros.shape[-1], dtype=zeros.dtype), zeros.shape))

    return {**state, "basis": jax.tree.map(own, state["basis"])}, flows_on

  def _within(self, flow: Flow, bases: Flow, inner: State, step: Step) -> tuple[Flow, State]:
    return self._inside(flow, bases, inner, step)

  def _renewed(self, factors: Flow, bases: Flow, inner: State, flow: Flow, step: Step) -> tuple[Flow, State]:
    if not jax.tree.leaves(bases):
      return bases, inner
    fixed = jax.lax.stop_gradient(factors)

    def renew(kept: tuple[Flow, State]) -> tuple[Flow, State]:
      return self._moved(alike_together(eigenvectors, fixed), kept, flow, step)

    return when((step.t == 1) | (step.t % self.update_every == 0), renew, (bases, inner))


@named
def in_exact_eigenbasis(
  inner: Any,
  decay: Hyperparameter = 0.999,
  update_every: int = 100,
  *,
  max_dim: int = 10_000,
  axes: int | None = None,
):
  """Lets a transform see each matrix in the eigenbases of the averages of u uᴴ and uᴴ u, anew now and then.

      u ← P · inner(Pᴴ u Q) · Qᴴ
      l ← b · l + (1 − b) · u uᴴ;   r ← b · r + (1 − b) · uᴴ u;   then, at the first and every k-th step,
      P, Q ← eigenvectors of l and r

  At the first step the bases are the matrix's own. In a new basis the vectors have other places than
  before: what the inner transform keeps as a direction, such as a momentum, is turned along; what
  it keeps as a size, such as an average of squares, would be of other vectors, and is better in
  `in_eigenbasis`, which follows them.

  Args:
    inner: a transform as in `in_eigenbasis`, ours or Optax's.
    decay: b of the averages, in [0, 1).
    update_every: k, the number of steps for which a basis is kept, at least 1.
    max_dim: the greatest length of an axis that has a basis, at least 1.
    axes: how many axes, the last ones, have a basis, at least 1; each index of the others has its own, as
      for stacked layers. All if not given.

  State: that of `in_eigenbasis`, with stacks of matrices where axes are left out.

  Raises:
    ValueError: as `in_eigenbasis`.

  Source: the basis of Frans et al. 2025, SPlus, https://arxiv.org/abs/2506.07254, and the authors' code, which
  has it for arrays of two axes alone, and a limit one lower.

  >>> from gradxform import in_exact_eigenbasis, sign
  >>> in_exact_eigenbasis(sign(), 0.9)
  in_exact_eigenbasis(sign(), decay=0.9, update_every=100, max_dim=10000, axes=None)
  """
  return turning("in_exact_eigenbasis", ExactEigenbasis, inner, decay, update_every, max_dim, axes)


@named
def scale_by_splus(
  b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.999, inverse_every: int = 100, *, max_dim: int = 10_000
):
  """Takes the sign of a momentum of each matrix in the eigenbases of the averages of squares: the core of SPlus.

      m ← b1 · m + (1 − b1) · g;   u = P · sign(Pᴴ m Q) · Qᴴ

  Matrices are in the last two axes. Directions in which gradients are 0 but for rounding get as long
  steps as others: five of eight, at the first steps, in a matrix of 8 rows and 3 columns.

  Args:
    b1: decay of the momentum, in [0, 1).
    b2: decay of the averages of which the bases are, in [0, 1).
    inverse_every: the number of steps for which bases are kept, at least 1.
    max_dim: the greatest length of an axis that has a basis, at least 1.

  State: ``momentum``, which is that of `scale_by_momentum`, and ``body``, that of `in_exact_eigenbasis`. So the
  momentum is kept in the coordinates of the parameters, and is not turned.

  Source: Frans et al. 2025, https://arxiv.org/abs/2506.07254, and the authors' code.
  """
  core = in_exact_eigenbasis(chain(shared("momentum"), sign()), b2, inverse_every, max_dim=max_dim, axes=2)
  return share(core, momentum=scale_by_momentum(b1))
