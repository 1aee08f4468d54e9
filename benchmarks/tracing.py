"""Seconds to trace and lower one step on 1,000 leaves of twenty shapes, against Optax."""

import harness
import jax
import jax.numpy as jnp

LEAVES, ROUNDS = 1000, 7


def prepare(transform):
  params = [jax.ShapeDtypeStruct((8, 8 * (1 + i % 20)), jnp.float32) for i in range(LEAVES)]
  state = jax.eval_shape(transform.init, params)

  def trace_and_lower():
    # A new function each time: nothing is found in a cache.
    jax.jit(harness.step_of(transform)).lower(params, state, params)

  return trace_and_lower


def main():
  rows = []
  for name in ("sgd", "adam", "adamw", "nadam"):
    sides = [prepare(transform) for transform in harness.pair(name)]
    for side in sides:
      side()
    ours, theirs = harness.by_turns(sides, ROUNDS)
    median, low, high = harness.ratio(ours, theirs)
    rows.append({"optimizer": name, "leaves": LEAVES, "ratio": median, "low": low, "high": high, "seconds": min(ours)})
  harness.record("tracing", rows)


if __name__ == "__main__":
  main()
