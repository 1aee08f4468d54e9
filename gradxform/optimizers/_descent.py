"""Gradient descent and its momenta."""

from gradxform.combinators import add, chain, identity
from gradxform.core import Hyperparameter, named
from gradxform.transforms import add_noise, scale, scale_by_learning_rate, trace


@named
def sgd(learning_rate: Hyperparameter):
  """Gradient descent; on mini-batches, stochastic gradient descent.

      p ← p − a · g

  Args:
    learning_rate: the step a.

  Source: Cauchy 1847; Robbins & Monro 1951. Optax's and torch's ``sgd`` take a momentum too: that
  is `momentum` and `nesterov`.
  """
  return scale_by_learning_rate(learning_rate)


@named
def momentum(learning_rate: Hyperparameter, *, momentum: Hyperparameter = 0.9):
  """Gradient descent with momentum: the heavy ball.

      m ← μ · m + g;   p ← p − a · m

  Args:
    learning_rate: the step a, outside of the accumulated m.
    momentum: μ in [0, 1].

  Source: Polyak 1964; ``optax.sgd(momentum=...)`` and torch's SGD. Keras keeps the learning rate
  inside m, which differs when it is scheduled.
  """
  return chain(trace(momentum), scale_by_learning_rate(learning_rate))


@named
def nesterov(learning_rate: Hyperparameter, *, momentum: Hyperparameter = 0.9):
  """Gradient descent with Nesterov's momentum.

      m ← μ · m + g;   p ← p − a · (g + μ · m)

  Args:
    learning_rate: the step a.
    momentum: μ in [0, 1].

  Source: Nesterov 1983 in the form of Sutskever et al. 2013, section 2, after a change of
  variable; ``optax.sgd(momentum=..., nesterov=True)`` and torch's SGD.
  """
  ahead = add(identity(), chain(trace(momentum), scale(momentum)))
  return chain(ahead, scale_by_learning_rate(learning_rate))


@named
def noisy_sgd(learning_rate: Hyperparameter, *, eta: Hyperparameter = 0.01, gamma: Hyperparameter = 0.55, key: int = 0):
  """Gradient descent with normal noise whose variance falls with the steps.

      p ← p − a · (g + N(0, η / tᵞ))

  Args:
    learning_rate: the step a.
    eta: the variance η of the noise of the first step.
    gamma: the power γ of its decay.
    key: a seed, at least 0.

  Source: Neelakantan et al. 2015, https://arxiv.org/abs/1511.06807; `optax.noisy_sgd`, whose noise
  is another one.
  """
  return chain(add_noise(eta, gamma, key), scale_by_learning_rate(learning_rate))
