"""What the optimizers of torch have in common."""

from typing import Any

import jax.numpy as jnp

from gradxform._checks import check_flag, check_length, check_not_negative, is_zero
from gradxform.combinators import chain
from gradxform.core import Hyperparameter, Transform, named_in
from gradxform.transforms import add_decayed_weights, scale, scale_by_learning_rate

NO_NUMBERS = ("foreach", "fused", "capturable", "differentiable")
"""torch's flags that choose how a step is run, not what it computes: taken everywhere, and dropped."""

optimizer = named_in("torch", ignored=NO_NUMBERS)
"""The decorator of all of them: they print as `torch.adam(...)`."""


def step_count(count: Any) -> Any:
  """The schedule that gives the updates made so far, as a float, for `after`."""
  return jnp.asarray(count, jnp.result_type(float))


def pair(name: str, **arguments: Any) -> tuple[Any, Any]:
  """The two hyperparameters of an argument such as ``betas``, checked for their number."""
  check_length(name, 2, **arguments)
  ((first, second),) = arguments.values()
  return first, second


def turned(name: str, maximize: bool) -> list[Transform]:
  """What comes first where torch maximizes: g ← −g."""
  check_flag(name, maximize=maximize)
  return [scale(-1.0)] if maximize else []


def descent(
  name: str,
  direction: Transform,
  lr: Hyperparameter,
  weight_decay: Hyperparameter,
  *,
  maximize: bool,
  decoupled: bool = False,
) -> Transform:
  """An optimizer from its direction; the decay is added to the gradient, or decoupled, to the direction."""
  check_not_negative(name, lr=lr, weight_decay=weight_decay)
  check_flag(name, decoupled_weight_decay=decoupled)
  decay = [] if is_zero(weight_decay) else [add_decayed_weights(weight_decay)]
  stages = [direction, *decay] if decoupled else [*decay, direction]
  return chain(*turned(name, maximize), *stages, scale_by_learning_rate(lr))
