"""Optax's transforms as parts of an expression."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradxform.parts import SCALAR, Flow, Like, Part, Scope, Step
from gradxform.tree import computing_dtype


class Foreign(Part):
  """A transform of Optax as a part. Like all parts it works in the computing dtype."""

  scope = Scope.WHOLE_TREE

  def __init__(self, inner: Any):
    self.inner = inner
    self.extended = optax.with_extra_args_support(
      optax.GradientTransformationExtraArgs(inner.init, inner.update)
      if _takes_extra(inner)
      else optax.GradientTransformation(inner.init, inner.update)
    )

  @property
  def stateful(self) -> bool:
    return True  # whether its state has leaves is known only once it is made

  def _template(self, flow: Sequence[Like]) -> Flow:
    same = [np.shape(like.param) == like.shape for like in flow]
    return [
      jnp.asarray(like.param).astype(like.dtype) if kept else like.full(0)
      for like, kept in zip(flow, same, strict=True)
    ]

  def init(self, flow: Sequence[Like], treedef: Any) -> tuple[Any, list[Like]]:
    state = self.inner.init(treedef.unflatten(self._template(flow)))
    return (state if jax.tree.leaves(state) else {}), list(flow)

  def update(self, flow: Flow, state: Any, step: Step) -> tuple[Flow, Any]:
    updates = step.treedef.unflatten(flow)
    params = None
    if step.params is not None:
      cast = [jnp.asarray(p).astype(computing_dtype(p)) for p in step.params]
      params = step.treedef.unflatten(cast)
    if isinstance(state, dict) and not state:
      state = self.inner.init(updates if params is None else params)  # it has no leaves
    updates, state = self.extended.update(updates, state, params, **step.extra)
    flow = step.leaves(updates, ("updates",))
    return flow, (state if jax.tree.leaves(state) else {})

  def describe(self, params: Any, names: Any) -> Any:
    state = jax.eval_shape(self.inner.init, params)
    if not jax.tree.leaves(state):
      return {}
    return optax.tree.map_params(self.inner, lambda _, name: name, state, names, transform_non_params=lambda _: SCALAR)


def _takes_extra(inner: Any) -> bool:
  return isinstance(inner, optax.GradientTransformationExtraArgs) or not isinstance(inner, optax.GradientTransformation)


def foreign_name(inner: Any) -> str:
  """The name of an Optax transform: that of the function that made it."""
  for function in (inner.update, inner.init):
    made_by, _, local = getattr(function, "__qualname__", "").partition(".<locals>")
    if local and made_by != "with_extra_args_support":
      return made_by
  return type(inner).__name__.lower()
