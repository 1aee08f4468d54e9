"""Products along axes, against NumPy."""

import jax.numpy as jnp
import numpy as np
import optax

from gradxform.wrappers._along import as_tuples, contained_as, square_along, times_along

RNG = np.random.default_rng(0)


def normal(*shape):
  return jnp.asarray(RNG.normal(size=shape) + 1j * RNG.normal(size=shape))


def test_each_axis_has_its_matrix_or_none(float64):
  x, a, c = normal(2, 3, 4), normal(5, 2), normal(6, 4)
  wanted = np.einsum("ai,ck,ijk->ajc", a, c, x)
  np.testing.assert_allclose(times_along(x, (a, optax.MaskedNode(), c)), wanted, atol=1e-13)


def test_each_array_of_a_stack_has_its_own_matrices(float64):
  x, a, b = normal(7, 2, 3), normal(7, 2, 2), normal(7, 3, 3)
  wanted = [times_along(*of_one) for of_one in zip(x, zip(a, b, strict=True), strict=True)]
  np.testing.assert_allclose(times_along(x, (a, b)), wanted, atol=1e-13)


def test_squares_are_over_all_axes_but_one(float64):
  x = normal(2, 3, 4)
  np.testing.assert_allclose(square_along(x, 1), np.einsum("ijk,ilk->jl", x, x.conj()), atol=1e-13)
  np.testing.assert_allclose(square_along(x, 1, stacked=1), np.einsum("ijk,ijl->ikl", x, x.conj()), atol=1e-13)


def test_other_containers_of_what_axes_have_are_tuples_with_holes_inside_and_themselves_outside():
  def make(shape, value):
    return tuple(value(n) if n > 1 else optax.MaskedNode() for n in shape)

  kept = [{1: "b", 2: "c"}, ("d", optax.MaskedNode())]
  tuples = as_tuples(make, [(1, 2, 3), (4, 1)], kept)
  assert tuples == [(optax.MaskedNode(), "b", "c"), ("d", optax.MaskedNode())]
  assert contained_as(kept, tuples) == kept
