"""Seconds to trace and lower one step on 1,000 leaves of one, twenty and 1,000 shapes, against Optax."""

import harness
import jax
import jax.numpy as jnp

LEAVES, ROUNDS = 1000, 5


def prepare(transform, shapes):
  params = [jax.ShapeDtypeStruct((8, 1 + i % shapes), jnp.float32) for i in range(LEAVES)]
  state = jax.eval_shape(transform.init, params)

  def trace_and_lower():
    # A new function each time: nothing is found in a cache.
    jax.jit(harness.step_of(transform)).lower(params, state, params)

  return trace_and_lower


def main():
  rows = []
  cases = [(name, 20) for name in ("sgd", "adam", "adamw", "nadam")] + [("adam", 1), ("adam", LEAVES)]
  for name, shapes in cases:
    sides = [prepare(transform, shapes) for transform in harness.pair(name)]
    for side in sides:
      side()
    ours, theirs = harness.by_turns(sides, ROUNDS)
    median, low, high = harness.ratio(ours, theirs)
    about = {"optimizer": name, "leaves": LEAVES, "shapes": shapes}
    rows.append({**about, "ratio": median, "low": low, "high": high, "seconds": min(ours)})
  harness.record("tracing", rows)


if __name__ == "__main__":
  main()
