"""Adam with one second moment for a whole block of parameters: Adam-mini."""

from collections.abc import Mapping
from typing import Any

from gradxform._checks import rejected
from gradxform.combinators import chain, divide
from gradxform.core import Hyperparameter, Structure, named
from gradxform.transforms import bias_correction, mean_over, moving_average, root, scale_by_momentum, square
from gradxform.wrappers._matrices import as_matrices


@named
def scale_by_adam_mini(
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  *,
  blocks: Structure = None,
):
  """Divides a momentum by the root of one second moment for each block of parameters: the core of Adam-mini.

      m ← b1 · m + (1 − b1) · g;   v ← b2 · v + (1 − b2) · mean of g² over the block
      u = m / (1 − b1ᵗ) / (√(v / (1 − b2ᵗ)) + eps)

  Of Flax's layers, blocks are the heads of attention's ``query`` and ``key``; for each other ``kernel``, and each
  matrix, the weights of one output; for an ``embedding`` the vector of one token; in each ``bias`` each
  element; and whole arrays for all else, as the ``scale`` of a norm. A stack of layers has the blocks of
  each. Where heads have no axis of their own, the optimizer has to be told of them.

  Args:
    b1: decay of the first moment, in [0, 1).
    b2: decay of the second moment, in [0, 1).
    eps: added to the root; at least 0.
    blocks: for some of the arrays views by paths, as in `as_matrices`, whose rows are the blocks: of twelve
      heads in a matrix ``{"*query/kernel": "d (12 h) -> 12 (d h)"}``. All others have those of Flax.

  State: ``numerator`` with the momentum, ``by`` with one number for each block, in the place of one for each
  parameter.

  Source: Zhang et al. 2024, Algorithm 1, https://arxiv.org/abs/2406.16793, with the blocks of the authors'
  code, version 1.1, but for the kernels of convolutions, which there are one block each.

  >>> import jax.numpy as jnp
  >>> state = scale_by_adam_mini().init({"query": {"kernel": jnp.zeros((8, 2, 4))}})
  >>> state["scale_by_adam_mini"]["by"]["as_matrices"]["moving_average"]["moment"]["query"]["kernel"].shape
  (2, 1)
  """
  if blocks is not None and not isinstance(blocks, Mapping):
    wanted = f"a dict of views by paths, such as {{'*query/kernel': 'd (12 h) -> 12 (d h)'}}, got {blocks!r}."
    raise rejected(TypeError, "scale_by_adam_mini", "blocks", blocks, wanted)
  views: dict[Any, Any] = {"*": "flax_blocks"} if not blocks else {**blocks, "*": blocks.get("*", "flax_blocks")}
  of_block = chain(mean_over("columns"), moving_average(b2), bias_correction(b2), root(eps))
  return divide(chain(scale_by_momentum(b1), bias_correction(b1)), by=chain(square(), as_matrices(of_block, views)))
