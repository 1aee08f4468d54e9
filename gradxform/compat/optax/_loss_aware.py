"""Optax's optimizers that read the value of the loss, or find their learning rate by themselves."""

import optax
from optax import contrib

from gradxform import optimizers, transforms
from gradxform.combinators import chain, identity
from gradxform.compat.optax._adaptive import decoupled
from gradxform.compat.optax._drop_in import called, drop_in
from gradxform.compat.optax._plain import add_decayed_weights, scale_by_learning_rate


@drop_in(optax.scale_by_polyak)
def scale_by_polyak(f_min, max_learning_rate, eps, variant):
  """Scales by Polyak's step size; `update` wants ``value``."""
  return transforms.scale_by_polyak(f_min, max_learning_rate, eps, variant)


@drop_in(optax.polyak_sgd)
def polyak_sgd(max_learning_rate, scaling, f_min, eps, variant):
  """Optax's SGD with Polyak's step size; `update` wants ``value``."""
  return chain(scale_by_learning_rate(scaling), scale_by_polyak(f_min, max_learning_rate, eps, variant))


@drop_in(contrib.momo)
def momo(learning_rate, beta, lower_bound, weight_decay, adapt_lower_bound):
  """Optax's MoMo; `update` wants ``value``. State: ``MomoState``; with an adapted lower bound it is Optax's own."""
  if adapt_lower_bound:
    return contrib.momo(learning_rate, beta, lower_bound, weight_decay, adapt_lower_bound)
  core = optimizers.momo(learning_rate, beta=beta, lower_bound=lower_bound, weight_decay=weight_decay)
  return called(core, state="MomoState", exp_avg=None, barf=None, gamma=None)


@drop_in(contrib.momo_adam)
def momo_adam(learning_rate, b1, b2, eps, lower_bound, weight_decay, adapt_lower_bound):
  """Optax's MoMo with Adam; as `momo`. State: ``MomoAdamState``."""
  if adapt_lower_bound:
    return contrib.momo_adam(learning_rate, b1, b2, eps, lower_bound, weight_decay, adapt_lower_bound)
  options = {"eps": eps, "lower_bound": lower_bound, "weight_decay": weight_decay}
  core = optimizers.momo_adam(learning_rate, b1=b1, b2=b2, **options)
  return called(core, state="MomoAdamState", exp_avg=None, exp_avg_sq=None, barf=None, gamma=None)


@drop_in(contrib.prodigy)
def prodigy(learning_rate, betas, beta3, eps, estim_lr0, estim_lr_coef, weight_decay, safeguard_warmup):
  """Optax's Prodigy. State: ``ProdigyState``; with a safeguarded warm-up it is Optax's own."""
  if safeguard_warmup:
    return contrib.prodigy(learning_rate, betas, beta3, eps, estim_lr0, estim_lr_coef, weight_decay, safeguard_warmup)
  first = {"estim_lr0": estim_lr0, "estim_lr_coef": estim_lr_coef, "weight_decay": weight_decay}
  core = optimizers.prodigy(learning_rate, b1=betas[0], b2=betas[1], beta3=beta3, eps=eps, **first)
  slots = {"params0": None, "exp_avg": None, "exp_avg_sq": None, "grad_sum": None}
  return called(core, state="ProdigyState", **slots, estim_lr=None, numerator_weighted=None)


@drop_in(contrib.dadapt_adamw)
def dadapt_adamw(learning_rate, betas, eps, estim_lr0, weight_decay):
  """Optax's D-Adaptation of AdamW. State: ``DAdaptAdamWState``."""
  first = {"estim_lr0": estim_lr0, "weight_decay": weight_decay}
  core = optimizers.dadapt_adamw(learning_rate, b1=betas[0], b2=betas[1], eps=eps, **first)
  slots = {"exp_avg": None, "exp_avg_sq": None, "grad_sum": None}
  return called(core, state="DAdaptAdamWState", **slots, estim_lr=None, numerator_weighted=None)


def after_decay(core, weight_decay, mask, learning_rate):
  """A core whose gradient has the decay of the parameters in it."""
  decay = identity() if weight_decay is None else add_decayed_weights(weight_decay, mask)
  return chain(decay, core, scale_by_learning_rate(learning_rate))


@drop_in(contrib.dog)
def dog(learning_rate, init_step, eps, weight_decay, mask):
  """Optax's DoG. State: ``DoGState``; with an ``init_step`` that is no heuristic it is Optax's own."""
  kind, first = init_step
  if kind != "heuristic":
    return contrib.dog(learning_rate, init_step, eps, weight_decay, mask)
  slots = {"init_params": None, "max_dist": None, "sum_sq_norm_grads": None}
  core = called(transforms.scale_by_dog(first, eps), state="DoGState", **slots)
  return after_decay(core, weight_decay, mask, learning_rate)


@drop_in(contrib.dowg)
def dowg(learning_rate, init_estim_sq_dist, eps, weight_decay, mask):
  """Optax's DoWG. State: ``DoWGState``."""
  slots = {"init_params": None, "estim_sq_dist": None, "weighted_sq_norm_grads": None}
  core = called(transforms.scale_by_dowg(init_estim_sq_dist, eps), state="DoWGState", **slots)
  return after_decay(core, weight_decay, mask, learning_rate)


@drop_in(optax.scale_by_distance_over_gradients)
def scale_by_distance_over_gradients(reps_rel, eps, param_dtype, global_scale):
  """The core of layer-wise DoG. State: ``ScaleByDistanceOverGradientsState``."""
  slots = {"init_params": param_dtype, "max_dist": None, "grad_sum_of_squares": None}
  core = transforms.scale_by_distance_over_gradients(reps_rel, eps)
  return chain(called(core, state="ScaleByDistanceOverGradientsState", **slots), transforms.scale(global_scale))


@drop_in(contrib.scale_by_cocob)
def scale_by_cocob(alpha, eps):
  """The core of COCOB. State: ``COCOBState``."""
  slots = dict.fromkeys(("init_particles", "scale", "subgradients", "reward", "cumulative_gradients"))
  return called(transforms.scale_by_cocob(alpha, eps), state="COCOBState", **slots)


@drop_in(contrib.cocob)
def cocob(learning_rate, alpha, eps, weight_decay, mask):
  """Optax's COCOB. State: ``COCOBState``."""
  decay = add_decayed_weights(weight_decay, mask)
  return chain(decay, scale_by_learning_rate(learning_rate, flip_sign=False), scale_by_cocob(alpha, eps))


@drop_in(contrib.scale_by_acprop)
def scale_by_acprop(b1, b2, eps, eps_root):
  """The core of ACProp. State: ``ScaleByBeliefState``, with ``mu`` and ``nu``."""
  return called(transforms.scale_by_acprop(b1, b2, eps, eps_root), state="ScaleByBeliefState", mu=None, nu=None)


@drop_in(contrib.acprop)
def acprop(learning_rate, b1, b2, eps, eps_root, weight_decay, mask):
  """Optax's ACProp. State: ``ScaleByBeliefState``."""
  return decoupled(scale_by_acprop(b1, b2, eps, eps_root), weight_decay, mask, learning_rate)
