"""Optax's optimizers with a second moment."""

import warnings

import optax

from gradxform.combinators import chain, identity
from gradxform.compat.optax._drop_in import drop_in
from gradxform.compat.optax._filters import (
  scale_by_optimistic_gradient,
  scale_by_rms,
  scale_by_rss,
  scale_by_stddev,
  trace,
)
from gradxform.compat.optax._moments import (
  scale_by_adadelta,
  scale_by_adam,
  scale_by_adamax,
  scale_by_adan,
  scale_by_amsgrad,
  scale_by_belief,
  scale_by_novograd,
  scale_by_radam,
  scale_by_yogi,
)
from gradxform.compat.optax._plain import add_decayed_weights, scale_by_learning_rate, scale_by_trust_ratio


def decoupled(core, weight_decay, mask, learning_rate):
  """A core, decay of the parameters, and the learning rate of both."""
  return chain(core, add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate))


@drop_in(optax.adagrad)
def adagrad(learning_rate, initial_accumulator_value, eps):
  """Optax's Adagrad. State: ``ScaleByRssState``."""
  return chain(scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate))


@drop_in(optax.adadelta)
def adadelta(learning_rate, rho, eps, weight_decay, weight_decay_mask):
  """Optax's Adadelta, which *ascends* with its default learning rate of ``None``; `gradxform.adadelta` descends."""
  core = chain(add_decayed_weights(weight_decay, weight_decay_mask), scale_by_adadelta(rho, eps))
  return chain(core, scale_by_learning_rate(learning_rate))


@drop_in(optax.rmsprop)
def rmsprop(
  learning_rate, decay, eps, initial_scale, eps_in_sqrt, centered, momentum, nesterov, bias_correction
):  # fmt: skip
  """Optax's RMSprop. State: ``ScaleByRmsState`` or ``ScaleByRStdDevState``, and ``TraceState`` with a momentum."""
  core = (scale_by_stddev if centered else scale_by_rms)(decay, eps, initial_scale, eps_in_sqrt, bias_correction)
  heavy = identity() if momentum is None else trace(momentum, nesterov)
  return chain(core, scale_by_learning_rate(learning_rate), heavy)


@drop_in(optax.adam)
def adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, *, nesterov):
  """Optax's Adam. State: ``ScaleByAdamState``, with ``mu`` and ``nu``."""
  core = scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)
  return chain(core, scale_by_learning_rate(learning_rate))


@drop_in(optax.nadam)
def nadam(learning_rate, b1, b2, eps, eps_root, mu_dtype, *, nesterov):
  """Optax's Nadam. State: that of `adam`."""
  return adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)


@drop_in(optax.adamw)
def adamw(learning_rate, b1, b2, eps, eps_root, mu_dtype, weight_decay, mask, *, nesterov):
  """Optax's AdamW. State: that of `adam`."""
  core = scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)
  return decoupled(core, weight_decay, mask, learning_rate)


@drop_in(optax.nadamw)
def nadamw(learning_rate, b1, b2, eps, eps_root, mu_dtype, weight_decay, mask, *, nesterov):
  """Optax's NadamW. State: that of `adam`."""
  return adamw(learning_rate, b1, b2, eps, eps_root, mu_dtype, weight_decay, mask, nesterov=nesterov)


@drop_in(optax.adamax)
def adamax(learning_rate, b1, b2, eps):
  """Optax's Adamax. State: that of `adam`."""
  return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


@drop_in(optax.adamaxw)
def adamaxw(learning_rate, b1, b2, eps, weight_decay, mask):
  """Optax's AdamaxW. State: that of `adam`."""
  return decoupled(scale_by_adamax(b1, b2, eps), weight_decay, mask, learning_rate)


@drop_in(optax.adan)
def adan(learning_rate, b1, b2, b3, eps, eps_root, weight_decay, mask):
  """Optax's Adan, which mixes with 1 − b2: see `scale_by_adan`; `gradxform.adan` has the authors' b2."""
  return decoupled(scale_by_adan(b1, b2, b3, eps, eps_root), weight_decay, mask, learning_rate)


@drop_in(optax.amsgrad)
def amsgrad(learning_rate, b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu):
  """Optax's AMSGrad. State: ``ScaleByAmsgradState``."""
  core = scale_by_amsgrad(b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu)
  return chain(core, scale_by_learning_rate(learning_rate))


@drop_in(optax.adabelief)
def adabelief(learning_rate, b1, b2, eps, eps_root, *, nesterov):
  """Optax's AdaBelief. State: ``ScaleByBeliefState``."""
  return chain(scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov), scale_by_learning_rate(learning_rate))


@drop_in(optax.yogi)
def yogi(learning_rate, b1, b2, eps):
  """Optax's Yogi. State: that of `adam`."""
  return chain(scale_by_yogi(b1, b2, eps), scale_by_learning_rate(learning_rate))


@drop_in(optax.radam)
def radam(learning_rate, b1, b2, eps, eps_root, threshold, *, nesterov):
  """Optax's rectified Adam. State: that of `adam`."""
  core = scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov)
  return chain(core, scale_by_learning_rate(learning_rate))


@drop_in(optax.novograd)
def novograd(learning_rate, b1, b2, eps, eps_root, weight_decay):
  """Optax's NovoGrad. State: ``ScaleByNovogradState``."""
  return chain(scale_by_novograd(b1, b2, eps, eps_root, weight_decay), scale_by_learning_rate(learning_rate))


@drop_in(optax.lamb)
def lamb(learning_rate, b1, b2, eps, eps_root, weight_decay, mask):
  """Optax's LAMB. State: that of `adam`."""
  direction = chain(scale_by_adam(b1, b2, eps, eps_root), add_decayed_weights(weight_decay, mask))
  return chain(direction, scale_by_trust_ratio(), scale_by_learning_rate(learning_rate))


@drop_in(optax.optimistic_adam_v2)
def optimistic_adam_v2(learning_rate, *, alpha, beta, b1, b2, eps, eps_root, mu_dtype, nesterov):
  """Optax's optimistic Adam. State: that of `adam`, and ``ScaleByOptimisticGradientState``."""
  core = scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)
  return chain(core, scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate))


@drop_in(optax.optimistic_adam)
def optimistic_adam(learning_rate, optimism, b1, b2, eps, eps_root, mu_dtype, *, nesterov):
  """Optax's optimistic Adam of before, which it deprecates in favour of `optimistic_adam_v2`."""
  warnings.warn("`optimistic_adam` is deprecated, use `optimistic_adam_v2` instead.", DeprecationWarning, stacklevel=5)
  if callable(learning_rate):
    raise ValueError("`optimistic_adam(learning_rate=...)` must be a number: `optimistic_adam_v2` takes schedules.")
  core = scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)
  optimism = learning_rate if optimism is None else optimism
  return chain(core, scale_by_optimistic_gradient(learning_rate, optimism), scale_by_learning_rate(1.0))
