"""Where the parameters were at the start, and what is reckoned from there."""

import dataclasses

import numpy as np

from gradxform._checks import check_fraction, check_not_negative
from gradxform.combinators import add, chain, divide
from gradxform.core import Hyperparameter, named
from gradxform.parts import Like
from gradxform.rules import Slot, after, elementwise
from gradxform.transforms._moments import running_sum
from gradxform.transforms._pointwise import cube_root, scale, scale_by_count, square
from gradxform.tree import computing_dtype

START = Slot(from_param=lambda param: param)


def _as_param(like: Like) -> Like:
  return dataclasses.replace(like, shape=np.shape(like.param), dtype=computing_dtype(like.param))


@named
def displacement():
  """Replaces the update by how far the parameter has moved since the start.

      u ← p − p₀

  State: ``start``, the parameters p₀ that `init` was given.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: dual averaging, Nesterov 2009, whose steps all begin at p₀.
  """

  def rule(u, start, *, param):
    del u
    return param - start, start

  return elementwise("displacement", rule, slots={"start": START}, output=_as_param)


@named
def scale_by_madgrad(learning_rate: Hyperparameter, momentum: Hyperparameter = 0.9, eps: Hyperparameter = 1e-6):
  """Goes part of the way to where all gradients so far, weighed and rescaled, lead from the start.

      λ = (a + eps) · √t;   G ← G + λ · g²;   s ← s + λ · g
      z = p₀ − s / (∛G + eps);   u = (1 − μ) · (z − p)

  It comes last: the learning rate and the sign of descent are in it.

  Args:
    learning_rate: the step a; at least 0.
    momentum: μ, the share of the way that is left, in [0, 1).
    eps: outside the root, and added to the learning rate; at least 0.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Defazio & Jelassi 2021, Algorithm 1, https://arxiv.org/abs/2101.11075, whose momentum c is
  1 − μ; ``optax.contrib.scale_by_madgrad``.
  """
  check_not_negative("scale_by_madgrad", learning_rate=learning_rate, eps=eps)
  check_fraction("scale_by_madgrad", momentum=momentum)
  weigh = chain(scale(after(lambda a, e: a + e, learning_rate, eps)), scale_by_count(0.5))
  lead = divide(chain(weigh, running_sum()), by=chain(square(), weigh, running_sum(), cube_root(eps)))
  return chain(add(lead, displacement()), scale(after(lambda c: c - 1, momentum)))
