"""Time of a step of SOAP that renews its bases, all of one size as one stack, against one after the other."""

import harness
import jax

import gradxform as gx
from gradxform.wrappers import _eigenbasis

SIZES, TRANSFORM = ((4, 64, 20), (4, 256, 6)), gx.soap(3e-3, precondition_frequency=1)  # layers, their width, rounds


def one_by_one(function, *columns):
  """What `in_stacks` gives, each matrix as a stack of its own."""
  return [function(*(x[None] for x in row))[0] for row in zip(*columns, strict=True)]


def instructions(shapes):
  """The number of instructions of the compiled program of a step."""
  state = jax.eval_shape(TRANSFORM.init, shapes)
  program = jax.jit(harness.step_of(TRANSFORM)).lower(shapes, state, shapes).compile().as_text()
  return sum(" = " in line for line in program.splitlines())


def main():
  rows, in_stacks = [], _eigenbasis.in_stacks
  for layers, width, rounds in SIZES:
    shapes, sides, sizes = harness.transformer(layers, width), [], []
    for how in (in_stacks, one_by_one):  # what is traced now does it so
      _eigenbasis.in_stacks = how
      sides.append(harness.training(TRANSFORM, shapes))
      sizes.append(instructions(shapes))
    ours, others = harness.by_turns(sides, rounds)
    median, low, high = harness.ratio(ours, others)
    about = {"layers": layers, "width": width, "ratio": median, "low": low, "high": high}
    counts = {"instructions": sizes[0], "instructions one by one": sizes[1]}
    rows.append({**about, "milliseconds": 1e3 * min(ours), **counts})
  harness.record("soap", rows)


if __name__ == "__main__":
  main()
