"""Where matrices have few coordinates: on which side, in which bases, drawn when."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx
from gradxform.wrappers._projection import Projection


def random(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def projected(u, step=0, place=0, **options):
  """The coordinates that an inner transform sees at a step, of the leaf in some place."""
  where = Projection(**{"rank": 2, "update_every": 3, "side": "shorter", "kind": "random", **options})
  return where.coordinates([u], [where.drawn(place, u, jnp.int32(step))])[0]


@pytest.mark.parametrize(
  ("shape", "side", "left", "low"),
  [
    ((5, 3), "longer", True, (2, 3)),
    ((5, 3), "shorter", False, (5, 2)),
    ((3, 5), "longer", False, (3, 2)),
    ((3, 5), "shorter", True, (2, 5)),
    ((3, 3), "longer", True, (2, 3)),
    ((3, 3), "shorter", True, (2, 3)),
    ((1, 4), "shorter", True, (1, 4)),
    ((4, 1), "shorter", False, (4, 1)),
  ],
)
def test_one_side_is_shortened_and_the_matrix_comes_back(shape, side, left, low):
  where = Projection(2, 1, side)
  assert where.shortens_rows(shape) == left
  basis, coordinates = where.shapes(shape)
  assert coordinates == low
  u = random(*shape)
  u = u.at[2:].set(u[:1]) if min(shape) > 2 else u  # of rank 2: nothing is lost
  vectors = where.singular(u)
  assert vectors.shape == basis
  (seen,) = where.coordinates([u], [vectors])
  np.testing.assert_allclose(where.matrix(seen, vectors, shape), u, atol=1e-5)


def test_random_bases_are_drawn_anew_when_due_and_differ_from_place_to_place():
  u = random(4, 6)
  of = {(step, place): projected(u, step, place) for step in (0, 1, 2, 3) for place in (0, 1)}
  np.testing.assert_array_equal(of[0, 0], of[2, 0])
  assert not np.allclose(of[2, 0], of[3, 0])
  assert not np.allclose(of[0, 0], of[0, 1])
  assert not np.allclose(of[0, 0], projected(u, key=1))


def test_the_singular_vectors_of_matrices_of_one_shape_are_found_together():
  params = {"a": jnp.ones((6, 4)), "b": jnp.ones((6, 4)), "c": jnp.ones((4, 6)), "d": jnp.ones(3)}
  transform = gx.in_low_rank(gx.identity(), 2)
  program = jax.jit(transform.update).lower(params, transform.init(params)).compile().as_text()
  assert program is not None
  assert program.count("lapack_sgesdd_ffi") == 2


def test_random_coordinates_keep_lengths_on_average():
  u = random(40, 60)
  ratios = [np.sum(np.square(projected(u, place=place, rank=30))) / np.sum(np.square(u)) for place in range(40)]
  assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_random_bases_are_not_kept_and_singular_ones_are():
  params = {"w": jnp.zeros((4, 6)), "b": jnp.zeros(3)}
  assert set(gx.in_low_rank(gx.trace(0.9), 2).init(params)["in_low_rank"]) == {"projector", "inner"}
  assert set(gx.in_low_rank(gx.trace(0.9), 2, projection="random").init(params)["in_low_rank"]) == {"inner"}
  assert set(gx.in_low_rank(gx.identity(), 2, projection="random").init(params)) == {"count"}


def test_a_random_basis_gives_the_gradient_on_average():
  u = random(4, 6)
  transform = gx.in_low_rank(gx.identity(), 4, 1, projection="random")
  start, update = transform.init(u), jax.jit(transform.update)
  mean = sum(update(u, {**start, "count": jnp.int32(step)})[0] for step in range(2000)) / 2000
  np.testing.assert_allclose(mean, u, atol=0.2)


@pytest.mark.parametrize("make", [gx.in_low_rank, gx.rescale_in_low_rank])
@pytest.mark.parametrize(
  ("name", "value", "error", "wanted"),
  [
    ("side", "left", ValueError, "one of 'longer', 'shorter'"),
    ("projection", "sparse", ValueError, "one of 'singular', 'random'"),
    ("key", -1, ValueError, "at least 0"),
    ("rank", 0, ValueError, "at least 1"),
  ],
)
def test_arguments_that_cannot_be_are_refused(make, name, value, error, wanted):
  with pytest.raises(error, match=rf"`{make.__name__}\({name}=...\)` must be {wanted}"):
    make(gx.identity(), **{name: value})
