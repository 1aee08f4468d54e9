"""Time of one compiled step of Muon on the leaves of a transformer, against Optax, with as many iterations."""

import harness
from optax import contrib

import gradxform as gx
from gradxform.lifted import MatrixRule

SIZES, RATE = ((4, 64, 20), (4, 256, 20), (12, 768, 6)), 1e-3  # layers, their width, rounds


def main():
  rows = []
  for layers, width, rounds in SIZES:
    shapes = harness.transformer(layers, width)
    sides = {"optax": harness.training(contrib.muon(RATE), shapes)}
    if width <= 256:  # the largest takes seconds a step
      MatrixRule.together = False  # what is traced now takes one matrix after the other
      sides["ours, one matrix after the other"] = harness.training(gx.muon(RATE), shapes)
      MatrixRule.together = True
    ours, *others = harness.by_turns([harness.training(gx.muon(RATE), shapes), *sides.values()], rounds)
    for against, seconds in zip(sides, others, strict=True):
      median, low, high = harness.ratio(ours, seconds)
      about = {"layers": layers, "width": width, "against": against, "ratio": median, "low": low, "high": high}
      rows.append({**about, "milliseconds": 1e3 * min(ours)})
  harness.record("muon", rows)


if __name__ == "__main__":
  main()
