"""What the benchmarks share: runs by turns, ratios with their spread, rows in a CSV."""

import csv
import datetime
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import optax

import gradxform as gx

RESULTS = pathlib.Path(__file__).parent / "results"


def by_turns(sides: Sequence[Callable[[], Any]], rounds: int) -> list[list[float]]:
  """Seconds of each call of each side, called one after the other in every round."""
  seconds: list[list[float]] = [[] for _ in sides]
  for round_ in range(rounds):
    order = range(len(sides)) if round_ % 2 == 0 else reversed(range(len(sides)))
    for index in order:
      start = time.perf_counter()
      jax.block_until_ready(sides[index]())
      seconds[index].append(time.perf_counter() - start)
  return seconds


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
  """The median of the ratios of each round, and their quartiles."""
  ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
  low, median, high = statistics.quantiles(ratios, n=4)
  return median, low, high


def record(benchmark: str, rows: Sequence[dict[str, Any]]) -> None:
  """Prints the rows as a table and appends them to the benchmark's CSV."""
  show(rows)
  keep(benchmark, rows)


def show(rows: Sequence[dict[str, Any]]) -> None:
  """Prints the rows as a table."""
  names = list(rows[0])
  cells = [names, *[[_cell(row[name]) for name in names] for row in rows]]
  widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
  for line in cells:
    print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def keep(benchmark: str, rows: Sequence[dict[str, Any]], folder: pathlib.Path = RESULTS) -> None:
  """Appends the rows to the benchmark's CSV, with versions and device."""
  names = list(rows[0])
  about = {
    "date": datetime.date.today().isoformat(),
    "device": jax.devices()[0].device_kind,
    "gradxform": gx.__version__,
    "jax": jax.__version__,
    "jaxlib": jaxlib.__version__,
    "optax": optax.__version__,
  }
  folder.mkdir(exist_ok=True)
  path = folder / f"{benchmark}.csv"
  new = not path.exists()
  with path.open("a", newline="") as file:
    writer = csv.DictWriter(file, [*about, *names])
    if new:
      writer.writeheader()
    writer.writerows({**about, **{k: _cell(v) for k, v in row.items()}} for row in rows)


def _cell(value: Any) -> str:
  if not isinstance(value, float):
    return str(value)
  return f"{value:.3g}" if value < 0.01 else f"{value:.6g}"


def step_of(transform: Any) -> Callable[..., Any]:
  """One update, applied."""

  def step(params: Any, state: Any, grads: Any) -> Any:
    updates, state = transform.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  return step


def training(transform: Any, shapes: Any) -> Callable[[], Any]:
  """A compiled step on random parameters of these shapes, donated, as is the state; it was called once."""
  leaves, treedef = jax.tree.flatten(shapes)
  rng = np.random.default_rng(0)
  params = treedef.unflatten([jnp.asarray(rng.standard_normal(leaf.shape, leaf.dtype)) for leaf in leaves])
  grads = jax.tree.map(lambda p: 0.1 * p, params)
  step = jax.jit(step_of(transform), donate_argnums=(0, 1))
  carry = [params, transform.init(params)]

  def once() -> Any:
    carry[:] = step(*carry, grads)
    return carry[0]

  jax.block_until_ready(once())
  return once


def transformer(layers: int, width: int) -> list[Any]:
  """Shapes of the parameters of a transformer's layers: attention, feed-forward and norms, as Flax has them."""

  def array(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)

  attention = {name: array(width, width) for name in ("query", "key", "value", "out")}
  ahead = {"up": array(width, 4 * width), "down": array(4 * width, width), "bias": array(4 * width)}
  return [{"attention": attention, "ahead": ahead, "scales": [array(width), array(width)]}] * layers


SHARED = ["sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "adamax", "nadam", "nadamw", "amsgrad"]
"""Optimizers of both packages."""


def pair(name: str) -> tuple[Any, Any]:
  """An optimizer of both packages, ours first."""
  return getattr(gx, name)(learning_rate=1e-3), getattr(optax, name)(learning_rate=1e-3)
