"""Training of a Flax model: pure functions of the optimizer, which is an argument like any other."""

import csv
import dataclasses
import functools
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradxform._checks import check_integer
from gradxform.core import Transform
from gradxform.data import Dataset, mini_batches
from gradxform.parts import State
from gradxform.tree import Params

__all__ = [
  "DEMO_LEARNING_RATES",
  "DEMO_SETTINGS",
  "FULL_MATRIX",
  "MLP",
  "Epoch",
  "History",
  "evaluate",
  "fit",
  "start",
  "train_epoch",
  "write_csv",
]

# With these, or 1e-3, or its own default, every optimizer is tested to read 95% of the test part of
# `digits` with the defaults of `fit`.
DEMO_LEARNING_RATES = {
  "adafactor": 0.01,
  "adagrad": 0.1,
  "adam": 3e-3,
  "adamax": 1e-2,
  "adamaxw": 1e-2,
  "adamw": 3e-3,
  "amsgrad": 3e-3,
  "damped_newton": 0.3,
  "dion": 3e-3,
  "fromage": 0.01,
  "lars": 1.0,
  "lion": 3e-4,
  "momentum": 0.03,
  "muon": 3e-3,
  "nadam": 3e-3,
  "nadamw": 3e-3,
  "nesterov": 0.03,
  "noisy_sgd": 0.1,
  "normuon": 3e-3,
  "novograd": 0.01,
  "optimistic_gradient_descent": 0.2,
  "radam": 3e-3,
  "sgd": 0.3,
  "simplified_ademamix": 3e-6,
  "sm3": 0.1,
  "yogi": 1e-2,
}

# Line searches, second derivatives and signs that are compared from step to step want the noise of small
# batches averaged out; those that keep or solve with a matrix of all parameters want few parameters:
# without hidden layers the model is linear.
DEMO_SETTINGS: dict[str, dict[str, Any]] = {
  "bfgs": {"batch_size": 512, "hidden": ()},
  "damped_newton": {"batch_size": 512, "hidden": ()},
  "lbfgs": {"batch_size": 512},
  "newton": {"batch_size": 512, "hidden": ()},
  "nonlinear_cg": {"batch_size": 512},
  "rprop": {"batch_size": 4096},
  "steepest_descent": {"batch_size": 512},
}
FULL_MATRIX = ("bfgs", "damped_newton", "newton")  # n² numbers for n parameters


class MLP(nn.Module):
  """A multilayer perceptron: dense layers, with rectifiers between them.

      h ← max(W h + b, 0) for each hidden layer;   logits = W h + b

  Attributes:
    hidden: the widths of the hidden layers.
    classes: the number of logits.
  """

  hidden: tuple[int, ...]
  classes: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    for width in self.hidden:
      x = nn.relu(nn.Dense(width)(x))
    return nn.Dense(self.classes)(x)


class Epoch(NamedTuple):
  """What was measured after one epoch, on the whole training and test parts.

  Attributes:
    train_loss: mean cross-entropy, in nats.
    train_accuracy: share of examples classified correctly.
    test_loss: as `train_loss`, on the test part.
    test_accuracy: as `train_accuracy`, on the test part.
    seconds: since the start of the training, compilation included.
  """

  train_loss: float
  train_accuracy: float
  test_loss: float
  test_accuracy: float
  seconds: float


@dataclasses.dataclass
class History:
  """What happened in a training.

  Attributes:
    epochs: the measurements, one for each finished epoch.
    params: the parameters after the last finished epoch; before it, those at the start.
    interrupted: whether Ctrl-C ended it.
  """

  epochs: list[Epoch] = dataclasses.field(default_factory=list)
  params: Params = None
  interrupted: bool = False

  @property
  def diverged(self) -> bool:
    """Whether a loss of the last epoch is infinite or NaN."""
    return bool(self.epochs) and not all(map(math.isfinite, (self.epochs[-1].train_loss, self.epochs[-1].test_loss)))

  def column(self, name: str) -> np.ndarray:
    """One measurement over all epochs, such as ``test_loss``."""
    return np.array([getattr(epoch, name) for epoch in self.epochs], np.float64)


def start(optimizer: Transform, model: nn.Module, x: jax.Array, key: jax.Array) -> tuple[Params, State]:
  """Makes the parameters of a model for inputs like ``x``, and the optimizer's state for them."""
  params = model.init(key, x[:1])["params"]
  return params, optimizer.init(params)


def _logits(params: Params, model: nn.Module, x: jax.Array) -> Any:
  return model.apply({"params": params}, x)


def _losses(params: Params, model: nn.Module, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
  """The loss of each example, and whether it is classified correctly."""
  logits = _logits(params, model, x)
  losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits, y)
  return losses, (jnp.argmax(logits, axis=-1) == y).astype(losses.dtype)


