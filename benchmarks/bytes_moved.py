"""Bytes and operations per parameter of a compiled step, by XLA's cost analysis."""

import harness
import jax
import jax.numpy as jnp

SIZE = 1 << 20


def costs(transform, leaves):
  params = [jax.ShapeDtypeStruct((SIZE // leaves,), jnp.float32)] * leaves
  state = jax.eval_shape(transform.init, params)
  cost = jax.jit(harness.step_of(transform)).lower(params, state, params).compile().cost_analysis()
  elements = SIZE // leaves * leaves
  return cost["bytes accessed"] / elements, cost["flops"] / elements


def main():
  rows = []
  for name in harness.SHARED:
    ours, theirs = harness.pair(name)
    for leaves in (1, 100):
      (bytes_, flops), (their_bytes, their_flops) = costs(ours, leaves), costs(theirs, leaves)
      rows.append(
        {
          "optimizer": name,
          "leaves": leaves,
          "bytes": round(bytes_, 2),
          "optax bytes": round(their_bytes, 2),
          "flops": round(flops, 2),
          "optax flops": round(their_flops, 2),
        }
      )
  harness.record("bytes_moved", rows)


if __name__ == "__main__":
  main()
