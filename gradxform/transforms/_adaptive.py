"""Divisions by running statistics of the gradient: the cores of the adaptive optimizers."""

from gradxform._checks import check_fraction
from gradxform.combinators import add, chain, divide, feedback, identity, previous, subtract
from gradxform.core import Hyperparameter, named
from gradxform.rules import after
from gradxform.transforms._correction import bias_correction
from gradxform.transforms._moments import (
  decayed_max,
  moving_average,
  running_max,
  running_sum,
  scale_by_momentum,
)
from gradxform.transforms._pointwise import at_least, root, scale, sign, square


@named
def scale_by_rss(initial_accumulator_value: Hyperparameter = 0.1, eps: Hyperparameter = 1e-7):
  """Divides by the root of the sum of squares: the core of Adagrad.

      s ← s + g²;   u = g / √(s + eps)

  Args:
    initial_accumulator_value: s before the first update.
    eps: inside the root; at least 0.

  Source: Duchi, Hazan & Singer 2011; `optax.scale_by_rss`. torch adds eps outside the root.
  """
  return divide(identity(), by=chain(square(), running_sum(initial_accumulator_value), root(eps_root=eps)))


@named
def scale_by_rms(decay: Hyperparameter = 0.9, eps: Hyperparameter = 1e-8, initial_scale: Hyperparameter = 0.0):
  """Divides by the root of the moving average of squares: the core of RMSprop.

      v ← b · v + (1 − b) · g²;   u = g / √(v + eps)

  Args:
    decay: b in [0, 1).
    eps: inside the root; at least 0.
    initial_scale: v before the first update.

  Source: Hinton 2012, lecture 6e; `optax.scale_by_rms`. torch adds eps outside the root:
  ``root(eps)`` in place of ``root(eps_root=eps)``.
  """
  return divide(identity(), by=chain(square(), moving_average(decay, initial=initial_scale), root(eps_root=eps)))


@named
def scale_by_stddev(decay: Hyperparameter = 0.9, eps: Hyperparameter = 1e-8, initial_scale: Hyperparameter = 0.0):
  """Divides by a running standard deviation: the core of centred RMSprop.

      v ← b · v + (1 − b) · g²;   m ← b · m + (1 − b) · g;   u = g / √(max(v − m², 0) + eps)

  Args:
    decay: b in [0, 1).
    eps: inside the root; at least 0.
    initial_scale: v before the first update.

  Source: Graves 2013, section 4.2, https://arxiv.org/abs/1308.0850; `optax.scale_by_stddev`,
  where a variance that rounding makes negative gives NaN.
  """
  variance = subtract(
    chain(square(), moving_average(decay, initial=initial_scale)),
    chain(moving_average(decay), square()),
  )
  return divide(identity(), by=chain(variance, at_least(0.0), root(eps_root=eps)))


@named
def scale_by_adadelta(rho: Hyperparameter = 0.9, eps: Hyperparameter = 1e-6):
  """Scales by the ratio of two running root mean squares: of the updates, and of the gradients.

      v ← ρ · v + (1 − ρ) · g²;   u = g · √(x + eps) / √(v + eps);   x ← ρ · x + (1 − ρ) · u²

  Args:
    rho: the decay ρ of both averages, in [0, 1).
    eps: inside both roots; at least 0.

  Source: Zeiler 2012, Algorithm 1, https://arxiv.org/abs/1212.5701; `optax.scale_by_adadelta`.
  """
  return chain(
    divide(identity(), by=chain(square(), moving_average(rho), root(eps_root=eps))),
    feedback(chain(square(), previous(moving_average(rho)), root(eps_root=eps))),
  )


@named
def scale_by_adam(
  b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.999, eps: Hyperparameter = 1e-8, eps_root: Hyperparameter = 0.0
):
  """Divides the first moment by the root of the second, both corrected: the core of Adam.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · g²
      u = m / (1 − b1ᵗ) / (√(v / (1 − b2ᵗ) + eps_root) + eps)

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: outside the root; at least 0.
    eps_root: inside the root; at least 0.

  Source: Kingma & Ba 2015, Algorithm 1, https://arxiv.org/abs/1412.6980; `optax.scale_by_adam`.
  """
  return divide(
    chain(scale_by_momentum(b1), bias_correction(b1)),
    by=chain(square(), moving_average(b2), bias_correction(b2), root(eps, eps_root)),
  )


