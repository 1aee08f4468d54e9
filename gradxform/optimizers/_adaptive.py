"""A step size for each element, from its second moment alone."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  scale_by_adadelta,
  scale_by_learning_rate,
  scale_by_rms,
  scale_by_rss,
  scale_by_stddev,
)


@named
def adagrad(
  learning_rate: Hyperparameter, *, initial_accumulator_value: Hyperparameter = 0.1, eps: Hyperparameter = 1e-7
):
  """Adagrad: the more an element has moved, the smaller its steps.

      s ← s + g²;   p ← p − a · g / √(s + eps)

  Args:
    learning_rate: the step a.
    initial_accumulator_value: s before the first update.
    eps: inside the root.

  Source: Duchi, Hazan & Singer 2011; `optax.adagrad`. torch starts at s = 0 with eps = 1e-10
  outside the root, and has a decay of the learning rate.
  """
  return chain(scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate))


@named
def adadelta(learning_rate: Hyperparameter = 1.0, *, rho: Hyperparameter = 0.9, eps: Hyperparameter = 1e-6):
  """Adadelta: steps in the units of the parameters, with no learning rate to choose.

      v ← ρ · v + (1 − ρ) · g²;   u = g · √(x + eps) / √(v + eps);   x ← ρ · x + (1 − ρ) · u²
      p ← p − a · u

  Args:
    learning_rate: a factor a on the step; 1 is the paper.
    rho: the decay ρ of both averages.
    eps: inside both roots.

  Source: Zeiler 2012, Algorithm 1, https://arxiv.org/abs/1212.5701; torch's Adadelta;
  `optax.adadelta`, which *ascends* with its default learning rate of `None`. Keras has 0.001.
  """
  return chain(scale_by_adadelta(rho, eps), scale_by_learning_rate(learning_rate))


@named
def rmsprop(
  learning_rate: Hyperparameter,
  *,
  decay: Hyperparameter = 0.9,
  eps: Hyperparameter = 1e-8,
  initial_scale: Hyperparameter = 0.0,
):
  """RMSprop: divides by a running root mean square of the gradient.

      v ← b · v + (1 − b) · g²;   p ← p − a · g / √(v + eps)

  Args:
    learning_rate: the step a.
    decay: b in [0, 1).
    eps: inside the root.
    initial_scale: v before the first update.

  Source: Hinton 2012, lecture 6e; `optax.rmsprop`. torch has decay 0.99 and eps outside the root.
  With momentum, as Optax has it: ``chain(scale_by_rms(), scale_by_learning_rate(a), trace(μ))``;
  torch has the learning rate last.
  """
  return chain(scale_by_rms(decay, eps, initial_scale), scale_by_learning_rate(learning_rate))


@named
def centered_rmsprop(
  learning_rate: Hyperparameter,
  *,
  decay: Hyperparameter = 0.9,
  eps: Hyperparameter = 1e-8,
  initial_scale: Hyperparameter = 0.0,
):
  """Centred RMSprop: divides by a running standard deviation of the gradient.

      v ← b · v + (1 − b) · g²;   m ← b · m + (1 − b) · g;   p ← p − a · g / √(v − m² + eps)

  Args:
    learning_rate: the step a.
    decay: b in [0, 1).
    eps: inside the root.
    initial_scale: v before the first update.

  Source: Graves 2013, section 4.2, https://arxiv.org/abs/1308.0850;
  ``optax.rmsprop(centered=True)``. torch has decay 0.99 and eps outside the root.
  """
  return chain(scale_by_stddev(decay, eps, initial_scale), scale_by_learning_rate(learning_rate))
