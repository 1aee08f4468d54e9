"""Adam whose learning rate grows with a lower bound of the distance to the solution: D-Adaptation."""

import jax
import jax.numpy as jnp

from gradxform._checks import check_fraction, check_not_negative, check_positive
from gradxform.core import Hyperparameter, named
from gradxform.rules import Slot, after, whole_tree
from gradxform.transforms._correction import gathered_weight
from gradxform.transforms._start import START
from gradxform.tree import absolute_sum, averaged, minus, plus, quotient, scaled, sqrt, squares, vdot

SQUARES = Slot(real=True)
SCALARS = {"estimate": 0.0, "numerator": 0.0}


def _correction(*, t, b1, b2):
  """What corrects the biases of both moments at once."""
  t = t.astype(jnp.result_type(float))
  return sqrt(gathered_weight(b2, t)) / gathered_weight(b1, t)


def _over_root(tree, second, eps):
  """Each leaf over the root of its second moment, and eps."""
  return jax.tree.map(lambda x, v: x / (sqrt(v) + jnp.asarray(eps, v.dtype)), tree, second)


@named
def scale_by_prodigy(
  learning_rate: Hyperparameter = 1.0,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  beta3: Hyperparameter | None = None,
  eps: Hyperparameter = 1e-8,
  estim_lr0: Hyperparameter = 1e-6,
  estim_lr_coef: Hyperparameter = 1.0,
  weight_decay: Hyperparameter = 0.0,
):
  """Goes along Adam's direction by an estimate of the distance to the solution: Prodigy.

      γ = d · a · √(1 − b2ᵗ) / (1 − b1ᵗ)
      r ← b3 · r + d / d₀ · γ · g·(p₀ − p);   s ← b3 · s + d / d₀ · γ · g;   d′ = max(d, c · r / ‖s‖₁)
      m ← b1 · m + (1 − b1) · d · g;   v ← b2 · v + (1 − b2) · d² · g²
      u = −γ · (m / (√v + d′ · eps) + w · p);   d ← d′

  It comes last: the learning rate and the sign of descent are in it. Products and norms are those
  of all leaves together. Without gradients, d stays.

  Args:
    learning_rate: a; schedules take 1 for their base.
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    beta3: b3, decay of the sums, in [0, 1); √b2 if not given.
    eps: outside the root, in units of d; greater than 0.
    estim_lr0: d₀, the first estimate, below the distance; greater than 0.
    estim_lr_coef: c, the factor of the estimates; greater than 0.
    weight_decay: w; at least 0.

  State: ``start`` p₀, ``momentum`` m, ``second`` v and ``total`` s, like the parameters; scalars
  ``estimate`` d and ``numerator`` r.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Mishchenko & Defazio 2024, Algorithm 4, https://arxiv.org/abs/2306.06101;
  ``optax.contrib.prodigy``, whose ``safeguard_warmup`` leaves a and the corrections out of s. The
  authors' code corrects the biases only if told to.
  """
  b3 = after(lambda b: b**0.5, b2) if beta3 is None else beta3
  check_fraction("scale_by_prodigy", b1=b1, b2=b2, beta3=b3)
  check_positive("scale_by_prodigy", eps=eps, estim_lr0=estim_lr0, estim_lr_coef=estim_lr_coef)
  check_not_negative("scale_by_prodigy", learning_rate=learning_rate, weight_decay=weight_decay)

  def rule(g, start, m, v, s, *, param, correction, a, b1, b2, b3, eps, d0, c, w, estimate, numerator):
    d = jnp.maximum(estimate, d0)
    rate = d * a * correction
    weight = d / d0 * rate
    r = b3 * numerator + weight * vdot(g, minus(start, param))
    s = plus(scaled(b3, s), scaled(weight, g))
    new_d = jnp.maximum(d, c * quotient(r, absolute_sum(s)))
    m = averaged(b1, m, scaled(d, g))
    v = averaged(b2, v, scaled(d * d, squares(g)))
    u = scaled(-rate, plus(_over_root(m, v, new_d * eps), scaled(w, param)))
    return u, start, m, v, s, new_d, r

  slots = {"start": START, "momentum": Slot(), "second": SQUARES, "total": Slot()}
  once = {"correction": _correction}
  numbers = {"a": learning_rate, "b1": b1, "b2": b2, "b3": b3, "eps": eps, "d0": estim_lr0, "c": estim_lr_coef}
  return whole_tree("scale_by_prodigy", rule, slots, once=once, scalars=SCALARS, w=weight_decay, **numbers)


@named
def scale_by_dadapt(
  learning_rate: Hyperparameter = 1.0,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  estim_lr0: Hyperparameter = 1e-6,
  weight_decay: Hyperparameter = 0.0,
):
  """Goes along Adam's direction by an estimate of the distance to the solution: D-Adaptation.

      γ = d · a · √(1 − b2ᵗ) / (1 − b1ᵗ);   b3 = √b2
      r ← b3 · r + (1 − b3) · γ · g·(s / (√v + eps));   s ← b3 · s + (1 − b3) · γ · g
      m ← b1 · m + (1 − b1) · γ · g;   v ← b2 · v + (1 − b2) · g²
      u = −m / (√v + eps) − w · γ · p;   d ← max(d, r / ((1 − b3) · ‖s‖₁))

  It comes last: the learning rate and the sign of descent are in it. Products and norms are those
  of all leaves together; that of r has s and v of before the step. Without gradients, d stays.

  Args:
    learning_rate: a; schedules take 1 for their base.
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: outside the root; greater than 0.
    estim_lr0: d₀, the first estimate d, below the distance; greater than 0.
    weight_decay: w; at least 0.

  State: ``momentum`` m, ``second`` v and ``total`` s, like the parameters; scalars ``estimate`` d
  and ``numerator`` r.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Defazio & Mishchenko 2023, Algorithm 5, https://arxiv.org/abs/2301.07733, which does not
  correct the biases; ``optax.contrib.dadapt_adamw``.
  """
  check_fraction("scale_by_dadapt", b1=b1, b2=b2)
  check_positive("scale_by_dadapt", eps=eps, estim_lr0=estim_lr0)
  check_not_negative("scale_by_dadapt", learning_rate=learning_rate, weight_decay=weight_decay)

  def rule(g, m, v, s, *, param, correction, a, b1, b2, b3, eps, d0, w, estimate, numerator):
    d = jnp.maximum(estimate, d0)
    rate = d * a * correction
    r = b3 * numerator + (1 - b3) * rate * vdot(g, _over_root(s, v, eps))
    step = scaled(rate, g)
    m, v, s = averaged(b1, m, step), averaged(b2, v, squares(g)), averaged(b3, s, step)
    u = scaled(-1.0, plus(_over_root(m, v, eps), scaled(w * rate, param)))
    return u, m, v, s, jnp.maximum(d, quotient(r, (1 - b3) * absolute_sum(s))), r

  slots = {"momentum": Slot(), "second": SQUARES, "total": Slot()}
  once = {"correction": _correction}
  numbers = {"a": learning_rate, "b1": b1, "b2": b2, "b3": after(lambda b: b**0.5, b2), "eps": eps, "d0": estim_lr0}
  return whole_tree("scale_by_dadapt", rule, slots, once=once, scalars=SCALARS, w=weight_decay, **numbers)
