"""Arrays cut into blocks of one shape."""

import dataclasses
import math

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Blocks:
  """How an array is cut into a stack of blocks.

  Attributes:
    shape: that of the array; a number counts as a vector of one.
    lengths: those of a block, along each axis; what is missing of the last block is 0.
    batched: how many axes, the first ones, belong to the stack alone.
  """

  shape: tuple[int, ...]
  lengths: tuple[int, ...]
  batched: int

  @classmethod
  def of(cls, shape: tuple[int, ...], size: int, axes: int | None = None) -> "Blocks":
    """The fewest blocks of about equal lengths, none of which is greater than a size.

    Vectors and numbers are cut into their elements.

    Args:
      shape: that of the array.
      size: the greatest length.
      axes: how many axes, the last ones, are cut; each of the others belongs to the stack. All if not given.
    """
    whole = shape or (1,)
    batched = 0 if axes is None else max(len(whole) - axes, 0)
    own = whole[batched:]
    limit = size if len(own) > 1 else 1
    lengths = (-(-n // -(-n // limit)) if n else 1 for n in own)
    return cls(whole, (1,) * batched + tuple(lengths), batched)

  @property
  def block(self) -> tuple[int, ...]:
    """The shape of one block."""
    return self.lengths[self.batched :]

  @property
  def counts(self) -> tuple[int, ...]:
    """How many blocks there are along each axis."""
    return tuple(-(-n // length) for n, length in zip(self.shape, self.lengths, strict=True))

  @property
  def number(self) -> int:
    """How many blocks there are."""
    return math.prod(self.counts)

  def cut(self, u: jax.Array) -> jax.Array:
    """The blocks of an array, one after the other along a first axis."""
    lacking = [count * n - m for count, n, m in zip(self.counts, self.lengths, self.shape, strict=True)]
    u = jnp.pad(u.reshape(self.shape), [(0, lack) for lack in lacking]) if any(lacking) else u
    pairs = zip(self.counts, self.lengths, strict=True)
    divided = u.reshape(tuple(n for pair in pairs for n in pair))
    axes = range(2 * len(self.shape))
    return divided.transpose((*axes[::2], *axes[1::2])).reshape((self.number, *self.block))

  def join(self, blocks: jax.Array) -> jax.Array:
    """The array of these blocks."""
    depth = len(self.shape)
    divided = blocks.reshape((*self.counts, *self.lengths))
    pairs = zip(range(depth), range(depth, 2 * depth), strict=True)
    whole = divided.transpose(tuple(axis for pair in pairs for axis in pair))
    padded = whole.reshape(tuple(count * n for count, n in zip(self.counts, self.lengths, strict=True)))
    return padded[tuple(slice(n) for n in self.shape)]
