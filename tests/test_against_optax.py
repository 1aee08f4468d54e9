"""Every name that Optax has, with every option that both have: 100 steps in float64, to 1e-12."""

import inspect
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import gradxform as gx
from gradxform import optimizers, transforms

STEPS = 100
# Optax's own schedules compute in float32 even where float64 is enabled.
warmup = lambda count: 0.1 * jnp.minimum(jnp.asarray(count, float) / 40, 1.0)
swings = lambda count: 0.9 - 0.2 * jnp.cos(0.1 * jnp.asarray(count, float))  # a decay that goes up and down


def rmsprop_with_momentum(core, momentum):
  return gx.chain(core, gx.scale_by_learning_rate(0.01), momentum)


def adan_as_optax_mixes(rate, b2, eps_root=1e-8):
  """Adan with 1 − b2 where the paper and its authors have b2."""
  d, weigh = gx.shared("d"), gx.scale(1 - b2)
  change = gx.chain(d, gx.moving_average(b2), gx.bias_correction(b2), weigh)
  first = gx.add(gx.chain(gx.scale_by_momentum(0.98), gx.bias_correction(0.98)), change)
  ahead = gx.chain(gx.add(gx.identity(), gx.chain(d, weigh)), gx.square())
  second = gx.chain(ahead, gx.moving_average(0.99), gx.bias_correction(0.99), gx.root(1e-8, eps_root))
  return gx.chain(gx.share(gx.divide(first, by=second), d=gx.difference()), gx.sgd(rate))


def for_madgrad(rate, eps=1e-6):
  """The rate with which Optax's MADGRAD, whose √t is in float32, has the weights (a + eps) · √t in float64."""

  def corrected(count):
    a = rate(count) if callable(rate) else rate
    return (a + eps) * jnp.sqrt(jnp.asarray(count + 1, float)) / jnp.asarray(jnp.sqrt(count + 1), float) - eps

  return corrected


def deprecated(make, *args, **kwargs):
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    return make(*args, **kwargs)


def rising_decay(count, power):
  """Adafactor's decay in float64: Optax has it in float32 even there, which moves its numbers by 1e-8."""
  return 1 - jnp.asarray(count + 1, float) ** -power


def optax_adafactor(rate, least, power=0.8, threshold=1.0, weight_decay=0.0, eps=1e-30):
  """What `optax.adafactor` chains, whose own decay cannot be given."""
  return optax.chain(
    optax.scale_by_factored_rms(True, power, 0, least, eps, decay_rate_fn=rising_decay),
    optax.clip_by_block_rms(threshold),
    optax.scale_by_learning_rate(rate, flip_sign=False),
    optax.scale_by_param_block_rms(),
    optax.add_decayed_weights(weight_decay),
    optax.scale(-1),
  )


def all_are_matrices(updates):
  return jax.tree.map(lambda _: contrib.MuonDimensionNumbers(), updates)


NESTEROV = gx.add(gx.identity(), gx.chain(gx.trace(0.8), gx.scale(0.8)))

