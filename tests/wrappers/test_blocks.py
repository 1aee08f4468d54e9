"""Arrays in blocks."""

import jax.numpy as jnp
import numpy as np
import pytest

from gradxform.wrappers._blocks import Blocks


@pytest.mark.parametrize(
  ("shape", "size", "axes", "number", "block"),
  [
    ((4, 6), 8, None, 1, (4, 6)),
    ((4, 6), 3, None, 4, (2, 3)),
    ((7, 5), 4, None, 4, (4, 3)),
    ((10, 1), 4, None, 3, (4, 1)),
    ((2, 3, 5), 4, None, 2, (2, 3, 3)),
    ((2, 3, 5), 4, 2, 4, (3, 3)),
    ((2, 3, 5), 4, 1, 30, (1,)),
    ((5,), 4, None, 5, (1,)),
    ((5,), 4, 2, 5, (1,)),
    ((), 4, None, 1, (1,)),
    ((0, 3), 2, None, 0, (1, 2)),
  ],
)
def test_what_is_cut_is_joined_again(shape, size, axes, number, block):
  blocks = Blocks.of(shape, size, axes)
  u = jnp.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)
  cut = blocks.cut(u)
  assert (blocks.number, blocks.block, cut.shape) == (number, block, (number, *block))
  np.testing.assert_array_equal(blocks.join(cut).reshape(shape), u)
  assert cut.sum() == u.sum()  # what is missing of the last blocks is 0


def test_a_block_is_a_rectangle_of_the_array():
  u = jnp.arange(35.0).reshape(7, 5)
  cut = Blocks.of((7, 5), 4).cut(u)
  np.testing.assert_array_equal(cut[0], u[:4, :3])
  np.testing.assert_array_equal(cut[1, :, :2], u[:4, 3:])
  np.testing.assert_array_equal(cut[2, :3], u[4:, :3])
