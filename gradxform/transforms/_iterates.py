"""What is kept of the parameters' way."""

import jax.numpy as jnp

from gradxform._checks import check_not_negative
from gradxform.core import Hyperparameter, named
from gradxform.rules import elementwise


@named
def average_iterates(start: Hyperparameter = 0.0):
  """Keeps the average of the parameters, and passes the updates on.

      ax ← ax + (p + u − ax) / max(1, k − start),   k = updates made before this one;   u ← u

  It stands last, after the learning rate, so that p + u is where the step leads. Until k = start + 1
  the average is the last of them, then it is that of all since. It reads the parameters.

  Args:
    start: the updates before there is an average, less one; at least 0.

  State: ``ax``, the average, like the parameters.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Polyak & Juditsky 1992; ``ax`` of torch's ASGD.
  """
  check_not_negative("average_iterates", start=start)

  def weight(*, count, start):
    return 1 / jnp.maximum(count.astype(jnp.result_type(float)) - start, 1)

  def rule(u, ax, *, param, weight):
    there = param + u
    return u, jnp.where(weight == 1, there, ax + weight * (there - ax))

  return elementwise("average_iterates", rule, slots=("ax",), once={"weight": weight}, start=start)
