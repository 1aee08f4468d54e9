"""Time of one compiled step of Muon on the leaves of a transformer, against Optax, with as many iterations."""

import harness
import jax
import jax.numpy as jnp
import optax
from optax import contrib

import gradxform as gx
from gradxform.lifted import MatrixRule

SIZES, RATE = ((4, 64, 20), (4, 256, 20), (12, 768, 6)), 1e-3  # layers, their width, rounds
VIEWS = {lambda path, array: array.ndim == 3: "n i o -> n i o", "*": None}  # of leaves that are stacks


def in_stacks(inner):
  """The transform with all leaves of one shape as one array, in its state too."""

  def stacked(tree):
    kinds = {}
    for leaf in jax.tree.leaves(tree):
      kinds.setdefault(str(leaf.shape), []).append(leaf)
    return {shape: jnp.stack(leaves) for shape, leaves in kinds.items()}

  def update(updates, state, params):
    out, state = inner.update(stacked(updates), state, stacked(params))
    rest = {shape: iter(leaves) for shape, leaves in out.items()}
    return jax.tree.map(lambda leaf: next(rest[str(leaf.shape)]), updates), state

  return optax.GradientTransformation(lambda params: inner.init(stacked(params)), update)


def main():
  rows = []
  for layers, width, rounds in SIZES:
    shapes = harness.transformer(layers, width)
    sides = {"optax": harness.training(contrib.muon(RATE), shapes)}
    if width <= 256:  # the largest takes seconds a step
      MatrixRule.together = False  # what is traced now takes one matrix after the other
      sides["ours, one matrix after the other"] = harness.training(gx.muon(RATE), shapes)
      MatrixRule.together = True
      sides["ours, a state of stacks"] = harness.training(in_stacks(gx.muon(RATE, matrix_view=VIEWS)), shapes)
    ours, *others = harness.by_turns([harness.training(gx.muon(RATE), shapes), *sides.values()], rounds)
    for against, seconds in zip(sides, others, strict=True):
      median, low, high = harness.ratio(ours, seconds)
      about = {"layers": layers, "width": width, "against": against, "ratio": median, "low": low, "high": high}
      rows.append({**about, "milliseconds": 1e3 * min(ours)})
  harness.record("muon", rows)


if __name__ == "__main__":
  main()
