"""Optimizers that need no learning rate, and others that reckon from where the parameters began."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  add_decayed_weights,
  scale,
  scale_by_cocob,
  scale_by_dadapt,
  scale_by_dog,
  scale_by_dowg,
  scale_by_learning_rate,
  scale_by_madgrad,
  scale_by_prodigy,
)


@named
def cocob(
  learning_rate: Hyperparameter = 1.0,
  *,
  alpha: Hyperparameter = 100.0,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 0.0,
):
  """COCOB: each element bets on its gradients, with what it has won so far.

      g ← a · (g + w · p);   L ← max(L, |g|);   G ← G + |g|;   R ← max(R − g · (p − p₀), 0);   C ← C − g
      p ← p₀ + C / (L · max(G + L, α · L)) · (L + R)

  Args:
    learning_rate: the factor a of the gradients, which is 1; but for eps, a constant makes no difference.
    alpha: α, how little is bet at first.
    eps: L before the first gradient.
    weight_decay: w, of the gradient (L2).

  Source: Orabona & Tommasi 2017, Algorithm 2, https://arxiv.org/abs/1705.07795;
  ``optax.contrib.cocob``.
  """
  return chain(add_decayed_weights(weight_decay), scale(learning_rate), scale_by_cocob(alpha, eps))


@named
def dog(
  learning_rate: Hyperparameter = 1.0,
  *,
  init_step: Hyperparameter = 1e-6,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 0.0,
):
  """DoG: steps of the distance gone so far, over the gradients seen so far.

      g ← g + w · p;   r ← max(r, ‖p − p₀‖), at first α · (1 + ‖p₀‖);   G ← G + ‖g‖²
      p ← p − a · r / √(G + eps) · g

  Args:
    learning_rate: the factor a, which is 1.
    init_step: α of the first distance.
    eps: inside the root.
    weight_decay: w, of the gradient (L2).

  Source: Ivgi, Hinder & Carmon 2023, https://arxiv.org/abs/2302.12022, who use the average of the
  parameters; ``optax.contrib.dog``. Array by array it is
  ``chain(scale_by_distance_over_gradients(), scale_by_learning_rate(1.0))``.
  """
  direction = chain(add_decayed_weights(weight_decay), scale_by_dog(init_step, eps))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def dowg(
  learning_rate: Hyperparameter = 1.0,
  *,
  init_estim_sq_dist: Hyperparameter | None = None,
  eps: Hyperparameter = 1e-4,
  weight_decay: Hyperparameter = 0.0,
):
  """DoWG: steps of the distance gone so far, over gradients weighed by that of their time.

      g ← g + w · p;   r² ← max(r², ‖p − p₀‖²), at first r₀²;   v ← v + r² · ‖g‖²
      p ← p − a · r² / (√v + eps) · g

  Args:
    learning_rate: the factor a, which is 1.
    init_estim_sq_dist: r₀² of the first distance; eps if not given.
    eps: outside the root.
    weight_decay: w, of the gradient (L2).

  Source: Khaled, Mishchenko & Jin 2023, Algorithm 1, https://arxiv.org/abs/2305.16284;
  ``optax.contrib.dowg``.
  """
  direction = chain(add_decayed_weights(weight_decay), scale_by_dowg(init_estim_sq_dist, eps))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def madgrad(
  learning_rate: Hyperparameter,
  *,
  momentum: Hyperparameter = 0.9,
  weight_decay: Hyperparameter = 0.0,
  eps: Hyperparameter = 1e-6,
):
  """MADGRAD: dual averaging with the cube root of a sum of squares, and momentum.

      g ← g + w · p;   λ = (a + eps) · √t;   G ← G + λ · g²;   s ← s + λ · g
      z = p₀ − s / (∛G + eps);   p ← μ · p + (1 − μ) · z

  Args:
    learning_rate: the step a.
    momentum: μ.
    weight_decay: w, of the gradient (L2).
    eps: outside the root, and added to the learning rate.

  Source: Defazio & Jelassi 2021, Algorithm 1, https://arxiv.org/abs/2101.11075;
  ``optax.contrib.madgrad``.
  """
  return chain(add_decayed_weights(weight_decay), scale_by_madgrad(learning_rate, momentum, eps))


@named
def prodigy(
  learning_rate: Hyperparameter = 1.0,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  beta3: Hyperparameter | None = None,
  eps: Hyperparameter = 1e-8,
  estim_lr0: Hyperparameter = 1e-6,
  estim_lr_coef: Hyperparameter = 1.0,
  weight_decay: Hyperparameter = 0.0,
):
  """Prodigy: AdamW that learns how far it has to go.

      u = Adam's direction, of gradients times d;   γ = d · a, with Adam's corrections
      p ← p − γ · (u + w · p);   d ← max(d, c · r / ‖s‖₁), r and s as in `scale_by_prodigy`

  Args:
    learning_rate: the factor a, which is 1; schedules take that for their base.
    b1: decay of the first moment.
    b2: decay of the second moment.
    beta3: decay of the sums r and s; √b2 if not given.
    eps: outside the root, in units of d.
    estim_lr0: the first estimate d.
    estim_lr_coef: the factor c of the estimates.
    weight_decay: w.

  Source: Mishchenko & Defazio 2024, Algorithm 4, https://arxiv.org/abs/2306.06101;
  ``optax.contrib.prodigy``, which has b1 and b2 as ``betas``.
  """
  return scale_by_prodigy(learning_rate, b1, b2, beta3, eps, estim_lr0, estim_lr_coef, weight_decay)


@named
def dadapt_adamw(
  learning_rate: Hyperparameter = 1.0,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  estim_lr0: Hyperparameter = 1e-6,
  weight_decay: Hyperparameter = 0.0,
):
  """D-Adaptation: AdamW that learns how far it has to go.

      γ = d · a, with Adam's corrections;   m ← b1 · m + (1 − b1) · γ · g;   v ← b2 · v + (1 − b2) · g²
      p ← p − m / (√v + eps) − w · γ · p;   d as in `scale_by_dadapt`

  Args:
    learning_rate: the factor a, which is 1; schedules take that for their base.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.
    estim_lr0: the first estimate d.
    weight_decay: w.

  Source: Defazio & Mishchenko 2023, Algorithm 5, https://arxiv.org/abs/2301.07733;
  ``optax.contrib.dadapt_adamw``, which has b1 and b2 as ``betas``.
  """
  return scale_by_dadapt(learning_rate, b1, b2, eps, estim_lr0, weight_decay)
