"""torch's optimizers with a step size for each element from its second moment alone."""

from gradxform._checks import check_flag, check_not_negative, is_zero
from gradxform.combinators import chain, divide, identity, subtract
from gradxform.compat.torch._namespace import descent, optimizer, step_count
from gradxform.core import Hyperparameter, Switched
from gradxform.rules import after
from gradxform.transforms import (
  at_least,
  moving_average,
  root,
  running_sum,
  scale_by_adadelta,
  square,
  trace,
)


@optimizer
def adagrad(
  lr: Hyperparameter = 1e-2,
  lr_decay: Switched = 0.0,
  weight_decay: Switched = 0.0,
  initial_accumulator_value: Hyperparameter = 0.0,
  eps: Hyperparameter = 1e-10,
  *,
  maximize: bool = False,
):
  """torch.optim.Adagrad: the more an element has moved, the smaller its steps.

      g ← g + λ · p;   s ← s + g²;   p ← p − lr / (1 + (t − 1) · κ) · g / (√s + eps)

  Args:
    lr: the step.
    lr_decay: κ, at least 0.
    weight_decay: λ, coupled.
    initial_accumulator_value: s before the first update; at least 0.
    eps: outside the root.
    maximize: whether to climb.

  Source: ``torch.optim.Adagrad``; Duchi, Hazan & Singer 2011. `gradxform.adagrad` has Optax's numbers.
  """
  check_not_negative("adagrad", lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value)
  by_sum = divide(identity(), by=chain(square(), running_sum(initial_accumulator_value), root(eps)))
  falling = after(lambda count, a, k: a / (1 + count * k), step_count, lr, lr_decay)
  return descent("adagrad", by_sum, lr if is_zero(lr_decay) else falling, weight_decay, maximize=maximize)


@optimizer
def adadelta(
  lr: Hyperparameter = 1.0,
  rho: Hyperparameter = 0.9,
  eps: Hyperparameter = 1e-6,
  weight_decay: Switched = 0.0,
  *,
  maximize: bool = False,
):
  """torch.optim.Adadelta: steps in the units of the parameters.

      g ← g + λ · p;   v ← ρ · v + (1 − ρ) · g²;   u = g · √(x + eps) / √(v + eps)
      x ← ρ · x + (1 − ρ) · u²;   p ← p − lr · u

  Args:
    lr: a factor on the step.
    rho: ρ in [0, 1).
    eps: inside both roots.
    weight_decay: λ, coupled.
    maximize: whether to climb.

  Source: ``torch.optim.Adadelta``; Zeiler 2012, Algorithm 1, https://arxiv.org/abs/1212.5701.
  """
  return descent("adadelta", scale_by_adadelta(rho, eps), lr, weight_decay, maximize=maximize)


@optimizer
def rmsprop(
  lr: Hyperparameter = 1e-2,
  alpha: Hyperparameter = 0.99,
  eps: Hyperparameter = 1e-8,
  weight_decay: Switched = 0.0,
  momentum: Switched = 0.0,
  centered: bool = False,
  *,
  maximize: bool = False,
):
  """torch.optim.RMSprop: divides by a running root mean square, or standard deviation, of the gradient.

      g ← g + λ · p;   v ← α · v + (1 − α) · g²;   u = g / (√v + eps)
      m ← μ · m + u;   p ← p − lr · m
      centred, with ḡ ← α · ḡ + (1 − α) · g,   u = g / (√(v − ḡ²) + eps)

  Args:
    lr: the step.
    alpha: α in [0, 1).
    eps: outside the root.
    weight_decay: λ, coupled.
    momentum: μ in [0, 1]; without it (0) there is no m.
    centered: whether to divide by the standard deviation.
    maximize: whether to climb.

  Source: ``torch.optim.RMSprop``; Hinton 2012, lecture 6e; Graves 2013, https://arxiv.org/abs/1308.0850.
  A variance that rounding makes negative is 0 here; in torch it gives NaN. `gradxform.rmsprop` has
  Optax's numbers.
  """
  check_flag("rmsprop", centered=centered)
  squares = chain(square(), moving_average(alpha))
  variance = chain(subtract(squares, chain(moving_average(alpha), square())), at_least(0.0))
  by_size = divide(identity(), by=chain(variance if centered else squares, root(eps)))
  direction = by_size if is_zero(momentum) else chain(by_size, trace(momentum))
  return descent("rmsprop", direction, lr, weight_decay, maximize=maximize)
