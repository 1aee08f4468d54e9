"""torch's gradient descent, its average, and its step sizes that follow signs."""

import jax.numpy as jnp

from gradxform._checks import check_flag, check_fraction, check_greater, is_zero
from gradxform.combinators import add, chain, identity
from gradxform.compat.torch._namespace import descent, optimizer, pair, step_count, turned
from gradxform.core import Hyperparameter, Switched
from gradxform.optimizers import rprop as signs
from gradxform.rules import after
from gradxform.transforms import add_decayed_weights, average_iterates, scale, trace


@optimizer
def sgd(
  lr: Hyperparameter = 1e-3,
  momentum: Switched = 0.0,
  dampening: Switched = 0.0,
  weight_decay: Switched = 0.0,
  nesterov: bool = False,
  *,
  maximize: bool = False,
):
  """torch.optim.SGD: gradient descent with momentum, damped or Nesterov's.

      g ← g + λ · p;   m ← μ · m + (1 − τ) · g, at first g;   p ← p − lr · m
      with Nesterov's momentum   p ← p − lr · (g + μ · m)

  Args:
    lr: the step.
    momentum: μ in [0, 1]; without it (0) there is no m.
    dampening: τ in [0, 1), which spares the first step.
    weight_decay: λ, coupled.
    nesterov: whether to look ahead; needs a momentum, and no dampening.
    maximize: whether to climb.

  Raises:
    ValueError: for Nesterov's momentum without momentum, or with dampening.

  Source: ``torch.optim.SGD``; Sutskever et al. 2013.
  """
  check_flag("sgd", nesterov=nesterov)
  if nesterov and (is_zero(momentum) or not is_zero(dampening)):
    wrong = f"got momentum={momentum!r}, dampening={dampening!r}"
    raise ValueError(f"`sgd(nesterov=True)` needs a momentum greater than 0 and no dampening, {wrong}.")
  direction = identity() if is_zero(momentum) else _momentum(momentum, dampening, nesterov)
  return descent("sgd", direction, lr, weight_decay, maximize=maximize)


def _momentum(momentum, dampening, nesterov):
  if nesterov:
    return add(identity(), chain(trace(momentum), scale(momentum)))
  check_fraction("sgd", dampening=dampening)
  damping = after(lambda count, tau: jnp.where(count == 0, 1, 1 - tau), step_count, dampening)
  return trace(momentum) if is_zero(dampening) else chain(scale(damping), trace(momentum))


@optimizer
def asgd(
  lr: Hyperparameter = 1e-2,
  lambd: Hyperparameter = 1e-4,
  alpha: Hyperparameter = 0.75,
  t0: Hyperparameter = 1e6,
  weight_decay: Switched = 0.0,
  *,
  maximize: bool = False,
):
  """torch.optim.ASGD: gradient descent whose rate falls, and the average of where it went.

      η = lr / (1 + κ · lr · (t − 1))^α;   p ← (1 − κ · η) · p − η · (g + λ · p)
      ax ← ax + (p − ax) / max(1, t − 1 − t₀)

  The parameters in use are not the average: that is ``ax`` in the state, the parameters themselves
  until t₀. Where lr, κ or α is a schedule, η is that of the step before, as in torch, which
  computes it a step ahead.

  Args:
    lr: the rate of the first step.
    lambd: κ, the decay of the rate and of the parameters; at least 0.
    alpha: α, the power of the rate's decay.
    t0: t₀, the step from which on the average is taken.
    weight_decay: λ, coupled.
    maximize: whether to climb.

  State: ``average_iterates`` with ``ax``, like the parameters.

  Source: ``torch.optim.ASGD``; Polyak & Juditsky 1992.
  """

  def rate(count, lr, lambd, alpha):
    return lr / (1 + lambd * lr * count) ** alpha

  eta = after(rate, step_count, *map(_a_step_late, (lr, lambd, alpha)))
  moved = descent("asgd", add_decayed_weights(lambd), eta, weight_decay, maximize=maximize)
  return chain(moved, average_iterates(t0))


def _a_step_late(hyperparameter):
  if not callable(hyperparameter):
    return hyperparameter
  return lambda count: hyperparameter(jnp.maximum(count - 1, 0))


@optimizer
def rprop(
  lr: Hyperparameter = 1e-2,
  etas: tuple[Hyperparameter, Hyperparameter] = (0.5, 1.2),
  step_sizes: tuple[Hyperparameter, Hyperparameter] = (1e-6, 50.0),
  *,
  maximize: bool = False,
):
  """torch.optim.Rprop: a step size for each element, which grows while its gradient keeps its sign.

      s ← s · η₊ if g · g′ > 0;   s · η₋, and g ← 0, if g · g′ < 0;   then s ← min(max(s, low), high)
      p ← p − s · sign(g),   g′ the gradient before, 0 where it had turned

  Args:
    lr: the first step size; a schedule is read at the start only.
    etas: η₋ in (0, 1) and η₊ > 1.
    step_sizes: the bounds low and high.
    maximize: whether to climb.

  Raises:
    TypeError: for complex updates.

  Source: ``torch.optim.Rprop``; `gradxform.rprop` under torch's names.
  """
  (minus, plus), (low, high) = pair("rprop", etas=etas), pair("rprop", step_sizes=step_sizes)
  check_fraction("rprop", etas=minus)
  check_greater("rprop", 1, etas=plus)
  steps = signs(lr, eta_minus=minus, eta_plus=plus, min_step_size=low, max_step_size=high)
  return chain(*turned("rprop", maximize), steps)
