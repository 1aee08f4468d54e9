"""Selectors: which leaves of a tree, by their paths, by what they are, or by both.

A selector is a glob of whole paths, a compiled regular expression of them, or a function of
``(path, array)``, such as those here.
"""

import collections
import dataclasses
import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = [
  "all_of", "any_of", "at_least_2d", "is_bias", "is_embedding", "is_head", "is_matrix", "is_scalar", "is_vector",
  "not_",
]  # fmt: skip

Selector = str | re.Pattern[str] | Callable[[str, Any], Any]
WANTED = "a glob of paths, a compiled regular expression, or a function of (path, array)"
_BIAS = re.compile(r"(.*[/_.])?(bias|b)\d*(/value)?")
_HEAD = re.compile(r"(.*[/.])?(\w+_)?(head|logits|classifier|unembed(ding)?)(_?\d+)?([/.].*)?", re.IGNORECASE)
_EMBEDDING = re.compile(r"(.*[/.])?(\w+_)?(embed(ding)?s?|wte)(_?\d+)?([/.].*)?", re.IGNORECASE)


class Predicate:
  """A function of ``(path, array)`` that prints as the Python that makes it."""

  def __init__(self, holds: Callable[[str, Any], bool]):
    self.holds, self.__doc__, self.__name__ = holds, holds.__doc__, holds.__name__

  def __call__(self, path: str, array: Any) -> bool:
    return self.holds(path, array)

  def __repr__(self) -> str:
    return self.__name__

  def __reduce__(self) -> str:
    return self.__name__  # a name of this module


@Predicate
def at_least_2d(path: str, array: Any) -> bool:
  """Selects arrays of two axes or more: matrices, the kernels of convolutions, stacks of these."""
  del path
  return array.ndim >= 2


@Predicate
def is_matrix(path: str, array: Any) -> bool:
  """Selects arrays of two axes."""
  del path
  return array.ndim == 2


@Predicate
def is_vector(path: str, array: Any) -> bool:
  """Selects arrays of one axis."""
  del path
  return array.ndim == 1


@Predicate
def is_scalar(path: str, array: Any) -> bool:
  """Selects arrays of no axis."""
  del path
  return array.ndim == 0


@Predicate
def is_bias(path: str, array: Any) -> bool:
  """Selects what is called ``bias`` or ``b``, with a number after it, or a word and ``_`` before it: ``b1``."""
  del array
  return _BIAS.fullmatch(path) is not None


@Predicate
def is_head(path: str, array: Any) -> bool:
  """Selects what is of a layer called ``head``, ``logits``, ``classifier`` or ``unembed``, perhaps after ``lm_``."""
  del array
  return _HEAD.fullmatch(path) is not None


@Predicate
def is_embedding(path: str, array: Any) -> bool:
  """Selects what is, or is of what is, called ``embedding``, ``embed`` or ``wte``, perhaps after a word and ``_``."""
  del array
  return _EMBEDDING.fullmatch(path) is not None


@dataclasses.dataclass(frozen=True)
class Combined:
  """A selector made of selectors: a function of ``(path, array)`` that prints as the Python that makes it."""

  name: str
  selectors: tuple[Selector, ...]

  def __call__(self, path: str, array: Any) -> bool:
    found = (selects(selector, path, array) for selector in self.selectors)
    match self.name:
      case "any_of":
        return any(found)
      case "all_of":
        return all(found)
    return not next(found)

  def __repr__(self) -> str:
    return f"{self.name}({', '.join(map(shown, self.selectors))})"


def any_of(*selectors: Selector) -> Combined:
  """Selects what at least one of these selects.

  Args:
    *selectors: globs, compiled regular expressions or functions of ``(path, array)``.

  >>> any_of("embed/*", is_bias)("head/bias", None)
  True
  """
  return Combined("any_of", _checked("any_of", selectors))


def all_of(*selectors: Selector) -> Combined:
  """Selects what all of these select.

  Args:
    *selectors: globs, compiled regular expressions or functions of ``(path, array)``.
  """
  return Combined("all_of", _checked("all_of", selectors))


def not_(selector: Selector) -> Combined:
  """Selects what this does not select.

  Args:
    selector: a glob, a compiled regular expression or a function of ``(path, array)``.

  >>> not_("embed/*")("head/bias", None)
  True
  """
  return Combined("not_", _checked("not_", (selector,)))


def _checked(name: str, selectors: tuple[Any, ...]) -> tuple[Selector, ...]:
  for selector in selectors:
    if not is_selector(selector):
      raise TypeError(f"`{name}(...)` must be given {WANTED}, got {selector!r}.")
  return selectors


def is_selector(value: Any) -> bool:
  """Whether the value can say which leaves."""
  return isinstance(value, str) or is_regex(value) or callable(value)


def is_regex(value: Any) -> bool:
  """Whether the value is a compiled regular expression of text."""
  return isinstance(value, re.Pattern) and isinstance(value.pattern, str)


def selects(selector: Any, path: str, array: Any) -> bool:
  """Whether the selector holds for a leaf; a pattern has to match the whole path."""
  if isinstance(selector, str):
    return fnmatch.fnmatchcase(path, selector)
  if is_regex(selector):
    return selector.fullmatch(path) is not None
  return bool(selector(path, array))


def patterns_in(selector: Any) -> Iterator[Any]:
  """The globs and regular expressions of which a selector is made."""
  if isinstance(selector, Combined):
    for part in selector.selectors:
      yield from patterns_in(part)
  elif isinstance(selector, str) or is_regex(selector):
    yield selector


def shown(selector: Any) -> str:
  """A selector as it is written in a program."""
  if isinstance(selector, (Predicate, Combined)) or not callable(selector):
    return repr(selector)
  return f"<{getattr(selector, '__name__', type(selector).__name__).strip('<>')}>"


def labels(selectors: Iterable[Any]) -> list[Any]:
  """A name for each selector, in states and in the paths of hyperparameters: a glob's is the glob."""
  names, taken = [], collections.Counter()
  for selector in selectors:
    name = selector.pattern if is_regex(selector) else selector if isinstance(selector, str) else shown(selector)
    taken[name] += 1
    names.append(name if taken[name] == 1 else f"{name}_{taken[name]}")
  return names
