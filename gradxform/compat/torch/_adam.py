"""torch's Adam and its kin."""

from gradxform._checks import check_flag, check_not_negative, check_positive
from gradxform.combinators import add, chain, divide
from gradxform.compat.torch._namespace import descent, optimizer, pair, step_count
from gradxform.core import Hyperparameter, Switched
from gradxform.rules import after
from gradxform.transforms import (
  bias_correction,
  moving_average,
  rectify,
  root,
  running_max,
  scale,
  scale_by_adam,
  scale_by_adamax,
  scale_by_momentum,
  square,
)

Betas = tuple[Hyperparameter, Hyperparameter]


def _first_moment(b1):
  return chain(scale_by_momentum(b1), bias_correction(b1))


def _adam_direction(betas, eps, amsgrad):
  b1, b2 = betas
  check_flag("adam", amsgrad=amsgrad)
  if not amsgrad:
    return scale_by_adam(b1, b2, eps)
  largest = chain(square(), moving_average(b2), running_max(), bias_correction(b2), root(eps))
  return divide(_first_moment(b1), by=largest)


@optimizer
def adam(
  lr: Hyperparameter = 1e-3,
  betas: Betas = (0.9, 0.999),
  eps: Hyperparameter = 1e-8,
  weight_decay: Switched = 0.0,
  amsgrad: bool = False,
  *,
  maximize: bool = False,
  decoupled_weight_decay: bool = False,
):
  """torch.optim.Adam: the first moment divided by the root of the second, both corrected.

      g ← g + λ · p;   m ← β₁ · m + (1 − β₁) · g;   v ← β₂ · v + (1 − β₂) · g²
      p ← p − lr · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + eps)

  Args:
    lr: the step.
    betas: β₁ and β₂, in [0, 1).
    eps: outside the root.
    weight_decay: λ; coupled unless told otherwise.
    amsgrad: whether the largest v so far takes v's place, before its correction.
    maximize: whether to climb.
    decoupled_weight_decay: whether λ · p is added to the direction, as in AdamW.

  Source: ``torch.optim.Adam``; Kingma & Ba 2015, Algorithm 1, https://arxiv.org/abs/1412.6980;
  Reddi et al. 2018, https://arxiv.org/abs/1904.09237, of which Optax takes the maximum after the
  correction. Where β is a schedule, it is corrected by the product of its values so far.
  """
  direction = _adam_direction(pair("adam", betas=betas), eps, amsgrad)
  return descent("adam", direction, lr, weight_decay, maximize=maximize, decoupled=decoupled_weight_decay)


