"""Optax's cores with a first and a second moment: Adam's family."""

import optax

from gradxform import transforms
from gradxform.combinators import add, chain, divide, identity, share, shared
from gradxform.compat.optax._drop_in import called, drop_in
from gradxform.compat.optax._filters import corrected
from gradxform.rules import after
from gradxform.transforms import bias_correction, moving_average, rectify, root, running_max, scale, square
from gradxform.transforms._adam_kin import surprise


def first_moment(b1, nesterov, average=None):
  """The first moment, corrected; with Nesterov's look ahead at what the next step will have of it."""
  average = transforms.scale_by_momentum(b1) if average is None else average
  if not nesterov:
    return chain(average, bias_correction(b1))
  ahead = chain(average, bias_correction(b1, lead=1), scale(b1))
  return add(ahead, chain(bias_correction(b1), scale(after(lambda b: 1 - b, b1))))


@drop_in(optax.scale_by_adam)
def scale_by_adam(b1, b2, eps, eps_root, mu_dtype, *, nesterov):
  """The core of Adam. State: ``ScaleByAdamState``, with ``mu`` and ``nu``."""
  core = transforms.scale_by_nadam if nesterov else transforms.scale_by_adam
  return called(core(b1, b2, eps, eps_root), state="ScaleByAdamState", mu=mu_dtype, nu=None)


@drop_in(optax.scale_by_adamax)
def scale_by_adamax(b1, b2, eps):
  """The core of Adamax. State: ``ScaleByAdamState``, with ``mu`` and ``nu``."""
  return called(transforms.scale_by_adamax(b1, b2, eps), state="ScaleByAdamState", mu=None, nu=None)


@drop_in(optax.scale_by_amsgrad)
def scale_by_amsgrad(b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu):
  """The core of AMSGrad. State: ``ScaleByAmsgradState``, with ``mu``, ``nu`` and ``nu_max``."""
  second = corrected(chain(square(), moving_average(b2)), b2, bias_correction_nu)
  first = corrected(transforms.scale_by_momentum(b1), b1, bias_correction_mu)
  core = divide(first, by=chain(second, running_max(), root(eps, eps_root)))
  return called(core, state="ScaleByAmsgradState", mu=mu_dtype, nu=None, nu_max=None)


@drop_in(optax.scale_by_yogi)
def scale_by_yogi(b1, b2, eps, eps_root, initial_accumulator_value):
  """The core of Yogi. State: ``ScaleByAdamState``, with ``mu`` and ``nu``."""
  core = transforms.scale_by_yogi(b1, b2, eps, eps_root, initial_accumulator_value)
  return called(core, state="ScaleByAdamState", mu=None, nu=None)


@drop_in(optax.scale_by_radam)
def scale_by_radam(b1, b2, eps, eps_root, threshold, *, nesterov):
  """The core of rectified Adam. State: ``ScaleByAdamState``, with ``mu`` and ``nu``."""
  second = chain(square(), moving_average(b2), bias_correction(b2), root(eps, eps_root), rectify(b2, threshold))
  return called(divide(first_moment(b1, nesterov), by=second), state="ScaleByAdamState", mu=None, nu=None)


@drop_in(optax.scale_by_belief)
def scale_by_belief(b1, b2, eps, eps_root, *, nesterov):
  """The core of AdaBelief. State: ``ScaleByBeliefState``, with ``mu`` and ``nu``."""
  first = first_moment(b1, nesterov, shared("m"))
  core = share(divide(first, by=surprise(b2, eps, eps_root)), m=transforms.scale_by_momentum(b1))
  return called(core, state="ScaleByBeliefState", mu=None, nu=None)


@drop_in(optax.scale_by_novograd)
def scale_by_novograd(b1, b2, eps, eps_root, weight_decay, mu_dtype):
  """The core of NovoGrad. State: ``ScaleByNovogradState``, with ``mu`` and ``nu``."""
  core = transforms.scale_by_novograd(b1, b2, eps, eps_root, weight_decay)
  return called(core, state="ScaleByNovogradState", nu=None, mu=mu_dtype)


@drop_in(optax.scale_by_adadelta)
def scale_by_adadelta(rho, eps):
  """The core of Adadelta. State: ``ScaleByAdaDeltaState``, with ``e_g`` and ``e_x``."""
  return called(transforms.scale_by_adadelta(rho, eps), state="ScaleByAdaDeltaState", e_g=None, e_x=None)


@drop_in(optax.scale_by_adan)
def scale_by_adan(b1, b2, b3, eps, eps_root):
  """The core of Adan as Optax has it: the change of the gradient has the weight 1 − b2, not b2.

  State: ``ScaleByAdanState``, with ``g``, ``m``, ``v`` and ``n``.
  """
  change, weigh = shared("d"), scale(after(lambda b: 1 - b, b2))
  mixed = chain(change, moving_average(b2), bias_correction(b2), weigh)
  ahead = chain(add(identity(), chain(change, weigh)), square())
  second = chain(ahead, moving_average(b3), bias_correction(b3), root(eps, eps_root))
  core = share(divide(add(first_moment(b1, False), mixed), by=second), d=transforms.difference())
  return called(core, state="ScaleByAdanState", g=None, m=None, v=None, n=None)
