"""Adam and its nearest kin."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  add_decayed_weights,
  scale_by_adam,
  scale_by_adamax,
  scale_by_amsgrad,
  scale_by_learning_rate,
  scale_by_nadam,
)


@named
def adam(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
):
  """Adam: the first moment divided by the root of the second, both corrected for their start at 0.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · g²
      p ← p − a · m / (1 − b1ᵗ) / (√(v / (1 − b2ᵗ)) + eps)

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.

  Source: Kingma & Ba 2015, Algorithm 1, https://arxiv.org/abs/1412.6980; torch's Adam;
  `optax.adam`. Keras adds its eps of 1e-7 to the uncorrected √v.
  """
  return chain(scale_by_adam(b1, b2, eps), scale_by_learning_rate(learning_rate))


@named
def adamw(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 1e-4,
):
  """AdamW: Adam with decoupled weight decay.

      u = Adam's direction;   p ← p − a · (u + λ · p)

  Args:
    learning_rate: the step a, which multiplies the decay too.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.
    weight_decay: λ.

  Source: Loshchilov & Hutter 2019, Algorithm 2, https://arxiv.org/abs/1711.05101, where λ is
  multiplied by the schedule but not by a; `optax.adamw`. torch has λ = 0.01, Keras 0.004.
  """
  direction = chain(scale_by_adam(b1, b2, eps), add_decayed_weights(weight_decay))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def adamax(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
):
  """Adamax: Adam with the infinity norm in place of the second moment.

      m ← b1 · m + (1 − b1) · g;   n ← max(b2 · n, |g| + eps);   p ← p − a · m / (1 − b1ᵗ) / n

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: decay of the maximum.
    eps: inside the maximum.

  Source: Kingma & Ba 2015, Algorithm 2, https://arxiv.org/abs/1412.6980, which has no eps; torch's
  Adamax; `optax.adamax`. Keras adds eps to the maximum.
  """
  return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


@named
def nadam(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
):
  """Nadam: Adam with Nesterov's momentum.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · g²
      p ← p − a · (b1 · m / (1 − b1ᵗ⁺¹) + (1 − b1) · g / (1 − b1ᵗ)) / (√(v / (1 − b2ᵗ)) + eps)

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.

  Source: Dozat 2016, Algorithm 2, with constant b1; `optax.nadam`. torch and Keras schedule b1.
  """
  return chain(scale_by_nadam(b1, b2, eps), scale_by_learning_rate(learning_rate))


@named
def nadamw(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 1e-4,
):
  """NadamW: Nadam with decoupled weight decay.

      u = Nadam's direction;   p ← p − a · (u + λ · p)

  Args:
    learning_rate: the step a, which multiplies the decay too.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.
    weight_decay: λ.

  Source: Dozat 2016 and Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101;
  `optax.nadamw`. torch: ``NAdam(decoupled_weight_decay=True)``, whose b1 is scheduled.
  """
  direction = chain(scale_by_nadam(b1, b2, eps), add_decayed_weights(weight_decay))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def amsgrad(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
):
  """AMSGrad: Adam with the largest second moment so far, so that steps do not grow again.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · g²;   w ← max(w, v / (1 − b2ᵗ))
      p ← p − a · m / (1 − b1ᵗ) / (√w + eps)

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.

  Source: Reddi et al. 2018, Algorithm 2, https://arxiv.org/abs/1904.09237, which has no bias
  correction; `optax.amsgrad`. torch takes the maximum before the correction: exchange
  `bias_correction` and `running_max` in the expression.
  """
  return chain(scale_by_amsgrad(b1, b2, eps), scale_by_learning_rate(learning_rate))
