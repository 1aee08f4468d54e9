"""torch's optimizers that see an array as a matrix."""

import operator

import jax.numpy as jnp

from gradxform._checks import check_bounded, check_not_negative, is_zero
from gradxform.combinators import chain, divide, identity
from gradxform.compat.torch._namespace import optimizer, pair, step_count, turned
from gradxform.core import Hyperparameter, Switched
from gradxform.rules import after
from gradxform.transforms import (
  add_decayed_weights,
  at_least,
  clip_by_block_rms,
  factored_moving_average,
  root,
  scale,
  scale_by_param_block_rms,
  square,
)


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
  """Torch's average of squares: all arrays of two axes or more are matrices along the last two."""
  if is_zero(beta2_decay):
    return factored_moving_average(0.0, axes="last", min_dim_size_to_factor=1, eps=floor)
  power = after(operator.neg, beta2_decay)
  return factored_moving_average(power=power, axes="last", min_dim_size_to_factor=1, eps=floor)
