"""Transforms for some of the leaves, chosen by their paths, their shapes, or both."""

from collections.abc import Mapping
from typing import Any

from gradxform._checks import check_transform, rejected
from gradxform.compounds import Chain
from gradxform.core import Hyperparameter, Structure, named, part_of, stages_of
from gradxform.parts import Part
from gradxform.selection import WANTED, is_selector, labels
from gradxform.transforms import scale
from gradxform.wrappers._choices import ByLabel, Choice, FirstMatch, choice_of
from gradxform.wrappers._routing import Routed, Still


@named
def partition(groups: Mapping[Any, Any], *, by: Structure = None):
  """Gives each leaf to one of several transforms: that of the first pattern that matches its path.

      u ← transform of its group (u)

  Each sees its own leaves alone: a global norm inside is that of these leaves, ``value_fn`` and
  ``grad_fn`` are functions of these. Outside it is that of all. Extra arguments pass through, of
  trees like the parameters each its own part.

  Args:
    groups: transforms, ours or Optax's, by patterns, which are tried in order: globs of whole paths
      (``*`` takes ``/`` too), compiled regular expressions of whole paths, or functions of
      ``(path, array)``, such as `is_matrix`. The array is a description, with a shape, and a dtype
      that is float32 or complex64: of the parameter and of its gradient the same.
    by: a function of ``(path, array)`` that gives the name of a leaf's group; ``groups`` then has
      the transforms by these names.

  State: an entry for each group by its pattern, a dict of stages as in `chain`, with holes in the
  place of the leaves of the others. A group without state leaves no trace.

  Raises:
    ValueError: in `init`, if a leaf has no group; if a glob or a regular expression matches nothing,
      or gets nothing since the patterns before it take all (but for a last ``"*"``).

  Source: `optax.partition`, which has labels in place of paths.

  >>> from gradxform import adam, partition, sgd
  >>> partition({"body/*": sgd(0.1), "*": sgd(0.01)})
  partition({'body/*': sgd(learning_rate=0.1), '*': sgd(learning_rate=0.01)}, by=None)
  """
  _check_mapping("partition", "groups", groups)
  for key, transform in groups.items():
    check_transform("partition", f"groups[{key!r}]", transform)
  call = "partition(groups=...)"
  if by is None:
    _check_keys("partition", groups)
    choice: Choice = FirstMatch(call, tuple(groups), complete=True)
  else:
    if not callable(by):
      raise rejected(TypeError, "partition", "by", by, f"a function of (path, array), got {by!r}.")
    choice = ByLabel("partition(by=...)", by, tuple(groups))
  names = labels(groups) if by is None else list(groups)
  children = [(name, Chain(stages_of(transform))) for name, transform in zip(names, groups.values(), strict=True)]
  return Chain([("partition", Routed(children, choice))])


@named
def masked(inner: Any, where: Structure):
  """Applies a transform to some of the leaves; the others pass unchanged, and have no state.

      u ← inner(u) where it is selected, else u

  The transform sees its own leaves alone, as in `partition`.

  Args:
    inner: a transform, ours or Optax's.
    where: which leaves: a glob of whole paths, a compiled regular expression of them, a function of
      ``(path, array)`` as in `partition`, or a tuple of these, one of which has to hold. Or as in
      Optax a tree of flags like the parameters, a prefix of one, or a function that makes it of the
      parameters, and of the updates. A module that can be called is a tree, not a function.

  State: ``inner``, that of ``inner``, with holes in the place of the other leaves.

  Raises:
    ValueError: in `init`, if a glob or a regular expression matches nothing; if the tree does not fit.

  Source: `optax.masked`.

  >>> from gradxform import add_decayed_weights, at_least_2d
  >>> masked(add_decayed_weights(1e-4), where=at_least_2d)
  masked(add_decayed_weights(weight_decay=0.0001), where=at_least_2d)
  """
  check_transform("masked", "inner", inner)
  choice = choice_of("masked", "where", where)
  return Chain([("masked", Routed([("inner", Chain(stages_of(inner)))], choice))])


@named
def freeze(where: Structure = "*"):
  """Holds some of the parameters as they are, to the bit; the updates of the others pass unchanged.

      u ← 0 where it is selected, else u

  It stands at the end of a chain, or for a group of a `partition`, where what is frozen has no state
  at all: ``partition({"embed/*": freeze(), "*": adam(1e-3)})``. See `train_only` for the reverse.

  Args:
    where: which leaves, as in `masked`.

  Raises:
    ValueError: in `init`, if a glob or a regular expression matches nothing; if the tree does not fit.

  Source: `optax.freeze`.

  >>> from gradxform import chain, sgd
  >>> chain(sgd(0.1), freeze("embed/*"))
  chain(sgd(learning_rate=0.1), freeze(where='embed/*'))
  """
  return Routed([("still", Still())], choice_of("freeze", "where", where))


class _Rest(Choice):
  """What a choice leaves goes to the transform after its own."""

  def __init__(self, choice: Choice):
    self.choice, self.check = choice, choice.check

  def __call__(self, leaves: Any) -> list[int | None]:
    return [1 if index is None else index for index in self.choice(leaves)]


@named
def train_only(inner: Any, where: Structure):
  """Applies an optimizer to some of the parameters; the others stay as they are, and have no state.

      u ← inner(u) where it is selected, else 0

  The optimizer sees its own leaves alone, as in `partition`.

  Args:
    inner: a transform, ours or Optax's.
    where: which leaves, as in `masked`.

  State: ``inner``, that of ``inner``, with holes in the place of the other leaves.

  Raises:
    ValueError: in `init`, if a glob or a regular expression matches nothing; if the tree does not fit.

  Source: `optax.selective_transform`, which is told what not to train.

  >>> from gradxform import sgd
  >>> train_only(sgd(0.1), where="head/*")
  train_only(sgd(learning_rate=0.1), where='head/*')
  """
  check_transform("train_only", "inner", inner)
  choice = _Rest(choice_of("train_only", "where", where))
  return Chain([("train_only", Routed([("inner", Chain(stages_of(inner))), ("still", Still())], choice))])


@named
def scaled(factors: Mapping[Any, Hyperparameter]):
  """Multiplies the updates of some of the leaves, each by the factor of the first pattern that matches it.

      u ← c · u where it has a factor c, else u

  After an optimizer these are learning rates by group or by layer:
  ``chain(adam(1e-3), scaled({f"block_{i}/*": 0.8 ** (depth - i) for i in range(depth)}))``.

  Args:
    factors: the factors c, any finite numbers, arrays or schedules, by patterns as in `partition`.

  Raises:
    ValueError: in `init`, if a glob or a regular expression matches nothing, or gets nothing.

  >>> scaled({"head/*": 10.0})
  scaled({'head/*': 10.0})
  """
  _check_mapping("scaled", "factors", factors)
  _check_keys("scaled", factors)
  parts: list[Part] = [part_of(scale(factor)) for factor in factors.values()]
  choice = FirstMatch("scaled(factors=...)", tuple(factors))
  return Routed(list(zip(labels(factors), parts, strict=True)), choice)


def _check_mapping(transform: str, name: str, value: Any) -> None:
  if not isinstance(value, dict) or not value:
    raise rejected(TypeError, transform, name, value, f"a dict by patterns, with one at least, got {value!r}.")


def _check_keys(transform: str, mapping: Mapping[Any, Any]) -> None:
  for key in mapping:
    if not is_selector(key):
      raise TypeError(f"`{transform}`: {key!r} selects no leaves; a pattern is {WANTED}.")
