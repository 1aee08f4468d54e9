"""Gradients divided by roots of their squares along each axis."""

from typing import Any

from gradxform.combinators import add, chain, divide, graft, share, shared
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  add_decayed_weights,
  bias_correction,
  moving_average,
  root,
  scale_by_learning_rate,
  scale_by_momentum,
  square,
  stop_after,
)
from gradxform.wrappers import precondition_by_factors


@named
def shampoo(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter | None = None,
  magnitude: Any = None,
  weight_decay: Hyperparameter = 0.0,
  precondition_frequency: int = 10,
  start_preconditioning_step: int | None = None,
  block_size: int = 1024,
):
  """Shampoo: a momentum times inverse roots of the gradients' squares along each axis, as long as a step of Adam.

      p ← p − a · (d · ‖s‖ / ‖d‖ + λ · p),   d = precondition_by_factors(m), s = m / (√v + 1e-8)

  where m is a momentum of the gradients and v an average of their squares, both corrected, and norms
  are those of whole arrays. Until there are roots the step is s.

  Args:
    learning_rate: the step a: one that suits the method whose norm is taken.
    b1: decay of the momentum.
    b2: decay of the averages of the squares along each axis; they are summed up if not given.
    magnitude: a transform, of whose step s the norm is taken; it is given gradients, and ``shared("momentum")``
      stands for m, so that this itself is grafting to SGD. Adam's, with 0.999 for v, if not given.
    weight_decay: λ, of all parameters.
    precondition_frequency: the number of steps for which roots are kept, at least 1.
    start_preconditioning_step: the first step that has roots, that number if not given.
    block_size: the greatest length of a block, at least 1.

  Without grafting it is `scale_by_shampoo` and a learning rate.

  Source: Gupta et al. 2018, https://arxiv.org/abs/1802.09568, blocked and grafted as in Anil et al. 2020,
  https://arxiv.org/abs/2002.09018, and Shi et al. 2023, https://arxiv.org/abs/2309.06497, and Meta's code, which takes
  norms block by block, and new roots at every step unless told otherwise (see `precondition_by_factors`).
  """
  start = precondition_frequency if start_preconditioning_step is None else start_preconditioning_step
  factored = precondition_by_factors(
    shared("momentum"), b2, update_every=precondition_frequency, start=start, block_size=block_size
  )
  second = chain(square(), moving_average(0.999), bias_correction(0.999), root(1e-8))
  grafted = graft(factored, magnitude=shared("step"))
  direction = share(
    add(chain(shared("step"), stop_after(start - 1)), grafted),
    momentum=chain(scale_by_momentum(b1), bias_correction(b1)),
    step=divide(shared("momentum"), by=second) if magnitude is None else magnitude,
  )
  return chain(direction, add_decayed_weights(weight_decay), scale_by_learning_rate(learning_rate))
