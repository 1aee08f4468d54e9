"""Matrices of one shape, taken together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradxform.stacks import in_stacks, in_turn


def array(*shape, dtype="float32"):
  return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), dtype)


def test_arrays_of_one_shape_and_dtype_go_together_and_come_back_in_their_places():
  arrays = [array(2, 3), array(5, 2, 3), array(3, 2), array(2, 3, dtype="bfloat16"), array(0, 2, 3), array(1, 4, 2, 3)]
  seen = []

  def doubled(stack):
    seen.append((stack.shape, str(stack.dtype)))
    return 2 * stack

  for got, x in zip(in_stacks(doubled, arrays), arrays, strict=True):
    np.testing.assert_array_equal(got, 2 * x)
  assert seen == [((10, 2, 3), "float32"), ((1, 3, 2), "float32"), ((1, 2, 3), "bfloat16")]


def test_several_arguments_go_side_by_side_and_shapes_may_change():
  left, right = [array(2, 3), array(4, 2, 3), array(2, 3)], [array(3, 5), array(4, 3, 5), array(3, 1)]
  got = in_stacks(jnp.matmul, left, right)
  assert [x.shape for x in got] == [(2, 5), (4, 2, 5), (2, 1)]
  for product, a, b in zip(got, left, right, strict=True):
    np.testing.assert_allclose(product, a @ b, rtol=1e-6)


def test_nothing_gives_nothing_and_columns_of_different_lengths_are_refused():
  assert in_stacks(jnp.negative, []) == []
  with pytest.raises(ValueError, match="zip"):
    in_stacks(jnp.matmul, [array(2, 2)], [])


def decompositions(function, arrays):
  """How many the compiled program has that gives the last of these."""
  program = jax.jit(lambda arrays: in_stacks(function, arrays)[-1]).lower(arrays).compile()
  return program.as_text().count('custom_call_target="lapack_ssyevd_ffi"')


def test_in_turn_each_call_waits_for_the_one_before_in_the_compiled_program():
  arrays = [array(2, 3, 3), array(2, 4, 4), array(2, 5, 5)]
  bases = lambda stack: jnp.linalg.eigh(stack)[1]
  assert decompositions(bases, arrays) == 1  # the others, on which nothing depends, are left out
  assert decompositions(in_turn(bases), arrays) == 3


def test_in_turn_changes_no_result_even_after_one_that_is_not_a_number():
  arrays = [jnp.full((1, 2, 2), np.nan), array(0, 3, 3), array(3, 4, 4), array(2, 5, 5).astype("complex64")]
  turn = in_turn(jnp.negative)
  for x in arrays:
    np.testing.assert_array_equal(turn(x), -x)