@optimizer
def adamw(
  lr: Hyperparameter = 1e-3,
  betas: Betas = (0.9, 0.999),
  eps: Hyperparameter = 1e-8,
  weight_decay: Switched = 1e-2,
  amsgrad: bool = False,
  *,
  maximize: bool = False,
):
  """torch.optim.AdamW: Adam with decoupled weight decay.

      u = Adam's direction;   p ← p − lr · (u + λ · p)

  Args:
    lr: the step, which multiplies the decay too.
    betas: β₁ and β₂, in [0, 1).
    eps: outside the root.
    weight_decay: λ, decoupled.
    amsgrad: whether the largest second moment so far takes its place, before its correction.
    maximize: whether to climb.

  Source: ``torch.optim.AdamW``; Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101. Optax's
  λ is 1e-4 unless told otherwise.
  """
  return adam(lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


@optimizer
def sparseadam(
  lr: Hyperparameter = 1e-3,
  betas: Betas = (0.9, 0.999),
  eps: Hyperparameter = 1e-8,
  *,
  maximize: bool = False,
):
  """torch.optim.SparseAdam for gradients that have every element: Adam with eps in the correction.

      m ← β₁ · m + (1 − β₁) · g;   v ← β₂ · v + (1 − β₂) · g²
      p ← p − lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + eps)

  Args:
    lr: the step.
    betas: β₁ and β₂, in [0, 1).
    eps: added to the uncorrected root; greater than 0.
    maximize: whether to climb.

  Source: ``torch.optim.SparseAdam``, which leaves the elements without a gradient, and their
  moments, as they are; here an element whose gradient is 0 is one of gradient 0.
  """
  b1, b2 = pair("sparseadam", betas=betas)
  check_positive("sparseadam", lr=lr, eps=eps)
  second = chain(square(), moving_average(b2), root(eps), bias_correction(b2, power=0.5))
  return descent("sparseadam", divide(_first_moment(b1), by=second), lr, 0.0, maximize=maximize)


@optimizer
def adamax(
  lr: Hyperparameter = 2e-3,
  betas: Betas = (0.9, 0.999),
  eps: Hyperparameter = 1e-8,
  weight_decay: Switched = 0.0,
  *,
  maximize: bool = False,
):
  """torch.optim.Adamax: Adam with the infinity norm.

      g ← g + λ · p;   m ← β₁ · m + (1 − β₁) · g;   n ← max(β₂ · n, |g| + eps)
      p ← p − lr · m / (1 − β₁ᵗ) / n

  Args:
    lr: the step.
    betas: β₁ and β₂, in [0, 1).
    eps: inside the maximum.
    weight_decay: λ, coupled.
    maximize: whether to climb.

  Source: ``torch.optim.Adamax``; Kingma & Ba 2015, Algorithm 2, https://arxiv.org/abs/1412.6980.
  """
  return descent("adamax", scale_by_adamax(*pair("adamax", betas=betas), eps), lr, weight_decay, maximize=maximize)


@optimizer
def nadam(
  lr: Hyperparameter = 2e-3,
  betas: Betas = (0.9, 0.999),
  eps: Hyperparameter = 1e-8,
  weight_decay: Switched = 0.0,
  momentum_decay: Hyperparameter = 4e-3,
  decoupled_weight_decay: bool = False,
  *,
  maximize: bool = False,
):
  """torch.optim.NAdam: Adam with Nesterov's momentum, which warms up.

      g ← g + λ · p;   m ← β₁ · m + (1 − β₁) · g;   v ← β₂ · v + (1 − β₂) · g²
      μₜ = β₁ · (1 − ½ · 0.96^(t · ψ));   u = μₜ₊₁ · m / (1 − μ₁ ⋯ μₜ₊₁) + (1 − μₜ) · g / (1 − μ₁ ⋯ μₜ)
      p ← p − lr · u / (√(v / (1 − β₂ᵗ)) + eps)

  Args:
    lr: the step.
    betas: β₁ and β₂, in [0, 1).
    eps: outside the root.
    weight_decay: λ; coupled unless told otherwise.
    momentum_decay: ψ, how fast μ warms up; at least 0.
    decoupled_weight_decay: whether λ · p is added to the direction, as in AdamW.
    maximize: whether to climb.

  Source: ``torch.optim.NAdam``; Dozat 2016. `gradxform.nadam` has Optax's constant μ. torch keeps the
  product of μ in its default dtype, float32 unless set otherwise.
  """
  b1, b2 = pair("nadam", betas=betas)
  check_not_negative("nadam", momentum_decay=momentum_decay)
  mu = after(lambda count, b, psi: b * (1 - 0.5 * 0.96 ** ((count + 1) * psi)), step_count, b1, momentum_decay)
  ahead = chain(scale_by_momentum(b1), bias_correction(mu, lead=1), scale(lambda count: mu(count + 1)))
  present = chain(bias_correction(mu), scale(after(lambda m: 1 - m, mu)))
  second = chain(square(), moving_average(b2), bias_correction(b2), root(eps))
  direction = divide(add(ahead, present), by=second)
  return descent("nadam", direction, lr, weight_decay, maximize=maximize, decoupled=decoupled_weight_decay)


@optimizer
def radam(
  lr: Hyperparameter = 1e-3,
  betas: Betas = (0.9, 0.999),
  eps: Hyperparameter = 1e-8,
  weight_decay: Switched = 0.0,
  decoupled_weight_decay: bool = False,
  *,
  maximize: bool = False,
):
  """torch.optim.RAdam: Adam that waits with its divisor until that has seen enough.

      g ← g + λ · p;   m ← β₁ · m + (1 − β₁) · g;   v ← β₂ · v + (1 − β₂) · g²
      p ← p − lr · r · m / (1 − β₁ᵗ) · √(1 − β₂ᵗ) / (√v + eps) if ρ > 5
      p ← p − lr · m / (1 − β₁ᵗ) before;   r and ρ as in `rectify`

  Args:
    lr: the step.
    betas: β₁ and β₂, in [0, 1).
    eps: added to the uncorrected root.
    weight_decay: λ; coupled unless told otherwise.
    decoupled_weight_decay: whether λ · p is added to the direction, as in AdamW.
    maximize: whether to climb.

  Source: ``torch.optim.RAdam``; Liu et al. 2020, Algorithm 2, https://arxiv.org/abs/1908.03265.
  `gradxform.radam` has Optax's eps, added to the corrected root.
  """
  b1, b2 = pair("radam", betas=betas)
  second = chain(square(), moving_average(b2), root(eps), bias_correction(b2, power=0.5), rectify(b2))
  direction = divide(_first_moment(b1), by=second)
  return descent("radam", direction, lr, weight_decay, maximize=maximize, decoupled=decoupled_weight_decay)
