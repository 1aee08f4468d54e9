"""torch's optimizers that see an array as a matrix."""

import operator

import jax.numpy as jnp

from gradxform._checks import (
  check_bounded,
  check_choice,
  check_flag,
  check_integer,
  check_length,
  check_not_negative,
  is_zero,
)
from gradxform.combinators import add, chain, divide, identity
from gradxform.compat.torch._namespace import descent, optimizer, pair, step_count, turned
from gradxform.core import Hyperparameter, Switched
from gradxform.rules import after, per_array
from gradxform.transforms import (
  add_decayed_weights,
  at_least,
  clip_by_block_rms,
  factored_moving_average,
  matrix_norm,
  moving_average,
  newton_schulz,
  root,
  scale,
  scale_by_param_block_rms,
  scale_by_shape,
  square,
)

# torch's products in bfloat16, whatever the parameters are. A test sets None, the dtype of the updates.
_COMPUTED_IN = "bfloat16"
_MOST_STEPS = 99
_ADJUSTMENTS = {
  None: scale_by_shape("rows_by_columns"),
  "original": scale_by_shape("rows_by_columns"),
  "match_rms_adamw": chain(scale_by_shape("longer_side"), scale(0.2)),
}


@optimizer
def adafactor(
  lr: Hyperparameter = 1e-2,
  beta2_decay: Hyperparameter = -0.8,
  eps: tuple[Hyperparameter | None, Hyperparameter] = (None, 1e-3),
  d: Hyperparameter = 1.0,
  weight_decay: Switched = 0.0,
  *,
  maximize: bool = False,
):
  """torch.optim.Adafactor: a second moment of rows and columns, and steps relative to the parameters.

      v ← (1 − s) · v + s · g², factored along the last two axes,   s = t^κ
      u = g / √max(v, ε₁²);   u ← u / max(1, rms(u) / d)
      p ← p − lr · λ · p − min(lr, 1 / √t) · max(ε₂, rms(p)) · u

  Args:
    lr: the largest step, relative to rms(p).
    beta2_decay: κ, at most 0: the decay of v rises towards 1.
    eps: ε₁, the least mean of the rows' moments and root of v, and ε₂, the least size of an array
      of parameters. For an ε₁ of None it is the machine's epsilon of JAX's default float, 1.2e-7,
      or 2.2e-16 with x64; torch takes that of the parameter's dtype.
    d: the bound on rms(u), at least 1.
    weight_decay: λ, decoupled; multiplied by lr, not by the step.
    maximize: whether to climb.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: ``torch.optim.Adafactor``; Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235.
  `gradxform.adafactor` has Optax's numbers.
  """
  floor, least = pair("adafactor", eps=eps)
  floor = float(jnp.finfo(jnp.result_type(float)).eps) if floor is None else floor
  check_not_negative("adafactor", lr=lr, weight_decay=weight_decay)
  check_bounded("adafactor", maximum=0, beta2_decay=beta2_decay)
  check_bounded("adafactor", minimum=1, d=d)
  second = chain(square(), _factored(beta2_decay, floor), at_least(after(lambda e: e * e, floor)), root())
  size = chain(clip_by_block_rms(d), scale_by_param_block_rms(least))
  rate = after(lambda count, a: jnp.minimum(a, 1 / jnp.sqrt(count + 1)), step_count, lr)
  decay = [] if is_zero(weight_decay) else [add_decayed_weights(after(operator.mul, lr, weight_decay))]
  return chain(
    *turned("adafactor", maximize), divide(identity(), by=second), size, scale(rate), *decay, scale(-1.0)
  )  # fmt: skip


def _factored(beta2_decay, floor):
  """Averages squares as torch: all arrays of two axes or more are matrices along the last two."""
  if is_zero(beta2_decay):
    return factored_moving_average(0.0, axes="last", min_dim_size_to_factor=1, eps=floor)
  power = after(operator.neg, beta2_decay)
  return factored_moving_average(power=power, axes="last", min_dim_size_to_factor=1, eps=floor)


@optimizer
def muon(
  lr: Hyperparameter = 1e-3,
  weight_decay: Switched = 0.1,
  momentum: Hyperparameter = 0.95,
  nesterov: bool = True,
  ns_coefficients: tuple[Hyperparameter, Hyperparameter, Hyperparameter] = (3.4445, -4.775, 2.0315),
  eps: Hyperparameter = 1e-7,
  ns_steps: int = 5,
  adjust_lr_fn: str | None = None,
):
  """torch.optim.Muon: orthogonalizes the momentum of each matrix.

      m ← μ · m + (1 − μ) · g;   u = μ · m + (1 − μ) · g, or m without Nesterov
      p ← p − lr · (c · newton_schulz(u / max(‖u‖, eps)) + λ · p),   c = √max(1, rows / columns)

  Args:
    lr: the step.
    weight_decay: λ, decoupled.
    momentum: μ in [0, 1).
    nesterov: whether to look ahead.
    ns_coefficients: a, b and c of `newton_schulz`.
    eps: the least norm that is divided by.
    ns_steps: steps of `newton_schulz`, from 1 to 99, in bfloat16.
    adjust_lr_fn: ``original``, which is the default, or ``match_rms_adamw``, with which
      c = 0.2 · √max(rows, columns).

  Raises:
    ValueError: for a parameter that is not a matrix.
    TypeError: for complex updates.

  Source: ``torch.optim.Muon``; Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; Liu et
  al. 2025, https://arxiv.org/abs/2502.16982. torch takes the norm in bfloat16 too, here it is that of
  the updates as they are; equal within the precision of bfloat16. `gradxform.scale_by_muon` has Optax's momentum.
  """
  check_flag("muon", nesterov=nesterov)
  check_length("muon", 3, ns_coefficients=ns_coefficients)
  check_integer("muon", minimum=1, maximum=_MOST_STEPS, ns_steps=ns_steps)
  check_choice("muon", tuple(_ADJUSTMENTS), adjust_lr_fn=adjust_lr_fn)
  average = moving_average(momentum)
  present = scale(after(lambda mu: 1 - mu, momentum))
  ahead = add(chain(average, scale(momentum)), present) if nesterov else average
  unit = divide(identity(), by=chain(matrix_norm(), at_least(eps)))
  orthogonal = chain(unit, newton_schulz(ns_coefficients, ns_steps, computed_in=_COMPUTED_IN))
  direction = chain(matrices_only(), ahead, orthogonal, _ADJUSTMENTS[adjust_lr_fn])
  return descent("muon", direction, lr, weight_decay, maximize=False, decoupled=True)


@optimizer
def matrices_only():
  """Passes matrices on, and refuses arrays of other numbers of axes, at `init` too.

      u ← u

  Raises:
    ValueError: for an array that is not a matrix.

  Source: ``torch.optim.Muon``.
  """

  def checked(like):
    if len(like.shape) != 2:
      raise ValueError(
        f"`muon` is for matrices, got an array of shape {like.shape}. "
        "Give such parameters to another optimizer, with `optax.partition`."
      )
    return like

  return per_array("matrices_only", checked, output=checked)