@functools.partial(jax.jit, static_argnames="model")
def evaluate(params: Params, x: jax.Array, y: jax.Array, *, model: nn.Module) -> tuple[jax.Array, jax.Array]:
  """Computes the mean loss and the accuracy on all of these examples."""
  losses, correct = _losses(params, model, x, y)
  return jnp.mean(losses), jnp.mean(correct)


@functools.partial(jax.jit, static_argnames=("model", "batch_size"))
def train_epoch(
  optimizer: Transform,
  params: Params,
  state: State,
  key: jax.Array,
  x: jax.Array,
  y: jax.Array,
  *,
  model: nn.Module,
  batch_size: int,
) -> tuple[Params, State]:
  """Trains for one epoch, as one compiled scan over shuffled mini-batches.

  The optimizer is an argument: another learning rate runs the same program, and `jax.vmap` over
  a population of optimizers (with their parameters and states) trains it at once.

  Args:
    optimizer: a transform of this package; its rules may ask for ``value``, ``grad``,
      ``value_fn``, ``grad_fn``, ``logits_fn`` and ``key``.
    params: the model's parameters.
    state: the optimizer's state.
    key: a random key, for this epoch's order of the examples.
    x: the inputs, ``[examples, features]``.
    y: the labels, ``[examples]``.
    model: the Flax model.
    batch_size: examples in a batch; the last one may hold fewer.

  Returns:
    The parameters and the state after the epoch.
  """
  shuffle, noise = jax.random.split(key)
  indices, weights = mini_batches(shuffle, x.shape[0], batch_size)

  def step(carry: tuple[Params, State], batch: tuple[jax.Array, ...]) -> tuple[tuple[Params, State], None]:
    (params, state), (index, weight, key) = carry, batch

    def mean_loss(params: Params) -> jax.Array:
      losses, _ = _losses(params, model, x[index], y[index])
      return jnp.sum(losses * weight) / jnp.sum(weight)

    def logits_fn(params: Params) -> tuple[jax.Array, jax.Array]:
      return _logits(params, model, x[index]), weight

    loss, grads = jax.value_and_grad(mean_loss)(params)
    extra = {"value": loss, "grad": grads, "value_fn": mean_loss}
    given = {"key": key, "grad_fn": jax.grad(mean_loss), "logits_fn": logits_fn}
    # only to those that ask: Optax's line searches refuse what `value_fn` does not take
    extra |= {name: value for name, value in given.items() if name in optimizer.part.reads}
    return optimizer.step(grads, state, params, **extra), None

  keys = jax.random.split(noise, indices.shape[0])
  (params, state), _ = jax.lax.scan(step, (params, state), (indices, weights, keys))
  return params, state


def fit(
  optimizer: Transform,
  dataset: Dataset,
  *,
  epochs: int = 30,
  batch_size: int = 64,
  seed: int = 0,
  hidden: Sequence[int] = (128,),
  on_epoch: Callable[[History], object] | None = None,
) -> History:
  """Trains an `MLP`, measuring after every epoch.

  It ends early, with what was measured so far, at Ctrl-C, and when the loss is no longer finite.

  Args:
    optimizer: a transform of this package; one of Optax goes inside `chain`.
    dataset: what to learn.
    epochs: the number of passes over the training part, at least 1.
    batch_size: examples in a batch, at least 1.
    seed: of the initial parameters and the order of examples.
    hidden: the widths of the hidden layers, each at least 1; none makes the model linear.
    on_epoch: called after every epoch with the history so far.

  Raises:
    ValueError: for an argument out of its range.
  """
  check_integer("fit", minimum=1, epochs=epochs, batch_size=batch_size)
  check_integer("fit", minimum=0, maximum=2**32 - 1, seed=seed)
  for width in hidden:
    check_integer("fit", minimum=1, hidden=width)
  history, began = History(), time.perf_counter()
  try:
    model = MLP(tuple(hidden), dataset.classes)
    train = jnp.asarray(dataset.train_x), jnp.asarray(dataset.train_y)
    test = jnp.asarray(dataset.test_x), jnp.asarray(dataset.test_y)
    key = jax.random.key(seed)
    history.params, state = start(optimizer, model, train[0], key)
    batch_size = min(batch_size, len(train[0]))
    for epoch in range(1, epochs + 1):
      params, state = train_epoch(
        optimizer, history.params, state, jax.random.fold_in(key, epoch), *train, model=model, batch_size=batch_size
      )
      measured = [*evaluate(params, *train, model=model), *evaluate(params, *test, model=model)]
      history.epochs.append(Epoch(*map(float, measured), seconds=time.perf_counter() - began))
      history.params = params
      if on_epoch is not None:
        on_epoch(history)
      if history.diverged:
        break
  except KeyboardInterrupt:
    history.interrupted = True
  return history


def write_csv(history: History, path: str | os.PathLike[str]) -> None:
  """Writes the measurements as a table, one line for each epoch."""
  with open(path, "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file)
    writer.writerow(["epoch", *Epoch._fields])
    writer.writerows([number, *epoch] for number, epoch in enumerate(history.epochs, start=1))
