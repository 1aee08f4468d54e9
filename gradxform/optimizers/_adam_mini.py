"""Adam with fewer second moments."""

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, Structure, named
from gradxform.transforms import add_decayed_weights, scale_by_learning_rate
from gradxform.wrappers import scale_by_adam_mini


@named
def adam_mini(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.9,
  b2: Hyperparameter = 0.999,
  eps: Hyperparameter = 1e-8,
  weight_decay: Hyperparameter = 0.0,
  blocks: Structure = None,
):
  """Adam-mini: AdamW with one second moment for each head, neuron or token, in half the memory.

      p ← p − a · (scale_by_adam_mini(g) + λ · p)

  Args:
    learning_rate: the step a; that of Adam.
    b1: decay of the first moment.
    b2: decay of the second moment of a block.
    eps: added to the root.
    weight_decay: λ, of all parameters; the authors leave out those of norms, and biases.
    blocks: views by paths whose rows are blocks, where they are not those of Flax's layers (see
      `scale_by_adam_mini`).

  Source: Zhang et al. 2024, Algorithm 1, https://arxiv.org/abs/2406.16793, and the authors' code, version 1.1.
  """
  core = scale_by_adam_mini(b1, b2, eps, blocks=blocks)
  return chain(core, add_decayed_weights(weight_decay), scale_by_learning_rate(learning_rate))