ROWS = {
  # transforms
  "identity": (gx.identity(), optax.identity()),
  "chain": (gx.chain(gx.trace(0.9), gx.scale(0.1)), optax.chain(optax.trace(0.9), optax.scale(0.1))),
  "scale": (gx.scale(-0.3), optax.scale(-0.3)),
  "scale by a schedule": (gx.scale(warmup), optax.scale_by_schedule(warmup)),
  "scale_by_learning_rate": (gx.scale_by_learning_rate(0.1), optax.scale_by_learning_rate(0.1)),
  "scale_by_learning_rate scheduled": (gx.scale_by_learning_rate(warmup), optax.scale_by_learning_rate(warmup)),
  "moving_average": (gx.moving_average(0.9), optax.ema(0.9, debias=False)),
  "scale_by_momentum": (gx.scale_by_momentum(0.9), optax.ema(0.9, debias=False)),
  "bias_correction": (gx.chain(gx.moving_average(0.99), gx.bias_correction(0.99)), optax.ema(0.99)),
  "trace": (gx.trace(0.9), optax.trace(0.9)),
  "trace nesterov": (NESTEROV, optax.trace(0.8, nesterov=True)),
  "sign": (gx.sign(), optax.scale_by_sign()),
  "clip": (gx.clip(0.5), optax.clip(0.5)),
  "clip_by_block_rms": (gx.clip_by_block_rms(0.5), optax.clip_by_block_rms(0.5)),
  "clip_by_global_norm": (gx.clip_by_global_norm(0.5), optax.clip_by_global_norm(0.5)),
  "clip_by_global_norm loose": (gx.clip_by_global_norm(1e3), optax.clip_by_global_norm(1e3)),
  "add_decayed_weights": (gx.add_decayed_weights(0.1), optax.add_decayed_weights(0.1)),
  "add_decayed_weights scheduled": (gx.add_decayed_weights(warmup), optax.add_decayed_weights(warmup)),
  "scale_by_rss": (gx.scale_by_rss(0.2, 1e-5), optax.scale_by_rss(0.2, 1e-5)),
  "scale_by_rss from zero": (gx.scale_by_rss(0.0, 0.0), optax.scale_by_rss(0.0, 0.0)),
  "scale_by_rms": (gx.scale_by_rms(0.95, 1e-4, 0.5), optax.scale_by_rms(0.95, 1e-4, 0.5)),
  "scale_by_stddev": (gx.scale_by_stddev(0.95, 1e-4, 0.5), optax.scale_by_stddev(0.95, 1e-4, 0.5)),
  "scale_by_adadelta": (gx.scale_by_adadelta(0.8, 1e-5), optax.scale_by_adadelta(0.8, 1e-5)),
  "scale_by_adam": (gx.scale_by_adam(0.8, 0.95, 1e-4, 1e-6), optax.scale_by_adam(0.8, 0.95, 1e-4, 1e-6)),
  "scale_by_nadam": (
    gx.scale_by_nadam(0.8, 0.95, 1e-4, 1e-6),
    optax.scale_by_adam(0.8, 0.95, 1e-4, 1e-6, nesterov=True),
  ),
  "scale_by_amsgrad": (gx.scale_by_amsgrad(0.8, 0.9, 1e-4, 1e-6), optax.scale_by_amsgrad(0.8, 0.9, 1e-4, 1e-6)),
  "scale_by_lion": (gx.scale_by_lion(0.8, 0.95), optax.scale_by_lion(0.8, 0.95)),
  "scale_by_adamax": (gx.scale_by_adamax(0.8, 0.95, 1e-4), optax.scale_by_adamax(0.8, 0.95, 1e-4)),
  "scale_by_trust_ratio": (gx.scale_by_trust_ratio(), optax.scale_by_trust_ratio()),
  "scale_by_trust_ratio options": (
    gx.scale_by_trust_ratio(0.2, 0.5, 1e-2),
    optax.scale_by_trust_ratio(0.2, 0.5, 1e-2),
  ),
  "scale_by_param_block_norm": (gx.scale_by_param_block_norm(), optax.scale_by_param_block_norm()),
  "scale_by_param_block_norm floor": (gx.scale_by_param_block_norm(2.0), optax.scale_by_param_block_norm(2.0)),
  "scale_by_param_block_rms floor": (gx.scale_by_param_block_rms(0.7), optax.scale_by_param_block_rms(0.7)),
  "normalize_by_update_norm": (gx.normalize_by_update_norm(), optax.normalize_by_update_norm()),
  "normalize_by_update_norm options": (
    gx.normalize_by_update_norm(0.3, 1e-2),
    optax.normalize_by_update_norm(0.3, 1e-2),
  ),
  "centralize": (gx.centralize(), optax.centralize()),
  "adaptive_grad_clip": (gx.adaptive_grad_clip(0.1), optax.adaptive_grad_clip(0.1)),
  "adaptive_grad_clip options": (gx.adaptive_grad_clip(1.5, 0.5), optax.adaptive_grad_clip(1.5, 0.5)),
  "zero_nans": (gx.zero_nans(), optax.zero_nans()),
  "keep_params_nonnegative": (gx.keep_params_nonnegative(), optax.keep_params_nonnegative()),
  "scale_by_belief": (gx.scale_by_belief(0.8, 0.95, 1e-4, 1e-6), optax.scale_by_belief(0.8, 0.95, 1e-4, 1e-6)),
  "scale_by_yogi": (gx.scale_by_yogi(0.8, 0.95, 1e-4, 1e-6, 1e-2), optax.scale_by_yogi(0.8, 0.95, 1e-4, 1e-6, 1e-2)),
  "scale_by_radam": (gx.scale_by_radam(0.8, 0.95, 1e-4, 1e-6, 6.0), optax.scale_by_radam(0.8, 0.95, 1e-4, 1e-6, 6.0)),
  "scale_by_novograd": (
    gx.scale_by_novograd(0.8, 0.95, 1e-4, 1e-6, 0.1),
    optax.scale_by_novograd(0.8, 0.95, 1e-4, 1e-6, 0.1),
  ),
  "scale_by_optimistic_gradient": (
    gx.scale_by_optimistic_gradient(0.8, 0.3),
    optax.scale_by_optimistic_gradient(0.8, 0.3),
  ),
  "scale_by_ademamix": (
    gx.scale_by_ademamix(0.8, 0.95, 0.99, 2.0, 1e-4, 1e-6),
    contrib.scale_by_ademamix(0.8, 0.95, 0.99, 2.0, 1e-4, 1e-6),
  ),
  "scale_by_simplified_ademamix": (
    gx.scale_by_simplified_ademamix(0.8, 0.95, 2.0, 1e-4, 1e-6),
    contrib.scale_by_simplified_ademamix(0.8, 0.95, 2.0, 1e-4, 1e-6),
  ),
  "scale_by_adopt": (gx.scale_by_adopt(0.8, 0.95, 1e-2), contrib.scale_by_adopt(0.8, 0.95, 1e-2)),
  "scale_by_acprop": (gx.scale_by_acprop(0.8, 0.95, 1e-4, 1e-6), contrib.scale_by_acprop(0.8, 0.95, 1e-4, 1e-6)),
  "scale_by_distance_over_gradients": (
    gx.scale_by_distance_over_gradients(),
    optax.scale_by_distance_over_gradients(param_dtype=float),
  ),
  "scale_by_distance_over_gradients options": (
    gx.chain(gx.scale_by_distance_over_gradients(1e-2, 1e-3), gx.scale(-1.0)),
    optax.scale_by_distance_over_gradients(1e-2, 1e-3, float, global_scale=-1.0),
  ),
  "scale_by_madgrad": (gx.scale_by_madgrad(0.1), contrib.scale_by_madgrad(for_madgrad(0.1))),
  "reduce_on_plateau": (gx.reduce_on_plateau(patience=3), contrib.reduce_on_plateau(patience=3)),
  "reduce_on_plateau options": (
    gx.reduce_on_plateau(0.5, 2, 0.1, 0.05, cooldown=3, accumulation_size=2, min_scale=0.2),
    contrib.reduce_on_plateau(0.5, 2, 0.1, 0.05, cooldown=3, accumulation_size=2, min_scale=0.2),
  ),
  "scale_by_polyak": (gx.scale_by_polyak(), optax.scale_by_polyak()),
  "scale_by_polyak options": (
    gx.scale_by_polyak(2.0, 0.5, 1e-2, "sps+"),
    optax.scale_by_polyak(2.0, 0.5, 1e-2, "sps+"),
  ),
  "scale_by_cocob": (gx.scale_by_cocob(), contrib.scale_by_cocob()),
  # wrappers
  "mechanize": (gx.mechanize(gx.adam(1.0)), contrib.mechanize(optax.adam(1.0))),
  "mechanize options": (
    gx.mechanize(gx.momentum(swings), weight_decay=0.1, eps=1e-3, s_init=0.1, num_betas=3),
    contrib.mechanize(optax.sgd(swings, 0.9), weight_decay=0.1, eps=1e-3, s_init=0.1, num_betas=3),
  ),
  "mechanize one of Optax's": (gx.mechanize(optax.lion(1.0)), contrib.mechanize(optax.lion(1.0))),
  "scale_by_factored_rms": (
    gx.scale_by_factored_rms(),
    optax.scale_by_factored_rms(decay_rate_fn=rising_decay),
  ),
  "scale_by_factored_rms options": (
    gx.scale_by_factored_rms(0.6, 2, 1e-3),
    optax.scale_by_factored_rms(True, 0.6, 0, 2, 1e-3, decay_rate_fn=rising_decay),
  ),
  "scale_by_muon": (gx.scale_by_muon(), contrib.scale_by_muon(weight_dimension_numbers=all_are_matrices)),
  "scale_by_muon options": (
    gx.scale_by_muon((1.9, -1.3, 0.4), 3, 0.8, 1e-3),
    contrib.scale_by_muon((1.9, -1.3, 0.4), 3, 0.8, 1e-3, weight_dimension_numbers=all_are_matrices),
  ),
  "scale_by_sm3": (gx.scale_by_sm3(), optax.scale_by_sm3()),
  "scale_by_sm3 options": (gx.scale_by_sm3(0.8, 0.95, 1e-3), optax.scale_by_sm3(0.8, 0.95, 1e-3)),
  "ema": (gx.ema(0.9), optax.ema(0.9)),
  "set_to_zero": (gx.set_to_zero(), optax.set_to_zero()),
  "apply_every": (gx.apply_every(), optax.apply_every()),
  "apply_every options": (gx.apply_every(3), optax.apply_every(3)),
  # optimizers
  "sgd": (gx.sgd(0.01), optax.sgd(0.01)),
  "sgd scheduled": (gx.sgd(warmup), optax.sgd(warmup)),
  "momentum": (gx.momentum(0.01, momentum=0.8), optax.sgd(0.01, momentum=0.8)),
  "nesterov": (gx.nesterov(0.01, momentum=0.8), optax.sgd(0.01, momentum=0.8, nesterov=True)),
  "sign_sgd": (gx.sign_sgd(0.01), optax.sign_sgd(0.01)),
  "signum": (gx.signum(0.01), optax.signum(0.01)),
  "signum options": (gx.signum(warmup, beta=0.7), optax.signum(warmup, beta=0.7)),
  "lion": (gx.lion(0.01), optax.lion(0.01)),
  "lion options": (
    gx.lion(0.01, b1=0.8, b2=0.95, weight_decay=0.1),
    optax.lion(0.01, b1=0.8, b2=0.95, weight_decay=0.1),
  ),
  "adagrad": (gx.adagrad(0.1), optax.adagrad(0.1)),
  "adagrad options": (
    gx.adagrad(0.1, initial_accumulator_value=0.0, eps=1e-3),
    optax.adagrad(0.1, initial_accumulator_value=0.0, eps=1e-3),
  ),
  "adadelta": (gx.adadelta(), optax.adadelta(1.0)),
  "adadelta options": (gx.adadelta(0.5, rho=0.7, eps=1e-3), optax.adadelta(0.5, rho=0.7, eps=1e-3)),
  "adadelta with weight decay": (
    gx.chain(gx.add_decayed_weights(0.1), gx.adadelta(0.5)),
    optax.adadelta(0.5, weight_decay=0.1),
  ),
  "rmsprop": (gx.rmsprop(0.01), optax.rmsprop(0.01)),
  "rmsprop options": (
    gx.rmsprop(0.01, decay=0.99, eps=1e-4, initial_scale=0.5),
    optax.rmsprop(0.01, decay=0.99, eps=1e-4, initial_scale=0.5),
  ),
  "rmsprop eps outside": (
    gx.chain(
      gx.divide(gx.identity(), by=gx.chain(gx.square(), gx.moving_average(0.9), gx.root(1e-4))),
      gx.scale_by_learning_rate(0.01),
    ),
    optax.rmsprop(0.01, eps=1e-4, eps_in_sqrt=False),
  ),
  "rmsprop with momentum": (
    rmsprop_with_momentum(gx.scale_by_rms(), gx.trace(0.8)),
    optax.rmsprop(0.01, momentum=0.8),
  ),
  "rmsprop with nesterov": (
    rmsprop_with_momentum(gx.scale_by_rms(), NESTEROV),
    optax.rmsprop(0.01, momentum=0.8, nesterov=True),
  ),
  "rmsprop corrected": (
    gx.chain(
      gx.divide(
        gx.identity(),
        by=gx.chain(gx.square(), gx.moving_average(0.9), gx.bias_correction(0.9), gx.root(eps_root=1e-8)),
      ),
      gx.scale_by_learning_rate(0.01),
    ),
    optax.rmsprop(0.01, bias_correction=True),
  ),
  "centered_rmsprop": (gx.centered_rmsprop(0.01), optax.rmsprop(0.01, centered=True)),
  "centered_rmsprop options": (
    gx.centered_rmsprop(0.01, decay=0.99, eps=1e-4, initial_scale=0.5),
    optax.rmsprop(0.01, decay=0.99, eps=1e-4, initial_scale=0.5, centered=True),
  ),
  "adam": (gx.adam(0.01), optax.adam(0.01)),
  "adam scheduled": (gx.adam(warmup), optax.adam(warmup)),
  "adam options": (gx.adam(0.01, b1=0.8, b2=0.95, eps=1e-3), optax.adam(0.01, b1=0.8, b2=0.95, eps=1e-3)),
  "adam eps_root": (
    gx.chain(gx.scale_by_adam(eps_root=1e-3), gx.scale_by_learning_rate(0.01)),
    optax.adam(0.01, eps_root=1e-3),
  ),
  "adamw": (gx.adamw(0.01), optax.adamw(0.01)),
  "adamw options": (
    gx.adamw(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
    optax.adamw(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
  ),
  "adamax": (gx.adamax(0.01), optax.adamax(0.01)),
  "adamax options": (gx.adamax(0.01, b1=0.8, b2=0.95, eps=1e-3), optax.adamax(0.01, b1=0.8, b2=0.95, eps=1e-3)),
  "adamax with weight decay": (
    gx.chain(gx.scale_by_adamax(), gx.add_decayed_weights(0.1), gx.scale_by_learning_rate(0.01)),
    optax.adamaxw(0.01, weight_decay=0.1),
  ),
  "adamaxw": (gx.adamaxw(0.01), optax.adamaxw(0.01)),
  "adabelief": (gx.adabelief(0.01), optax.adabelief(0.01)),
  "adabelief options": (
    gx.adabelief(0.01, b1=0.8, b2=0.95, eps=1e-3, eps_root=1e-4),
    optax.adabelief(0.01, b1=0.8, b2=0.95, eps=1e-3, eps_root=1e-4),
  ),
  "acprop": (gx.acprop(0.01), contrib.acprop(0.01)),
  "acprop options": (
    gx.acprop(warmup, b1=0.8, b2=0.95, eps=1e-3, eps_root=1e-4, weight_decay=0.1),
    contrib.acprop(warmup, b1=0.8, b2=0.95, eps=1e-3, eps_root=1e-4, weight_decay=0.1),
  ),
  "dog": (gx.dog(), contrib.dog()),
  "dog options": (
    gx.dog(warmup, init_step=1e-3, eps=1e-3, weight_decay=0.1),
    contrib.dog(warmup, ("heuristic", 1e-3), 1e-3, 0.1),
  ),
  "dowg": (gx.dowg(), contrib.dowg()),
  "dowg options": (
    gx.dowg(warmup, init_estim_sq_dist=0.1, eps=1e-3, weight_decay=0.1),
    contrib.dowg(warmup, 0.1, 1e-3, 0.1),
  ),
  "madgrad": (gx.madgrad(0.01), contrib.madgrad(for_madgrad(0.01))),
  "madgrad options": (
    gx.madgrad(warmup, momentum=0.7, weight_decay=0.1, eps=1e-3),
    contrib.madgrad(for_madgrad(warmup, 1e-3), momentum=0.7, weight_decay=0.1, eps=1e-3),
  ),
  "prodigy": (gx.prodigy(), contrib.prodigy()),
  "prodigy options": (
    gx.prodigy(swings, b1=0.8, b2=0.95, beta3=0.9, eps=1e-3, estim_lr0=1e-2, estim_lr_coef=0.7, weight_decay=0.1),
    contrib.prodigy(swings, (0.8, 0.95), 0.9, 1e-3, 1e-2, 0.7, 0.1),
  ),
  "dadapt_adamw": (gx.dadapt_adamw(), contrib.dadapt_adamw()),
  "dadapt_adamw options": (
    gx.dadapt_adamw(swings, b1=0.8, b2=0.95, eps=1e-3, estim_lr0=1e-2, weight_decay=0.1),
    contrib.dadapt_adamw(swings, (0.8, 0.95), 1e-3, 1e-2, 0.1),
  ),
  "cocob": (gx.cocob(), contrib.cocob()),
  "cocob options": (
    gx.cocob(swings, alpha=10.0, eps=1e-2, weight_decay=0.1),
    contrib.cocob(swings, alpha=10.0, eps=1e-2, weight_decay=0.1),
  ),
  "schedule_free_sgd": (gx.schedule_free_sgd(), contrib.schedule_free_sgd()),
  "schedule_free_sgd options": (
    gx.schedule_free_sgd(0.3, b1=0.8, weight_decay=0.1, weight_lr_power=1.0),
    contrib.schedule_free_sgd(0.3, b1=0.8, weight_decay=0.1, weight_lr_power=1.0),
  ),
  "schedule_free_adamw": (gx.schedule_free_adamw(), contrib.schedule_free_adamw()),
  "schedule_free_adamw options": (
    gx.schedule_free_adamw(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1, weight_lr_power=1.0),
    contrib.schedule_free_adamw(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1, weight_lr_power=1.0),
  ),
  "momo": (gx.momo(), contrib.momo()),
  "momo options": (
    gx.momo(swings, beta=0.7, lower_bound=-0.1, weight_decay=0.1),
    contrib.momo(swings, beta=0.7, lower_bound=-0.1, weight_decay=0.1),
  ),
  "momo_adam": (gx.momo_adam(), contrib.momo_adam()),
  "momo_adam options": (
    gx.momo_adam(warmup, b1=0.8, b2=0.95, eps=1e-3, lower_bound=-0.1, weight_decay=0.1),
    contrib.momo_adam(warmup, b1=0.8, b2=0.95, eps=1e-3, lower_bound=-0.1, weight_decay=0.1),
  ),
  "polyak_sgd": (gx.polyak_sgd(), optax.polyak_sgd()),
  "polyak_sgd options": (
    gx.polyak_sgd(max_learning_rate=0.4, scaling=warmup, f_min=0.2, eps=1e-2, variant="sps+"),
    optax.polyak_sgd(max_learning_rate=0.4, scaling=warmup, f_min=0.2, eps=1e-2, variant="sps+"),
  ),
  "yogi": (gx.yogi(0.01), optax.yogi(0.01)),
  "yogi options": (gx.yogi(0.01, b1=0.8, b2=0.95, eps=1e-2), optax.yogi(0.01, b1=0.8, b2=0.95, eps=1e-2)),
  "radam": (gx.radam(0.01), optax.radam(0.01)),
  "radam options": (
    gx.radam(0.01, b1=0.8, b2=0.95, eps=1e-3, threshold=4.5),
    optax.radam(0.01, b1=0.8, b2=0.95, eps=1e-3, threshold=4.5),
  ),
  "novograd": (gx.novograd(0.01), optax.novograd(0.01)),
  "novograd options": (
    gx.novograd(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
    optax.novograd(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
  ),
  "adopt": (gx.adopt(0.01), contrib.adopt(0.01)),
  "adopt options": (gx.adopt(0.01, b1=0.8, b2=0.95, eps=1e-2), contrib.adopt(0.01, b1=0.8, b2=0.95, eps=1e-2)),
  "ademamix": (gx.ademamix(0.01), contrib.ademamix(0.01)),
  "ademamix options": (
    gx.ademamix(0.01, b1=0.8, b2=0.95, b3=swings, alpha=warmup, eps=1e-3, weight_decay=0.1),
    contrib.ademamix(0.01, b1=0.8, b2=0.95, b3=swings, alpha=warmup, eps=1e-3, weight_decay=0.1),
  ),
  "simplified_ademamix": (gx.simplified_ademamix(0.01), contrib.simplified_ademamix(0.01)),
  "simplified_ademamix options": (
    gx.simplified_ademamix(0.01, b1=0.8, b2=0.9, alpha=warmup, eps=1e-3, weight_decay=0.1),
    contrib.simplified_ademamix(0.01, b1=0.8, b2=0.9, alpha=warmup, eps=1e-3, weight_decay=0.1),
  ),
  "adan, but for its mixture": (adan_as_optax_mixes(0.01, 0.9), optax.adan(0.01, b2=0.9)),
  "optimistic_gradient_descent": (gx.optimistic_gradient_descent(0.01), optax.optimistic_gradient_descent(0.01)),
  "optimistic_gradient_descent options": (
    gx.optimistic_gradient_descent(warmup, alpha=0.8, beta=0.3),
    optax.optimistic_gradient_descent(warmup, alpha=0.8, beta=0.3),
  ),
  "optimistic_adam_v2": (gx.optimistic_adam_v2(0.01), optax.optimistic_adam_v2(0.01)),
  "optimistic_adam_v2 options": (
    gx.optimistic_adam_v2(0.01, alpha=0.8, beta=0.3, b1=0.8, b2=0.95, eps=1e-3),
    optax.optimistic_adam_v2(0.01, alpha=0.8, beta=0.3, b1=0.8, b2=0.95, eps=1e-3),
  ),
  "optimistic_adam": (
    gx.optimistic_adam_v2(1.0, alpha=0.01, beta=0.3, b1=0.8, b2=0.95, eps=1e-3),
    deprecated(optax.optimistic_adam, 0.01, 0.3, b1=0.8, b2=0.95, eps=1e-3),
  ),
  "lars": (gx.lars(0.01), optax.lars(0.01)),
  "lars options": (
    gx.lars(warmup, weight_decay=0.1, trust_coefficient=0.2, eps=1e-2, momentum=0.8),
    optax.lars(warmup, weight_decay=0.1, trust_coefficient=0.2, eps=1e-2, momentum=0.8),
  ),
  "lamb": (gx.lamb(0.01), optax.lamb(0.01)),
  "lamb options": (
    gx.lamb(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
    optax.lamb(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
  ),
  "fromage": (gx.fromage(0.01), optax.fromage(0.01)),
  "fromage options": (gx.fromage(warmup, min_norm=0.3), optax.fromage(warmup, min_norm=0.3)),
  "adafactor": (gx.adafactor(0.01), optax_adafactor(0.01, 128)),
  "adafactor options": (
    gx.adafactor(
      warmup,
      min_dim_size_to_factor=2,
      decay_rate=0.6,
      clipping_threshold=0.5,
      weight_decay_rate=0.01,
      eps=1e-3,
    ),
    optax_adafactor(warmup, 2, 0.6, 0.5, 0.01, 1e-3),
  ),
  "muon": (gx.muon(0.01), contrib.muon(0.01)),
  "muon options": (
    gx.muon(
      warmup,
      ns_steps=3,
      beta=0.8,
      eps=1e-3,
      weight_decay=0.1,
      adam_b1=0.8,
      adam_b2=0.95,
      adam_weight_decay=0.2,
    ),
    contrib.muon(
      warmup,
      ns_steps=3,
      beta=0.8,
      eps=1e-3,
      weight_decay=0.1,
      adam_b1=0.8,
      adam_b2=0.95,
      adam_weight_decay=0.2,
    ),
  ),
  "muon of other coefficients and sizes": (
    gx.muon(warmup, ns_coeffs=(1.9, -1.3, 0.4), consistent_rms=0.2, adam_learning_rate=0.03),
    contrib.muon(warmup, ns_coeffs=(1.9, -1.3, 0.4), consistent_rms=0.2, adam_learning_rate=0.03),
  ),
  "in_low_rank": (
    gx.in_low_rank(gx.scale_by_rms(0.9, 1e-3), 2, 4, 0.5, computed_in="float32"),
    contrib.scale_by_galore(2, 4, 0.5, optax.scale_by_rms(0.9, 1e-3)),
  ),
  "sm3": (gx.sm3(0.1), optax.sm3(0.1)),
  "sm3 options": (gx.sm3(0.05, momentum=0.7), optax.sm3(0.05, momentum=0.7)),
  "nadam": (gx.nadam(0.01), optax.nadam(0.01)),
  "nadam options": (gx.nadam(0.01, b1=0.8, b2=0.95, eps=1e-3), optax.nadam(0.01, b1=0.8, b2=0.95, eps=1e-3)),
  "nadamw": (gx.nadamw(0.01), optax.nadamw(0.01)),
  "nadamw options": (
    gx.nadamw(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
    optax.nadamw(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
  ),
  "amsgrad": (gx.amsgrad(0.01), optax.amsgrad(0.01)),
  "amsgrad options": (gx.amsgrad(0.01, b1=0.8, b2=0.9, eps=1e-3), optax.amsgrad(0.01, b1=0.8, b2=0.9, eps=1e-3)),
  "amsgrad uncorrected": (
    gx.chain(
      gx.divide(
        gx.scale_by_momentum(0.9),
        by=gx.chain(gx.square(), gx.moving_average(0.999), gx.running_max(), gx.root(1e-8)),
      ),
      gx.scale_by_learning_rate(0.01),
    ),
    optax.amsgrad(0.01, bias_correction_mu=False, bias_correction_nu=False),
  ),
}


def trees():
  """Five trees, as one."""
  normal = lambda *shape: jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape))
  return [
    {"x": normal(3)},
    {"w": normal(4, 3), "b": normal(4)},
    [normal(2, 2, 2), normal()],
    {"d": normal(0), "none": None},
    (normal(6, 5),),
  ]


def gradients(params, step):
  """Gradients that depend on the parameters, change sign and are now and then exactly zero."""
  return jax.tree.map(lambda p: (3 * p + jnp.sin(5 * p + step)) * (step % 7 != 0), params)


def value(params, step):
  """A value for those that ask for one: now and then below 0, and exactly 0."""
  return jnp.abs(jnp.sum(jax.tree.leaves(params)[0])) * (step % 5 != 0) - 0.1 * (step % 11 == 3)


def trajectory(transform, params, begin=0):
  transform = optax.with_extra_args_support(transform)

  def body(carry, step):
    params, state = carry
    updates, state = transform.update(gradients(params, step), state, params, value=value(params, step))
    # Transforms without a sign of descent are applied with one, so that all runs stay bounded.
    params = jax.tree.map(lambda p, u: 0.97 * p + 0.03 * jnp.tanh(u), params, updates)
    return (params, state), updates

  return jax.lax.scan(body, (params, transform.init(params)), begin + jnp.arange(STEPS))[1]


# Optax divides 0 by 0 where the first gradients are all zero: there they begin with others.
WITHOUT_ZEROS_AT_FIRST = ("dadapt", "prodigy")


@pytest.mark.parametrize("row", ROWS)
def test_the_numbers_are_optaxs(row, float64):
  ours, theirs = ROWS[row]
  params = trees()
  if any(part in row for part in ("global_norm", "update_norm", "distance_over_gradients")):
    params = params[1]  # Optax's distances over gradients make an array of a scalar
  if "sm3" in row:  # Optax's fails on numbers
    params = [*params[:2], *params[2][::2], params[4]]
  if "low_rank" in row:  # Optax's fails on `None`
    params = [*params[:3], params[4]]
  if "scale_by_muon" in row:
    params = [params[1]["w"], params[4]]  # matrices alone
  begin = int(row.startswith(WITHOUT_ZEROS_AT_FIRST))
  compiled = jax.jit(trajectory, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
  mine, reference = compiled(ours, params, begin), compiled(theirs, params, begin)
  assert jax.tree.structure(mine) == jax.tree.structure(reference)
  for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(reference), strict=True):
    assert a.dtype == b.dtype == jnp.float64
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    assert np.all(np.isfinite(a))


def test_adafactor_is_optaxs_but_for_the_decay_that_it_rounds_to_float32(float64):
  params = trees()
  mine = trajectory(gx.adafactor(0.01, min_dim_size_to_factor=2), params)
  reference = trajectory(optax.adafactor(0.01, min_dim_size_to_factor=2), params)
  for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(reference), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"rank": 2, "update_proj_gap": 3, "scale": 0.5, "weight_decay": 0.1}], ids=str)
def test_galore_is_optaxs_but_for_the_singular_vectors_that_it_has_in_float32(options, float64, monkeypatch):
  in_double = types.SimpleNamespace(**{**vars(jnp), "float32": jnp.float64})
  monkeypatch.setattr("optax.contrib._galore.jnp", in_double)
  params = [*trees()[:3], trees()[4]]  # Optax's fails on `None`
  for ours, theirs in [(gx.galore, contrib.galore), (gx.scale_by_galore, contrib.scale_by_galore)]:
    known = {name: value for name, value in options.items() if name in ours.signature.parameters}
    rate = {"learning_rate": 0.01} if ours is gx.galore else {}
    mine, reference = (jax.jit(trajectory, static_argnums=0)(f(**rate, **known), params) for f in (ours, theirs))
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(reference), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_the_derivative_is_optaxs_too(float64):
  params = trees()[1]
  total = lambda make, rate: sum(jnp.sum(u) for u in jax.tree.leaves(trajectory(make(rate), params)))
  ours = jax.grad(lambda rate: total(gx.adam, rate))(0.01)
  theirs = jax.grad(lambda rate: total(optax.adam, rate))(0.01)
  np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_decay_schedules_keep_the_running_product(float64):
  params = jnp.ones(3)
  transform = gx.chain(gx.moving_average(swings), gx.bias_correction(swings))
  state = transform.init(params)
  for _ in range(50):  # a constant stream stays that constant, whatever the decays
    updates, state = transform.update(params, state)
    np.testing.assert_allclose(updates, params, rtol=1e-12)
  decays = [float(swings(count)) for count in range(50)]
  np.testing.assert_allclose(state["bias_correction"]["correction"], 1 - np.prod(decays), rtol=1e-12)


NO_TRANSFORM_IN_OPTAX = {"bias_correction"}  # `optax.bias_correction` divides a tree: another thing


# Of which the default is what Optax does.
BESIDE_OPTAXS = {"centralize": {"axis"}, "galore": {"matrix_view"}, "muon": {"matrix_view", "shape_factor"}}


def test_argument_names_are_a_subset_of_optaxs():
  for name in [*optimizers.__all__, *transforms.__all__]:
    home = contrib if hasattr(contrib, name) else optax
    if hasattr(home, name) and name not in NO_TRANSFORM_IN_OPTAX:
      theirs = set(inspect.signature(getattr(home, name)).parameters)
      known = theirs | ({"b1", "b2"} if "betas" in theirs else set())  # one name for a decay everywhere
      known |= BESIDE_OPTAXS.get(name, set())
      assert set(getattr(gx, name).signature.parameters) <= known, name
