"""Optax's optimizers without a second moment."""

import optax

from gradxform import optimizers
from gradxform.combinators import chain
from gradxform.compat.optax._drop_in import drop_in, where
from gradxform.compat.optax._filters import (
  ema,
  scale_by_lion,
  scale_by_optimistic_gradient,
  scale_by_rprop,
  trace,
)
from gradxform.compat.optax._plain import (
  add_decayed_weights,
  scale,
  scale_by_learning_rate,
  scale_by_sign,
  scale_by_trust_ratio,
)


@drop_in(optax.sgd)
def sgd(learning_rate, momentum, nesterov, accumulator_dtype):
  """Optax's SGD. State: ``TraceState`` with a momentum, else none."""
  rate = scale_by_learning_rate(learning_rate)
  return rate if momentum is None else chain(trace(momentum, nesterov, accumulator_dtype), rate)


@drop_in(optax.sign_sgd)
def sign_sgd(learning_rate):
  """Optax's sign SGD."""
  return chain(scale_by_sign(), scale_by_learning_rate(learning_rate))


@drop_in(optax.signum)
def signum(learning_rate, beta, accumulator_dtype):
  """Optax's Signum. State: ``EmaState``."""
  average = ema(beta, debias=False, accumulator_dtype=accumulator_dtype)
  return chain(average, scale_by_sign(), scale_by_learning_rate(learning_rate))


@drop_in(optax.lion)
def lion(learning_rate, b1, b2, mu_dtype, weight_decay, mask):
  """Optax's Lion. State: ``ScaleByLionState``."""
  decay = add_decayed_weights(weight_decay, mask)
  return chain(scale_by_lion(b1, b2, mu_dtype), decay, scale_by_learning_rate(learning_rate))


@drop_in(optax.optimistic_gradient_descent)
def optimistic_gradient_descent(learning_rate, alpha, beta):
  """Optax's optimistic gradient descent. State: ``ScaleByOptimisticGradientState``."""
  return chain(scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate))


@drop_in(optax.rprop)
def rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size):
  """Optax's Rprop, one step late: see `scale_by_rprop`; `gradxform.rprop` is on time."""
  core = scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size)
  return chain(core, scale(-1.0))


@drop_in(optax.fromage)
def fromage(learning_rate, min_norm):
  """Optax's Fromage."""
  return optimizers.fromage(learning_rate, min_norm=min_norm)


@drop_in(optax.lars)
def lars(
  learning_rate, weight_decay, weight_decay_mask, trust_coefficient, eps, trust_ratio_mask, momentum, nesterov
):  # fmt: skip
  """Optax's LARS. State: ``TraceState``."""
  local = where(scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask)
  step = chain(add_decayed_weights(weight_decay, weight_decay_mask), local, scale_by_learning_rate(learning_rate))
  return chain(step, trace(momentum, nesterov))