@named
def ema(decay: Hyperparameter):
  """Replaces the update by its moving average, corrected for its start at zero.

      m ← b · m + (1 − b) · u;   u ← m / (1 − bᵗ)

  Args:
    decay: b in [0, 1).

  Source: the first moment of Adam, https://arxiv.org/abs/1412.6980; `optax.ema`, which without its
  correction is `moving_average`.
  """
  return chain(moving_average(decay), bias_correction(decay))


@named
def nesterov_moment(decay: Hyperparameter):
  """Replaces the update by its corrected moving average, one step ahead, as Nesterov's momentum.

      m ← b · m + (1 − b) · u;   u ← b · m / (1 − bᵗ⁺¹) + (1 − b) · u / (1 − bᵗ)

  Args:
    decay: b in [0, 1).

  Source: the first moment of Dozat 2016, Nadam, Algorithm 2.
  """
  ahead = chain(scale_by_momentum(decay), bias_correction(decay, lead=1), scale(decay))
  present = chain(bias_correction(decay), scale(after(lambda b: 1 - b, decay)))
  return add(ahead, present)


@named
def scale_by_nadam(
  b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.999, eps: Hyperparameter = 1e-8, eps_root: Hyperparameter = 0.0
):
  """The core of Adam with a first moment that looks one step ahead, as Nesterov's.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · g²
      u = (b1 · m / (1 − b1ᵗ⁺¹) + (1 − b1) · g / (1 − b1ᵗ)) / (√(v / (1 − b2ᵗ) + eps_root) + eps)

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: outside the root; at least 0.
    eps_root: inside the root; at least 0.

  Source: Dozat 2016, Algorithm 2, with constant b1; ``optax.scale_by_adam(nesterov=True)``.
  torch's NAdam schedules b1, and Dozat multiplies the second moment by b2 again.
  """
  second = chain(square(), moving_average(b2), bias_correction(b2), root(eps, eps_root))
  return divide(nesterov_moment(b1), by=second)


@named
def scale_by_amsgrad(
  b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.999, eps: Hyperparameter = 1e-8, eps_root: Hyperparameter = 0.0
):
  """The core of Adam with the largest second moment so far.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · g²;   w ← max(w, v / (1 − b2ᵗ))
      u = m / (1 − b1ᵗ) / (√(w + eps_root) + eps)

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: outside the root; at least 0.
    eps_root: inside the root; at least 0.

  Source: Reddi et al. 2018, Algorithm 2, https://arxiv.org/abs/1904.09237, which has no bias
  correction; `optax.scale_by_amsgrad` takes the maximum after it, torch before.
  """
  second = chain(square(), moving_average(b2), bias_correction(b2), running_max(), root(eps, eps_root))
  return divide(chain(scale_by_momentum(b1), bias_correction(b1)), by=second)


@named
def scale_by_adamax(b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.999, eps: Hyperparameter = 1e-8):
  """Divides the first moment by a decaying maximum: Adam with the infinity norm.

      m ← b1 · m + (1 − b1) · g;   n ← max(b2 · n, |g| + eps);   u = m / (1 − b1ᵗ) / n

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the maximum, in [0, 1).
    eps: added to |g|; at least 0.

  Source: Kingma & Ba 2015, Algorithm 2, https://arxiv.org/abs/1412.6980, which has no eps;
  `optax.scale_by_adamax`.
  """
  return divide(chain(scale_by_momentum(b1), bias_correction(b1)), by=decayed_max(b2, eps))


@named
def scale_by_lion(b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.99):
  """Takes the sign of a momentum in which the present gradient counts more: the core of Lion.

      u = sign(b1 · m + (1 − b1) · g);   m ← b2 · m + (1 − b2) · g

  Args:
    b1: share of the kept momentum in the direction, in [0, 1).
    b2: decay of the kept momentum, in [0, 1).

  Source: Chen et al. 2023, Algorithm 2, https://arxiv.org/abs/2302.06675; `optax.scale_by_lion`.
  """
  check_fraction("scale_by_lion", b1=b1)
  kept = chain(previous(moving_average(b2)), scale(b1))
  return chain(add(kept, scale(after(lambda b: 1 - b, b1))), sign())
