"""Adam-mini, against a loop over its blocks in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def along(shape, *axes):
  """A number for each element: that of its block, where elements that agree in these axes are one block."""
  numbers = np.zeros(shape, int)
  for axis in axes:
    index = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    numbers = numbers * shape[axis] + index
  return numbers


# The axes along which each block is one index; the authors' `head` for queries and keys, else rows of torch's weights.
BLOCKS = {
  "attention/query/kernel": ((4, 2, 3), [1]),
  "attention/key/kernel": ((4, 2, 3), [1]),
  "attention/value/kernel": ((4, 2, 3), [1, 2]),
  "attention/out/kernel": ((2, 3, 4), [2]),
  "attention/key/bias": ((2, 3), [0, 1]),
  "scanned/query/kernel": ((5, 4, 2, 3), [0, 2]),
  "scanned/mlp/kernel": ((5, 4, 3), [0, 2]),
  "scanned/norm/scale": ((5, 4), [0]),
  "mlp/kernel": ((4, 5), [1]),
  "mlp/bias": ((5,), [0]),
  "norm/scale": ((4,), []),
  "embed/embedding": ((6, 4), [0]),
  "Conv_0/kernel": ((2, 2, 3, 5), [3]),
  "matrix": ((3, 4), [1]),
  "vector": ((3,), []),
  "cube": ((2, 2, 3), []),
  "number": ((), []),
}
SHAPES = {name: shape for name, (shape, _) in BLOCKS.items()}
NUMBERS = {name: along(shape, *axes) for name, (shape, axes) in BLOCKS.items()}


def mean_by_block(squares, numbers):
  """Each element replaced by the mean of its block."""
  flat = numbers.ravel()
  means = np.bincount(flat, squares.ravel()) / np.bincount(flat)
  return means[numbers]


def adam_minis(p, grads, numbers, *, rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0):
  """The authors' loop for one array, whatever its blocks."""
  m, v = np.zeros_like(p), np.zeros_like(p)
  for t, g in enumerate(grads, 1):
    p = p * (1 - rate * weight_decay)
    m = m + (1 - b1) * (g - m)
    v = b2 * v + (1 - b2) * mean_by_block(g * g, numbers)
    h = np.sqrt(v) / np.sqrt(1 - b2**t) + eps
    p = p - rate * m / (1 - b1**t) / h
  return p


def after_fifty_steps(optimizer, params, grads):
  start = {name: jnp.asarray(p) for name, p in params.items()}
  body = lambda carry, g: (optimizer.step(g, carry[1], carry[0]), None)
  return jax.jit(lambda: jax.lax.scan(body, (start, optimizer.init(start)), grads)[0][0])()


@pytest.mark.parametrize(
  "options", [{}, {"b1": 0.8, "b2": 0.6, "eps": 1e-3, "weight_decay": 0.1}], ids=["defaults", "options"]
)
def test_it_is_the_authors_loop_for_fifty_steps_with_flaxs_blocks(options, float64):
  rng = np.random.default_rng(0)
  params = {name: np.asarray(rng.normal(size=shape)) for name, shape in SHAPES.items()}
  grads = {name: rng.normal(size=(50, *shape)) for name, shape in SHAPES.items()}
  got = after_fifty_steps(gx.adam_mini(0.01, **options), params, grads)
  for name, p in params.items():
    wanted = adam_minis(p, grads[name], NUMBERS[name], rate=0.01, **options)
    np.testing.assert_allclose(got[name], wanted, rtol=1e-12, atol=1e-12, err_msg=name)


def test_heads_inside_of_a_matrix_are_told_by_a_pattern(float64):
  rng = np.random.default_rng(1)
  params = {"qkv/kernel": rng.normal(size=(4, 18)), "mlp/kernel": rng.normal(size=(4, 3))}
  grads = {name: rng.normal(size=(50, *p.shape)) for name, p in params.items()}
  optimizer = gx.adam_mini(0.01, blocks={"qkv/*": "d (3 2 h) -> (3 2) (d h)"})
  got = after_fifty_steps(optimizer, params, grads)
  numbers = {"qkv/kernel": np.broadcast_to(np.arange(18) // 3, (4, 18)), "mlp/kernel": along((4, 3), 1)}
  for name, p in params.items():
    wanted = adam_minis(p, grads[name], numbers[name], rate=0.01)
    np.testing.assert_allclose(got[name], wanted, rtol=1e-12, atol=1e-12, err_msg=name)
