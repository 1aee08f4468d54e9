"""Adam's kin: another second moment, or another order of the same parts."""

from gradxform.combinators import chain, divide, identity
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  add_decayed_weights,
  bias_correction,
  moving_average,
  root,
  scale_by_acprop,
  scale_by_adamax,
  scale_by_adopt,
  scale_by_belief,
  scale_by_learning_rate,
  scale_by_momentum,
  scale_by_novograd,
  scale_by_radam,
  scale_by_yogi,
  square,
)


@named
def adamaxw(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 1e-4,
):
  """AdamaxW: Adamax with decoupled weight decay.

      u = Adamax's direction;   p ← p − a · (u + λ · p)

  Args:
    learning_rate: the step a, which multiplies the decay too.
    b1: decay of the first moment.
    b2: decay of the maximum.
    eps: inside the maximum.
    weight_decay: λ.

  Source: Kingma & Ba 2015, Algorithm 2, https://arxiv.org/abs/1412.6980, and Loshchilov & Hutter
  2019; `optax.adamaxw`.
  """
  direction = chain(scale_by_adamax(b1, b2, eps), add_decayed_weights(weight_decay))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def adabelief(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-16,
  eps_root: Hyperparameter = 1e-16,
):
  """AdaBelief: long steps where gradients are as expected, short ones where they surprise.

      m ← b1 · m + (1 − b1) · g;   s ← b2 · s + (1 − b2) · (g − m)² + eps_root
      p ← p − a · m / (1 − b1ᵗ) / (√(s / (1 − b2ᵗ)) + eps)

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.
    eps_root: added to s at every step.

  Source: Zhuang et al. 2020, Algorithm 2, https://arxiv.org/abs/2010.07468; `optax.adabelief`. The
  authors' code has one eps for both, and RAdam's rectification unless told otherwise.
  """
  return chain(scale_by_belief(b1, b2, eps, eps_root), scale_by_learning_rate(learning_rate))


@named
def acprop(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-16,
  eps_root: Hyperparameter = 1e-16,
  weight_decay: Hyperparameter = 0.0,
):
  """ACProp: the gradient over AdaBelief's divisor, which comes one step late.

      u = g / (√(s / (1 − b2ᵗ⁻¹)) + eps), at first g;   p ← p − a · (u + λ · p)
      s ← b2 · s + (1 − b2) · (g − m)² + eps_root;   m ← b1 · m + (1 − b1) · g

  Args:
    learning_rate: the step a, which multiplies the decay too.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.
    eps_root: added to s at every step.
    weight_decay: λ.

  Source: Zhuang et al. 2021, Algorithm 1, https://arxiv.org/abs/2110.05454;
  ``optax.contrib.acprop``.
  """
  direction = chain(scale_by_acprop(b1, b2, eps, eps_root), add_decayed_weights(weight_decay))
  return chain(direction, scale_by_learning_rate(learning_rate))


@named
def yogi(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-3,
):
  """Yogi: Adam whose second moment moves by the new square, not by the distance to it.

      m ← b1 · m + (1 − b1) · g;   v ← v − (1 − b2) · sign(v − g²) · g²;   m, v = 10⁻⁶ at first
      p ← p − a · m / (1 − b1ᵗ) / (√(v / (1 − b2ᵗ)) + eps)

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: 1 − b2 is the share of the new square.
    eps: outside the root.

  Source: Zaheer et al. 2018, Algorithm 2; `optax.yogi`, which corrects the bias of both moments.
  """
  return chain(scale_by_yogi(b1, b2, eps), scale_by_learning_rate(learning_rate))


@named
def radam(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  threshold: Hyperparameter = 5.0,
):
  """Rectified Adam: without a divisor until the second moment has seen enough gradients.

      m̂ = m / (1 − b1ᵗ), v̂ = v / (1 − b2ᵗ) as in Adam;   r and ρ as in `rectify`
      p ← p − a · r · m̂ / (√v̂ + eps) if ρ ≥ threshold, else p − a · m̂

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: outside the root.
    threshold: the least ρ with which the divisor is used.

  Source: Liu et al. 2020, Algorithm 2, https://arxiv.org/abs/1908.03265; `optax.radam`. torch's
  RAdam adds eps to the uncorrected √v: exchange `bias_correction` and `root` in the expression.
  """
  return chain(scale_by_radam(b1, b2, eps, threshold=threshold), scale_by_learning_rate(learning_rate))


@named
def laprop(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-15,
):
  """LaProp: Adam that divides first and averages then.

      v ← b2 · v + (1 − b2) · g²;   m ← b1 · m + (1 − b1) · g / (√(v / (1 − b2ᵗ)) + eps)
      p ← p − a · m / (1 − b1ᵗ)

  Args:
    learning_rate: the step a; the authors have 4e-4.
    b1: decay of the average of scaled gradients.
    b2: decay of the second moment.
    eps: outside the root.

  Source: Ziyin, Wang & Ueda 2020, Algorithm 1, https://arxiv.org/abs/2002.04839. The authors' code
  has the learning rate inside m, which differs when it is scheduled.
  """
  second = chain(square(), moving_average(b2), bias_correction(b2), root(eps))
  scaled = divide(identity(), by=second)
  return chain(scaled, scale_by_momentum(b1), bias_correction(b1), scale_by_learning_rate(learning_rate))


@named
def adopt(
  learning_rate: Hyperparameter, *, b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.9999, eps: Hyperparameter = 1e-6
):
  """ADOPT: divides by the second moment of before, so that it converges with any b2.

      c = clip(g / max(√v, eps), ±(t − 1)^¼);   m ← b1 · m + (1 − b1) · c;   p ← p − a · m
      v ← b2 · v + (1 − b2) · g²;   v = g² after the first step, which moves nothing

  Args:
    learning_rate: the step a.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: the least divisor.

  Source: Taniguchi et al. 2024, Algorithm 2, https://arxiv.org/abs/2411.02853;
  ``optax.contrib.adopt``; the authors' code, which has weight decay too.
  """
  return chain(scale_by_adopt(b1, b2, eps), scale_by_learning_rate(learning_rate))


@named
def novograd(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.25,
  eps: Hyperparameter = 1e-6,
  weight_decay: Hyperparameter = 0.0,
):
  """NovoGrad: momentum of gradients divided by a running norm of each array.

      v ← b2 · v + (1 − b2) · ‖g‖², at first ‖g‖²;   m ← b1 · m + g / (√v + eps) + λ · p;   p ← p − a · m

  Args:
    learning_rate: the step a.
    b1: decay of the accumulated m.
    b2: decay of the squared norm; the paper has 0.98.
    eps: outside the root.
    weight_decay: λ, inside of m.

  Source: Ginsburg et al. 2019, Algorithm 1, https://arxiv.org/abs/1905.11286; `optax.novograd`.
  """
  core = scale_by_novograd(b1, b2, eps, weight_decay=weight_decay)
  return chain(core, scale_by_learning_rate(learning_rate))
