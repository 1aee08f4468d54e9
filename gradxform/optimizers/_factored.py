"""Second moments in less memory than the parameters."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  add_decayed_weights,
  clip_by_block_rms,
  scale,
  scale_by_factored_rms,
  scale_by_learning_rate,
  scale_by_param_block_rms,
  scale_by_sm3,
)


@named
def adafactor(
  learning_rate: Hyperparameter,
  *,
  min_dim_size_to_factor: int = 128,
  decay_rate: Hyperparameter = 0.8,
  clipping_threshold: Hyperparameter = 1.0,
  weight_decay_rate: Hyperparameter = 0.0,
  eps: Hyperparameter = 1e-30,
):
  """Adafactor: steps in proportion to each array's size, with a factored second moment.

      v ← (1 − s) · v + s · (g² + eps), factored,   s = t⁻ᵖ
      d = g / √v;   d ← d / max(1, rms(d) / c);   p ← p − a · d · max(rms(p), 0.001) − λ · p

  Args:
    learning_rate: the step a, as a share of the root mean square of the array.
    min_dim_size_to_factor: the least length of the two largest axes for which v is factored.
    decay_rate: the power by which the weight s of the new square falls.
    clipping_threshold: c, the largest root mean square of d.
    weight_decay_rate: λ, for each step: not multiplied by the learning rate.
    eps: added to the square.

  Source: Shazeer & Stern 2018, Algorithms 4 and 5, https://arxiv.org/abs/1804.04235, whose step is
  min(a, 1/√t): give that as a schedule; `optax.adafactor`, whose step is 1 if none is given. torch
  factors all matrices, has eps as bounds, and multiplies the decay by the learning rate.
  """
  direction = chain(
    scale_by_factored_rms(decay_rate, min_dim_size_to_factor, eps), clip_by_block_rms(clipping_threshold)
  )
  step = chain(scale(learning_rate), scale_by_param_block_rms())
  return chain(direction, step, add_decayed_weights(weight_decay_rate), scale(-1.0))


@named
def sm3(learning_rate: Hyperparameter, *, momentum: Hyperparameter = 0.9):
  """SM3: Adagrad with one number for each row and column in the place of one for each element.

      m ← μ · m + (1 − μ) · g / √(v + 1e-8);   p ← p − a · m

  where v bounds the sum of g² (see `covered_sum`).

  Args:
    learning_rate: the step a.
    momentum: μ in [0, 1), the decay of m.

  Source: Anil et al. 2019, SM3-II, https://arxiv.org/abs/1901.11150; `optax.sm3`, which fails on
  numbers.
  """
  return chain(scale_by_sm3(momentum), scale_by_learning_rate(learning_rate))
