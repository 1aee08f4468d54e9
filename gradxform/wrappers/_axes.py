"""Patterns of axes: which axes of an array are the rows and columns of matrices, and which count them."""

import collections
import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp

_TOKEN = re.compile(r"\.\.\.|[()]|[A-Za-z_]\w*=\d+|\w+|\S")
_AXIS = re.compile(r"(?:([A-Za-z_]\w*)(?:=(\d+))?|(\d+))", re.ASCII)
MORE = "..."
EXAMPLE = "'d (3 h) -> 3 d h'"

Group = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class View:
  """How one array is seen as a stack of matrices: cut, turned and merged.

  Attributes:
    shape: that of the array.
    cut: its shape with each axis of the pattern apart.
    order: the permutation of these.
    matrices: the shape of the stack of matrices.
  """

  shape: tuple[int, ...]
  cut: tuple[int, ...]
  order: tuple[int, ...]
  matrices: tuple[int, ...]

  @classmethod
  def in_a_row(cls, shape: tuple[int, ...]) -> "View | None":
    """All elements of an array as one vector; `None` for what is one, or a number."""
    return cls(shape, shape, tuple(range(len(shape))), (math.prod(shape),)) if len(shape) > 1 else None

  def of(self, array: jax.Array) -> jax.Array:
    """The matrices of an array, or of what can be spread over it."""
    return jnp.broadcast_to(array, self.shape).reshape(self.cut).transpose(self.order).reshape(self.matrices)

  def back(self, matrices: jax.Array) -> jax.Array:
    """The array of these matrices, or of what can be spread over them."""
    turned = jnp.broadcast_to(matrices, self.matrices).reshape([self.cut[axis] for axis in self.order])
    inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
    return turned.transpose(inverse).reshape(self.shape)


class AxisPattern:
  """A pattern such as ``d (3 h) -> 3 d h``: read when it is made, and fitted to one shape after the other."""

  def __init__(self, text: str):
    self.text = text
    sides = [_TOKEN.findall(side) for side in text.split("->")]
    if len(sides) != 2:
      raise ValueError(f"two sides with one '->' between them, such as {EXAMPLE}, got {text!r}.")
    self.lengths = {name: length for token in sides[0] for name, length in _axis(token) if length is not None}
    self.left, self.right = (self._groups(side) for side in sides)
    self._check_lengths(sides[1])
    self._check()

  def _groups(self, tokens: Iterable[str]) -> list[Group]:
    """The axes of one side: those in one pair of parentheses together, each other one alone."""
    groups: list[Group] = []
    inside: list[str] | None = None
    for token in tokens:
      names = [MORE] if token == MORE else [name for name, _ in _axis(token)]
      if token == "(" and inside is None:
        inside = []
      elif token == ")" and inside is not None:
        groups.append(tuple(inside))
        inside = None
      elif names and inside is not None:
        inside.extend(names)
      elif names:
        groups.append(tuple(names))
      else:
        raise ValueError(f"names, numbers, '...' and pairs of parentheses, such as {EXAMPLE}, got {self.text!r}.")
    if inside is not None:
      raise ValueError(f"a ')' for each '(', got {self.text!r}.")
    return groups

  def _check_lengths(self, right: Iterable[str]) -> None:
    for name, length in self.lengths.items():
      if length < 1:
        raise ValueError(f"lengths of at least 1, got {length} of {name!r} in {self.text!r}.")
    for token in right:
      if "=" in token:
        raise ValueError(f"lengths on the left alone, got {token!r} on the right in {self.text!r}. Write it there.")

  def _check(self) -> None:
    left, right = (collections.Counter(itertools.chain(*side)) for side in (self.left, self.right))
    for name, times in (left | right).items():
      if times > 1:
        raise ValueError(f"each axis once on each side, got {name!r} twice in {self.text!r}. Call them a=… and b=….")
      if left[name] != right[name]:
        raise ValueError(f"the same axes on both sides, got {name!r} on one of them alone in {self.text!r}.")
    for group in self.left:
      if len(group) > 1 and MORE in group:
        raise ValueError(f"no '...' with others in parentheses on the left, got {self.text!r}. Name these axes.")
      if len(group) > 1 and sum(name not in self.lengths for name in group) > 1:
        axes = f"'({' '.join(group)})' in {self.text!r}. Write '{group[0]}=8', or the like"
        raise ValueError(f"all lengths but one in each pair of parentheses on the left, got {axes}.")
    if len(self.right) < 2 or (MORE,) in self.right[-2:]:
      raise ValueError(f"an axis of rows and one of columns at the end, got {self.text!r}.")

  def fitted(self, path: str, shape: Sequence[int]) -> View:
    """How an array of this shape is seen."""
    has_more = (MORE,) in self.left
    least = len(self.left) - has_more
    if len(shape) < least or (len(shape) > least and not has_more):
      raise self._misfit(path, shape, f"it is for {'at least ' if has_more else ''}{least} axes")
    more = [f"{MORE}{index}" for index in range(len(shape) - least)]
    lengths: dict[str, int] = {}
    for axis, group in enumerate(_expanded(self.left, more)):
      lengths.update(self._cut(path, shape, axis, group))
    right = list(_expanded(self.right, more))
    names = list(lengths)
    order = tuple(names.index(name) for name in itertools.chain(*right))
    matrices = tuple(math.prod(lengths[name] for name in group) for group in right)
    return View(tuple(shape), tuple(lengths.values()), order, matrices)

  def _cut(self, path: str, shape: Sequence[int], axis: int, group: Group) -> dict[str, int]:
    """The lengths of the axes into which one is cut: one of them is not given, and what is left."""
    given = math.prod(self.lengths.get(name, 1) for name in group)
    is_open = any(name not in self.lengths for name in group)
    if (shape[axis] % max(given, 1) if is_open else shape[axis] - given) != 0:
      raise self._misfit(path, shape, f"axis {axis} must be {'a multiple of ' if is_open else ''}{given}")
    return {name: self.lengths.get(name, shape[axis] // max(given, 1)) for name in group}

  def _misfit(self, path: str, shape: Sequence[int], why: str) -> ValueError:
    return ValueError(f"{self.text!r} does not fit {path!r} of shape {tuple(shape)}: {why}.")


def _axis(token: str) -> Iterator[tuple[str, int | None]]:
  """The name and the length of an axis: a number is its own name."""
  if match := _AXIS.fullmatch(token):
    length = match[2] or match[3]
    yield match[1] or match[3], None if length is None else int(length)


def _expanded(groups: Iterable[Group], more: Sequence[str]) -> Iterator[Group]:
  """The groups with the axes for which the dots stand: each alone, or all in the parentheses in which these are."""
  for group in groups:
    if group == (MORE,):
      yield from ((name,) for name in more)
    else:
      yield tuple(itertools.chain.from_iterable(more if name == MORE else [name] for name in group))
