"""Arrays seen as matrices: which axes are rows and columns is said once, by path."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_transform, rejected
from gradxform.compounds import Chain, Compound
from gradxform.core import Structure, named, stages_of
from gradxform.parts import Flow, Like, Part, Scope, State, Step
from gradxform.selection import WANTED, is_matrix, is_selector, not_
from gradxform.wrappers._axes import EXAMPLE, AxisPattern, View
from gradxform.wrappers._choices import Choice, FirstMatch, Leaves
from gradxform.wrappers._flax import blocks_of_flax, matrices_of_flax
from gradxform.wrappers._routing import Routed
from gradxform.wrappers._view import seen_as

FLAX = "flax"
OF_FLAX = {FLAX: matrices_of_flax, "flax_blocks": blocks_of_flax}


class Views:
  """Says of each leaf whether it is a matrix, or a stack of them, and how it is seen."""

  def __init__(self, transform: str, matrix_view: Any):
    self.call = f"{transform}(matrix_view=...)"
    if isinstance(matrix_view, str) and matrix_view in OF_FLAX:
      matrix_view = {"*": matrix_view}
    if not isinstance(matrix_view, dict) or not matrix_view:
      wanted = f"'flax', or a dict with patterns such as {EXAMPLE} by paths, got {matrix_view!r}."
      raise rejected(TypeError, transform, "matrix_view", matrix_view, wanted)
    for key in matrix_view:
      if not is_selector(key):
        raise TypeError(f"`{self.call}`: {key!r} selects no leaves; it takes {WANTED}.")
    self.choice = FirstMatch(self.call, tuple(matrix_view))
    self.patterns = [_read(transform, key, value) for key, value in matrix_view.items()]

  def of(self, leaves: Leaves) -> list[tuple[bool, View | None]]:
    """For each leaf, whether it is a matrix or a stack of them, and how it is seen, if not as it is."""
    indices = self.choice(leaves)
    return [self._one(index, path, x.shape) for index, (path, x) in zip(indices, leaves.seen, strict=True)]

  def _one(self, index: int | None, path: str, shape: Sequence[int]) -> tuple[bool, View | None]:
    if index is None:
      return len(shape) == 2, None
    given = self.patterns[index]
    pattern = given if given is None or isinstance(given, AxisPattern) else given(path, shape)
    if pattern is None:
      return False, View.in_a_row(tuple(shape))
    try:
      return True, pattern.fitted(path, shape)
    except ValueError as error:
      raise ValueError(f"`{self.call}`: {error}") from None


def _read(transform: str, key: Any, value: Any) -> Any:
  if value is None or (isinstance(value, str) and value in OF_FLAX):
    return None if value is None else OF_FLAX[value]
  place = f"matrix_view[{key!r}]"
  if not isinstance(value, str):
    wanted = f"a pattern such as {EXAMPLE}, 'flax', or None for what is no matrix, got {value!r}."
    raise rejected(TypeError, transform, place, value, wanted)
  try:
    return AxisPattern(value)
  except ValueError as error:
    raise rejected(ValueError, transform, place, value, f"a pattern with {error}") from None


class OfMatrices(Choice):
  """Matrices go to the first of two transforms, all else to the second."""

  def __init__(self, views: Views):
    self.views, self.check = views, views.choice.check

  def __call__(self, leaves: Leaves) -> list[int | None]:
    return [0 if is_matrix else 1 for is_matrix, _ in self.views.of(leaves)]


class AsMatrices(Compound):
  """A part that sees arrays as the matrices that they are said to be."""

  def __init__(self, inner: Part, views: Views, check: bool = True):
    super().__init__([(None, inner)])
    self.inner, self.views, self.check = inner, views, check
    self.scope = Scope.WHOLE_TREE

  def _views(self, treedef: Any, flow: Sequence[Any]) -> "_OfLeaves":
    return _OfLeaves([view for _, view in self.views.of(Leaves(treedef, flow))])

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[State, list[Like]]:
    if self.check:
      self.views.choice.check(Leaves(treedef, flow))
    views = self._views(treedef, flow).views
    state, out = self.inner.init(list(map(_seen, views, flow)), treedef)
    return state, [
      dataclasses.replace(
        result, shape=result.shape if view is None else like.shape, param=like.param, shared=like.shared
      )
      for view, like, result in zip(views, flow, out, strict=True)
    ]

  def update(self, flow: Flow, state: State, step: Step) -> tuple[Flow, State]:
    views = self._views(step.treedef, flow)
    updates, state = self.inner.update(views.of(flow), state, views.step(step))
    return views.back(updates), state

  def advance(self, flow: Flow, state: State, step: Step, leaves: Flow) -> tuple[Flow, State]:
    views = self._views(step.treedef, flow)
    leaves, state = self.inner.advance(views.of(flow), state, views.step(step), views.of(leaves))
    return views.back(leaves), state

  def describe(self, params: Any, names: Any) -> State:
    leaves, treedef = jax.tree.flatten(params)
    pairs = zip(self._views(treedef, leaves).views, leaves, strict=True)
    seen = [x if view is None else jax.ShapeDtypeStruct(view.matrices, jnp.result_type(x)) for view, x in pairs]
    return self.inner.describe(treedef.unflatten(seen), names)


class _OfLeaves:
  """The leaves of a tree as matrices, and back."""

  def __init__(self, views: Sequence[View | None]):
    self.views = views

  def of(self, leaves: Flow) -> Flow:
    return [x if view is None else view.of(x) for view, x in zip(self.views, leaves, strict=True)]

  def back(self, leaves: Flow) -> Flow:
    return [x if view is None else view.back(x) for view, x in zip(self.views, leaves, strict=True)]

  def step(self, step: Step) -> Step:
    """What a part that sees matrices may read of a step."""

    def whole(tree: Any) -> Any:
      return step.treedef.unflatten(self.back(step.treedef.flatten_up_to(tree)))

    fitting = {name: value for name, value in step.extra.items() if not step.is_per_leaf(name) or self._fit(value)}
    seen = seen_as(dataclasses.replace(step, extra=fitting), step.treedef, self.of, whole)
    return dataclasses.replace(seen, extra={**step.extra, **seen.extra})

  def _fit(self, tree: Any) -> bool:
    """Whether the leaves can be seen as the views do: arguments that nobody reads may be anything."""
    pairs = zip(self.views, jax.tree.leaves(tree), strict=True)
    return all(view is None or _spreads(np.shape(x), view.shape) for view, x in pairs)


def _spreads(shape: Sequence[int], over: Sequence[int]) -> bool:
  return len(shape) <= len(over) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(over), strict=False))


def _seen(view: View | None, like: Like) -> Like:
  """What the part is told of one leaf."""
  if view is None:
    return like
  shared = {name: _seen(view, value) for name, value in like.shared.items()}
  param = view.of(like.param) if jnp.shape(like.param) == view.shape else like.param  # in a basis it is of another
  return dataclasses.replace(like, shape=view.matrices, param=param, shared=shared)


@named
def as_matrices(inner: Any, matrix_view: Structure = FLAX):
  """Lets a transform see arrays as the matrices that they are: cut, turned and merged, each by its path.

      u ← inner(u as matrices), as it was

  What a matrix method sees in the last two axes are rows and columns; those before count matrices,
  each of which stands for itself. The optimizers of matrices have this as their argument `matrix_view`.

  Args:
    inner: a transform, ours or Optax's. It sees parameters and extra arguments in the same way.
    matrix_view: patterns by paths, which are tried in order: globs, compiled regular expressions or
      functions of ``(path, array)``, as in `partition`. A pattern names the axes of the array, and
      those of the matrices, as einops does: ``"d n h -> d (n h)"`` merges heads, ``"d (3 h) -> 3 d h"``
      makes three matrices of one fused projection, a number being the length of an axis (of an axis
      with a name, ``n=8``), and ``...`` is any number of axes. ``"flax"`` stands for the views of
      Flax's layers; ``None`` for what is no matrix, whose elements are seen as one vector. What has no
      pattern is seen as it is. ``"flax"`` alone is ``{"*": "flax"}``.

  Of Flax's kernels, attention's ``query``, ``key``, ``value`` are ``... d n h -> ... d (n h)``, its ``out``
  is ``... n h d -> ... (n h) d``. Others with four axes or more, or with three in a layer that is
  called a ``conv``, are convolutions, ``... i o -> (... i) o``; others with three axes are stacks of
  dense layers. Tables of vectors, which are called an ``embedding``, and each ``bias`` and ``scale``,
  which may have two axes too, are no matrices. ``"flax_blocks"`` are other views of these layers, whose rows
  are the blocks of Adam-mini (see `scale_by_adam_mini`).

  State: that of ``inner``, of the shapes of the matrices.

  Raises:
    ValueError: at once for what is no such pattern; in `init` for one that matches no leaf, or does
      not fit the shape of one.

  Source: the patterns of einops, Rogozhnikov 2022, https://openreview.net/forum?id=oapKSVM2bcj;
  ``optax.contrib.MuonDimensionNumbers`` has axes by their numbers, and cuts none.

  >>> import jax.numpy as jnp
  >>> from gradxform import as_matrices, trace
  >>> state = as_matrices(trace(0.9), {"*qkv": "d (3 h) -> 3 d h"}).init({"qkv": jnp.zeros((4, 6))})
  >>> state["as_matrices"]["trace"]["momentum"]["qkv"].shape
  (3, 4, 2)
  """
  check_transform("as_matrices", "inner", inner)
  return AsMatrices(Chain(stages_of(inner)), Views("as_matrices", matrix_view))


@named
def route_matrices(matrices: Any, *, others: Any, matrix_view: Structure = None):
  """Applies one transform to the matrices of a tree, and another to the rest.

      u ← matrices(u) where u is a matrix, else others(u)

  Matrices are the leaves with two axes, or what `matrix_view` says. Each transform sees its own leaves alone.

  Args:
    matrices: a transform, ours or Optax's.
    others: a transform, ours or Optax's.
    matrix_view: which leaves are matrices, or several, and how they are seen, as in `as_matrices`:
      what has a pattern, and what has two axes, but for what is `None` there.

  State: ``matrices`` and ``others``, each a dict of stages as in `chain`, with holes in the place of
  the other's leaves.

  Raises:
    ValueError: as `as_matrices` does.

  Source: the labels of ``optax.contrib.muon``.

  >>> from gradxform import adam, orthogonalize
  >>> print(route_matrices(orthogonalize(), others=adam(0.1)).scope.name)
  WHOLE_TREE
  """
  check_transform("route_matrices", "matrices", matrices)
  check_transform("route_matrices", "others", others)
  own, rest = Chain(stages_of(matrices)), Chain(stages_of(others))
  if matrix_view is None:
    choice: Choice = FirstMatch("route_matrices(...)", (is_matrix, not_(is_matrix)))
    return Routed([("matrices", own), ("others", rest)], choice)
  views = Views("route_matrices", matrix_view)
  return Routed([("matrices", AsMatrices(own, views, check=False)), ("others", rest)], OfMatrices(views))
