"""What a part reads of a step, whose updates are another tree: some of the leaves, or pieces of them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gradxform.parts import Flow, Step


def seen_as(step: Step, treedef: Any, take: Callable[[Flow], Flow], back: Callable[[Any], Any] | None) -> Step:
  """The step as a part sees it whose updates are another tree.

  Args:
    step: the step.
    treedef: the structure of the part's updates.
    take: the part's leaves, from those of the step.
    back: a tree like the step's from one of the part's, for functions of the parameters; ``None`` if
      there is none, and they stay as they are.
  """

  def tree(value: Any) -> Any:
    return treedef.unflatten(take(step.treedef.flatten_up_to(value)))

  extra = {name: tree(value) if _is_cut(step, name) else value for name, value in step.extra.items()}
  if back is not None:
    for name in ("value_fn", "logits_fn"):
      if callable(fn := extra.get(name)):
        extra[name] = lambda params, *rest, fn=fn: fn(back(params), *rest)
    if callable(grad_fn := extra.get("grad_fn")):
      extra["grad_fn"] = lambda params, *rest: tree(grad_fn(back(params), *rest))
  params = None if step.params is None else take(step.params)
  own = None if params is None else treedef.unflatten(params)
  shared = {name: take(values) for name, values in step.shared.items()}
  return dataclasses.replace(step, treedef=treedef, params=params, tree=own, extra=extra, shared=shared)


def _is_cut(step: Step, name: str) -> bool:
  """Whether the extra argument is a tree of the step; of one bare array, a real scalar is taken for a value."""
  value = step.extra[name]
  if not step.is_per_leaf(name):
    return False
  return not jax.tree_util.treedef_is_leaf(step.treedef) or np.ndim(value) > 0 or np.iscomplexobj(value)
