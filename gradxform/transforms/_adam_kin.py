"""Cores of Adam's kin: another second moment, or another order of the same parts."""

from gradxform.combinators import chain, divide, identity, previous, share, shared, subtract
from gradxform.core import Hyperparameter, named
from gradxform.rules import after
from gradxform.transforms._clipping import clip_by_count
from gradxform.transforms._correction import bias_correction, rectify
from gradxform.transforms._decay import add_decayed_weights
from gradxform.transforms._moments import (
  additive_average,
  average_from_first,
  moving_average,
  scale_by_momentum,
  trace,
)
from gradxform.transforms._pointwise import add_constant, at_least, begin_with, root, scale, square
from gradxform.transforms._reductions import sum_of_squares


def surprise(b2: Hyperparameter, eps: Hyperparameter, eps_root: Hyperparameter):
  """How far gradients are from their average, the shared m: AdaBelief's divisor."""
  distance = chain(subtract(identity(), shared("m")), square(), scale(after(lambda b: 1 - b, b2)))
  return chain(distance, add_constant(eps_root), trace(b2), bias_correction(b2), root(eps))


@named
def scale_by_belief(
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-16,
  eps_root: Hyperparameter = 1e-16,
):
  """Divides the first moment by how far gradients are from it: the core of AdaBelief.

      m ← b1 · m + (1 − b1) · g;   s ← b2 · s + (1 − b2) · (g − m)² + eps_root
      u = m / (1 − b1ᵗ) / (√(s / (1 − b2ᵗ)) + eps)

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: outside the root; at least 0.
    eps_root: added to s at every step, so that it accumulates; at least 0.

  Source: Zhuang et al. 2020, Algorithm 2, https://arxiv.org/abs/2010.07468; `optax.scale_by_belief`.
  """
  first = chain(shared("m"), bias_correction(b1))
  return share(divide(first, by=surprise(b2, eps, eps_root)), m=scale_by_momentum(b1))


@named
def scale_by_acprop(
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-16,
  eps_root: Hyperparameter = 1e-16,
):
  """Divides the gradient by AdaBelief's divisor of the step before: the core of ACProp.

      u = g / (√(s / (1 − b2ᵗ⁻¹)) + eps), at first g / (1 + eps)
      s ← b2 · s + (1 − b2) · (g − m)² + eps_root;   m ← b1 · m + (1 − b1) · g

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: outside the root; at least 0.
    eps_root: added to s at every step, so that it accumulates; at least 0.

  Source: Zhuang et al. 2021, Algorithm 1, https://arxiv.org/abs/2110.05454, and the authors' code;
  ``optax.contrib.scale_by_acprop``. Unlike AdaBelief it takes m from before the step.
  """
  surprise = chain(subtract(identity(), previous(moving_average(b1))), square(), scale(after(lambda b: 1 - b, b2)))
  before = chain(surprise, add_constant(eps_root), previous(trace(b2)), bias_correction(b2, lead=-1))
  return divide(identity(), by=chain(before, begin_with(1.0), root(eps)))


@named
def scale_by_yogi(
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-3,
  eps_root: Hyperparameter = 0.0,
  initial_accumulator_value: Hyperparameter = 1e-6,
):
  """The core of Adam with a second moment that grows or shrinks by the new square: that of Yogi.

      m ← b1 · m + (1 − b1) · g;   v ← v − (1 − b2) · sign(v − g²) · g²
      u = m / (1 − b1ᵗ) / (√(v / (1 − b2ᵗ) + eps_root) + eps)

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: 1 − b2 is the share of the new square, in [0, 1).
    eps: outside the root; at least 0.
    eps_root: inside the root; at least 0.
    initial_accumulator_value: of both m and v, as Optax has it.

  Source: Zaheer et al. 2018, Algorithm 2; `optax.scale_by_yogi`, which corrects the bias of both
  moments; the paper corrects neither.
  """
  return divide(
    chain(moving_average(b1, initial=initial_accumulator_value), bias_correction(b1)),
    by=chain(
      square(),
      additive_average(b2, initial=initial_accumulator_value),
      bias_correction(b2),
      root(eps, eps_root),
    ),
  )


@named
def scale_by_radam(
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  eps_root: Hyperparameter = 0.0,
  threshold: Hyperparameter = 5.0,
):
  """The core of Adam that waits with its divisor until that has seen enough: rectified Adam.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · g²
      u = r · m / (1 − b1ᵗ) / (√(v / (1 − b2ᵗ) + eps_root) + eps) if ρ ≥ threshold
      u = m / (1 − b1ᵗ) before;   r and ρ as in `rectify`

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: outside the root; at least 0.
    eps_root: inside the root; at least 0.
    threshold: the least ρ with which the divisor is used; 4 at least.

  Source: Liu et al. 2020, Algorithm 2, https://arxiv.org/abs/1908.03265; `optax.scale_by_radam`.
  torch adds eps to the uncorrected √v.
  """
  second = chain(square(), moving_average(b2), bias_correction(b2), root(eps, eps_root), rectify(b2, threshold))
  return divide(chain(scale_by_momentum(b1), bias_correction(b1)), by=second)


@named
def scale_by_adopt(b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.9999, eps: Hyperparameter = 1e-6):
  """Averages gradients divided by the root of the second moment of before: the core of ADOPT.

      c = clip(g / max(√v, eps), ±(t − 1)^¼);   u = m ← b1 · m + (1 − b1) · c
      v ← b2 · v + (1 − b2) · g²;   v = g² after the first step, which moves nothing

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: the least divisor; at least 0.

  Raises:
    TypeError: for complex updates.

  Source: Taniguchi et al. 2024, Algorithm 2, https://arxiv.org/abs/2411.02853, with the clipping of
  its later versions; ``optax.contrib.scale_by_adopt``.
  """
  before = chain(square(), previous(average_from_first(b2)), root(), at_least(eps))
  return chain(divide(identity(), by=before), clip_by_count(), scale_by_momentum(b1))


@named
def scale_by_novograd(
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.25,
  eps: Hyperparameter = 1e-8,
  eps_root: Hyperparameter = 0.0,
  weight_decay: Hyperparameter = 0.0,
):
  """Divides by a running norm of each array, then accumulates: the core of NovoGrad.

      v ← b2 · v + (1 − b2) · ‖g‖², at first ‖g‖²;   u = m ← b1 · m + g / (√(v + eps_root) + eps) + λ · p

  Args:
    b1: decay of the accumulated m, in [0, 1].
    b2: decay of the squared norm, in [0, 1).
    eps: outside the root; at least 0.
    eps_root: inside the root; at least 0.
    weight_decay: λ, inside of m.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Ginsburg et al. 2019, Algorithm 1, https://arxiv.org/abs/1905.11286;
  `optax.scale_by_novograd`.
  """
  by_norm = divide(identity(), by=chain(sum_of_squares(), average_from_first(b2), root(eps, eps_root)))
  return chain(by_norm, add_decayed_weights(weight_decay), trace(b1))
