"""Bytes and operations per parameter of a compiled step of every optimizer that Optax has too, by XLA's cost analysis.

Where Optax's entry is known to be wrong, or takes what ours gives another name, the arguments say so.
"""

import harness
import jax
import jax.numpy as jnp
import optax
from optax import contrib

import gradxform as gx
from gradxform import optimizers

SIZE = 1 << 20
VALUE = jax.ShapeDtypeStruct((), jnp.float32)
# L-BFGS has another line search (`benchmarks/minimization.py`); most of Sophia is the objective of the user.
LEFT_OUT = {"lbfgs", "sophia"}


def shared():
  """Optimizers of both packages, at the same learning rate; ours first."""
  for name in optimizers.__all__:
    theirs = getattr(optax, name, None) or getattr(contrib, name, None)
    if theirs is not None and name not in LEFT_OUT:
      given = {"learning_rate": 1e-3} if "learning_rate" in getattr(gx, name).signature.parameters else {}
      given |= {"key": 0} if name == "noisy_sgd" else {}
      yield name, getattr(gx, name)(**given), theirs(**given)


def costs(transform, params):
  transform = optax.with_extra_args_support(transform)
  state = jax.eval_shape(transform.init, params)

  def step(params, state, grads, value):
    updates, state = transform.update(grads, state, params, value=value)
    return optax.apply_updates(params, updates), state

  cost = jax.jit(step).lower(params, state, params, VALUE).compile().cost_analysis()
  elements = sum(leaf.size for leaf in jax.tree.leaves(params))
  return cost["bytes accessed"] / elements, cost["flops"] / elements


def compared():
  """What is compared: an optimizer's name, ours, Optax's, the leaves in words, and the leaves."""
  for name, *sides in shared():
    for count in (1, 8):
      yield name, *sides, count, [jax.ShapeDtypeStruct((SIZE // count,), jnp.float32)] * count
  for layers, width in ((4, 256), (12, 768)):
    yield "adam", *harness.pair("adam"), f"{layers} layers of {width}", harness.transformer(layers, width)


def main():
  rows = []
  for name, ours, theirs, leaves, params in compared():
    (bytes_, flops), (their_bytes, their_flops) = costs(ours, params), costs(theirs, params)
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
