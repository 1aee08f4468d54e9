"""Polyak's step size for averages of gradients: MoMo."""

import jax
import jax.numpy as jnp

from gradxform._checks import check_fraction, check_not_negative, check_number, check_positive
from gradxform.core import Hyperparameter, named
from gradxform.rules import Slot, whole_tree
from gradxform.transforms._correction import gathered_weight
from gradxform.transforms._polyak import polyak_step
from gradxform.tree import averaged, plus, scaled, sqrt, squares, vdot

MEANS = {"mean_value": 0.0, "mean_product": 0.0}


def _averages(decay, g, m, param, value, mean_value, mean_product):
  """The averages of gradients g, of values f, and of products g·p."""
  new_value = jnp.asarray(value, mean_value.dtype)
  return averaged(decay, m, g), averaged(decay, mean_value, new_value), averaged(decay, mean_product, vdot(g, param))


def _descent(m, direction, param, gap, longest, decay):
  """The step of descent, given the gap between the averages of values and products, and the bound."""
  step = polyak_step(jnp.maximum((1 + decay) * gap + vdot(m, param), 0), vdot(m, direction), longest)
  return plus(scaled(-step, direction), scaled(-decay / (1 + decay), param))


@named
def scale_by_momo(
  learning_rate: Hyperparameter = 1.0,
  beta: Hyperparameter = 0.9,
  lower_bound: Hyperparameter = 0.0,
  weight_decay: Hyperparameter = 0.0,
):
  """Goes along the average gradient as far as the average of linear models promises: MoMo.

      m, f̄, γ ← averages of g, f and g·p, which begin with the first of each
      τ = min(a, max((1 + a w) (f̄ − f* − γ) + m·p, 0) / ‖m‖²);   0 where ‖m‖² ≤ 2⁻⁵²
      u = −τ · m − a w / (1 + a w) · p

  It comes last: the learning rate and the sign of descent are in it. Products and norms are those
  of all leaves together.

  Args:
    learning_rate: a, the longest step; at least 0.
    beta: decay of the averages, in [0, 1).
    lower_bound: f*, a lower bound of the objective; any finite number.
    weight_decay: w; at least 0.

  State: ``moment`` m, like the parameters; scalars ``mean_value`` f̄ and ``mean_product`` γ.

  Raises:
    ValueError: if `update` is not given ``value``, which is f, and the parameters.

  Source: Schaipp et al. 2024, Algorithm 1, https://arxiv.org/abs/2305.07583; ``optax.contrib.momo``,
  whose ``adapt_lower_bound`` estimates f* on the way.
  """
  check_not_negative("scale_by_momo", learning_rate=learning_rate, weight_decay=weight_decay)
  check_fraction("scale_by_momo", beta=beta)
  check_number("scale_by_momo", lower_bound=lower_bound)

  def rule(g, m, *, param, value, t, a, b, f_min, w, mean_value, mean_product):
    decay = jnp.where(t == 1, 0, jnp.asarray(b, mean_value.dtype))
    m, mean_value, mean_product = _averages(decay, g, m, param, value, mean_value, mean_product)
    u = _descent(m, m, param, mean_value - f_min - mean_product, a, a * w)
    return u, m, mean_value, mean_product

  return whole_tree(
    "scale_by_momo", rule, ("moment",), scalars=MEANS, a=learning_rate, b=beta, f_min=lower_bound, w=weight_decay
  )


@named
def scale_by_momo_adam(
  learning_rate: Hyperparameter = 1e-2,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  lower_bound: Hyperparameter = 0.0,
  weight_decay: Hyperparameter = 0.0,
):
  """Goes along Adam's direction as far as the average of linear models promises: MoMo-Adam.

      m, f̄, γ ← averages of g, f and g·p;   v ← b2 · v + (1 − b2) · g²;   ρ = 1 − b1ᵗ
      d = m / (√(v / (1 − b2ᵗ)) + eps)
      τ = min(a / ρ, max((1 + a w) (f̄ − ρ f* − γ) + m·p, 0) / m·d);   0 where m·d ≤ 2⁻⁵²
      u = −τ · d − a w / (1 + a w) · p

  It comes last: the learning rate and the sign of descent are in it. Products are those of all
  leaves together.

  Args:
    learning_rate: a, the longest step; at least 0.
    b1: decay of the averages, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: outside the root; greater than 0.
    lower_bound: f*, a lower bound of the objective; any finite number.
    weight_decay: w; at least 0.

  State: ``moment`` m and ``second`` v, like the parameters; scalars ``mean_value`` f̄ and
  ``mean_product`` γ.

  Raises:
    ValueError: if `update` is not given ``value``, which is f, and the parameters.

  Source: Schaipp et al. 2024, Algorithm 2, https://arxiv.org/abs/2305.07583;
  ``optax.contrib.momo_adam``, whose ``adapt_lower_bound`` estimates f* on the way.
  """
  check_not_negative("scale_by_momo_adam", learning_rate=learning_rate, weight_decay=weight_decay)
  check_fraction("scale_by_momo_adam", b1=b1, b2=b2)
  check_positive("scale_by_momo_adam", eps=eps)
  check_number("scale_by_momo_adam", lower_bound=lower_bound)

  def weights(*, t, b1, b2):
    t = t.astype(jnp.result_type(float))
    return gathered_weight(b1, t), gathered_weight(b2, t)

  def rule(g, m, v, *, param, value, weights, a, b1, b2, eps, f_min, w, mean_value, mean_product):
    m, mean_value, mean_product = _averages(b1, g, m, param, value, mean_value, mean_product)
    v = averaged(b2, v, squares(g))
    weight, second_weight = weights
    divisors = jax.tree.map(lambda x: sqrt(x) + jnp.asarray(eps, x.dtype), scaled(1 / second_weight, v))
    direction = jax.tree.map(jnp.divide, m, divisors)
    u = _descent(m, direction, param, mean_value - weight * f_min - mean_product, a / weight, a * w)
    return u, m, v, mean_value, mean_product

  slots = {"moment": Slot(), "second": Slot(real=True)}
  numbers = {"a": learning_rate, "b1": b1, "b2": b2, "eps": eps, "f_min": lower_bound, "w": weight_decay}
  return whole_tree("scale_by_momo_adam", rule, slots, once={"weights": weights}, scalars=MEANS, **numbers)
