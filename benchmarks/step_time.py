"""Time of one compiled step, with donated parameters and state, against Optax."""

import harness
import jax
import jax.numpy as jnp

SHAPE, LEAVES, ROUNDS = (1024, 1024), 8, 30


def prepare(transform):
  grads = [jnp.full(SHAPE, 0.1)] * LEAVES
  params = [jnp.ones(SHAPE) for _ in range(LEAVES)]
  step = jax.jit(harness.step_of(transform), donate_argnums=(0, 1))
  carry = [params, transform.init(params)]

  def once():
    carry[:] = step(*carry, grads)
    return carry[0]

  return once


def main():
  rows = []
  for name in harness.SHARED:
    sides = [prepare(transform) for transform in harness.pair(name)]
    for side in sides:
      jax.block_until_ready(side())
    ours, theirs = harness.by_turns(sides, ROUNDS)
    median, low, high = harness.ratio(ours, theirs)
    rows.append({"optimizer": name, "ratio": median, "low": low, "high": high, "milliseconds": 1e3 * min(ours)})
  harness.record("step_time", rows)


if __name__ == "__main__":
  main()
