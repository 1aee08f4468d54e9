"""Relative error of the bias correction 1 − bᵗ in float32, for t from 1 to 100,000."""

import math

import harness
import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradxform as gx

COUNTS = np.arange(1, 100_001)


def worst(factor, decay):
  exact = -np.expm1(COUNTS * math.log(decay))
  got = np.asarray(jax.jit(jax.vmap(factor))(jnp.asarray(COUNTS, jnp.int32)), np.float64)
  errors = np.abs(got / exact - 1)
  return float(errors.max()), int(COUNTS[errors.argmax()])


def main():
  rows = []
  one = jnp.float32(1.0)
  for decay in (0.9, 0.99, 0.999, 0.9999, 0.99999):
    correction = gx.bias_correction(decay)
    ours, at = worst(lambda t, c=correction: 1 / c.update(one, {"count": t - 1})[0], decay)
    theirs, their_at = worst(lambda t, b=decay: 1 / optax.tree.bias_correction(one, b, t), decay)
    rows.append({"decay": decay, "gradxform": ours, "at t": at, "optax_error": theirs, "optax at t": their_at})
  harness.record("bias_correction", rows)


if __name__ == "__main__":
  main()
