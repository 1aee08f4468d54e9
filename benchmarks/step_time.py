"""Time of one compiled step, with donated parameters and state, against Optax."""

import harness
import jax
import jax.numpy as jnp

SQUARES = [jax.ShapeDtypeStruct((1024, 1024), jnp.float32)] * 8
# Of each set of leaves, the optimizers that are timed on it, and rounds.
LEAVES = {
  "8 of 1024 × 1024": (SQUARES, harness.SHARED, 30),
  "4 layers of 256": (harness.transformer(4, 256), ["adam"], 300),
  "12 layers of 768": (harness.transformer(12, 768), ["adam"], 60),
}


def main():
  rows = []
  for leaves, (shapes, names, rounds) in LEAVES.items():
    for name in names:
      sides = [harness.training(transform, shapes) for transform in harness.pair(name)]
      ours, theirs = harness.by_turns(sides, rounds)
      median, low, high = harness.ratio(ours, theirs)
      about = {"optimizer": name, "leaves": leaves, "ratio": median, "low": low, "high": high}
      rows.append({**about, "milliseconds": 1e3 * min(ours)})
  harness.record("step_time", rows)


if __name__ == "__main__":
  main()
