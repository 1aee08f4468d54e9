"""Transform: a gradient transformation that is an expression and a pytree of its hyperparameters."""

import collections
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradxform import _checks
from gradxform import tree as trees
from gradxform.parts import Chain, Foreign, Like, Part, Scope, State, Step, foreign_name
from gradxform.tree import Params, Updates

__all__ = ["Hyperparameter", "Transform", "named"]

Schedule = Callable[[jax.Array], Any]
Hyperparameter = float | jax.Array | Schedule
"""What a numeric hyperparameter may be: a number, a scalar array (traced or not), a schedule."""

P = ParamSpec("P")


@jax.tree_util.register_pytree_node_class
class Static:
  """Part of an expression that is structure, not a leaf: a name, a flag, a callable."""

  def __init__(self, value: Any):
    self.value = value

  def __eq__(self, other: object) -> bool:
    return isinstance(other, Static) and type(self.value) is type(other.value) and self.value == other.value

  def __hash__(self) -> int:
    try:
      return hash(self.value)
    except TypeError:
      return id(type(self.value))

  def tree_flatten(self) -> tuple[tuple[()], "Static"]:
    return (), self

  @classmethod
  def tree_unflatten(cls, aux: "Static", children: tuple[()]) -> "Static":
    del children
    return aux


def is_opaque(value: Any) -> bool:
  """Whether the value is one argument of an expression, not a container of arguments."""
  return isinstance(value, (Static, optax.GradientTransformation))


class Transform(optax.GradientTransformationExtraArgs):
  """A gradient transformation: ``init(params) -> state``, ``update(updates, state, params, **extra)``.

  It *is* an `optax.GradientTransformationExtraArgs`, prints as the expression that makes it, and
  is a pytree: its leaves are its numeric hyperparameters, everything else is structure. So it can
  be passed to `jax.jit`, mapped by `jax.vmap` over a population, differentiated by `jax.grad`.
  Transforms are made by the functions of this package, or by your own under `named`.

  Attributes:
    factory: the function that made it.
    arguments: the arguments it was made with, by name.
    scope: what it must see: each element alone, one array, or the whole tree.
  """

  def __new__(cls, factory: Any, wrapped: Mapping[str, Any]) -> "Transform":
    self = tuple.__new__(cls, (None, None))
    self.__dict__.update(factory=factory, _wrapped=dict(wrapped))
    return self

  def __init__(self, *args: Any):
    del args  # everything is set by `__new__`

  # An expression.

  @property
  def name(self) -> str:
    """The name it has in an expression and in a state."""
    return self.arguments["name"] if self.factory.names_itself else self.factory.__name__

  @functools.cached_property
  def arguments(self) -> dict[str, Any]:
    unwrap = lambda leaf: leaf.value if isinstance(leaf, Static) else leaf  # noqa: E731
    return {name: jax.tree.map(unwrap, v, is_leaf=is_opaque) for name, v in self._wrapped.items()}

  @functools.cached_property
  def body(self) -> Any:
    """What it stands for: the expression that its factory returns."""
    args, kwargs = [], {}
    for name, parameter in self.factory.signature.parameters.items():
      value = self.arguments[name]
      match parameter.kind:
        case parameter.VAR_POSITIONAL:
          args.extend(value)
        case parameter.VAR_KEYWORD:
          kwargs.update(value)
        case parameter.KEYWORD_ONLY:
          kwargs[name] = value
        case _:
          args.append(value)
    return self.factory.build(*args, **kwargs)

  @functools.cached_property
  def part(self) -> Part:
    return part_of(self.body)

  @functools.cached_property
  def _root(self) -> Chain:
    return Chain(stages_of(self))

  @property
  def scope(self) -> Scope:
    return self.part.scope

  def __repr__(self) -> str:
    return _print(self)

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Transform):
      return NotImplemented
    mine, structure = jax.tree.flatten(self)
    theirs, other_structure = jax.tree.flatten(other)
    return structure == other_structure and all(map(_same, mine, theirs))

  def __ne__(self, other: object) -> bool:
    return not self == other

  def __hash__(self) -> int:
    leaves, structure = jax.tree.flatten(self)
    return hash((structure, tuple(np.shape(x) if _checks.is_array(x) else x for x in leaves)))

  # A tuple of two functions, as Optax has it.

  def __iter__(self) -> Iterator[Any]:
    return iter((self.init, self.update))

  def __getitem__(self, index: Any) -> Any:
    return (self.init, self.update)[index]

  def __setattr__(self, name: str, value: Any) -> NoReturn:
    raise AttributeError(f"a transform cannot be changed: `gx.replace(t, {{{name!r}: {value!r}}})`.")

  def __reduce__(self) -> Any:
    return Transform, (self.factory, self._wrapped)

  # At work.

  def init(self, params: Params) -> State:
    """Makes the state for these parameters.

    Args:
      params: a tree of floating-point or complex arrays; `None` leaves pass.

    Returns:
      A dict: ``count``, the number of updates made (int32, 0), and the state of each stage by
      its name. Stages without state leave no trace.

    Raises:
      TypeError: for a leaf that is not floating-point or complex.
    """
    self._check_closed()
    leaves, treedef = jax.tree.flatten(params)
    _checks.check_leaves("the parameter", leaves, lambda: trees.paths(treedef))
    state, _ = self._root.init([Like.of(leaf) for leaf in leaves], treedef)
    return {"count": jnp.zeros((), np.int32), **state}

  def update(
    self, updates: Updates, state: State, params: Params | None = None, **extra: Any
  ) -> tuple[Updates, State]:
    """Transforms the updates, and advances the state.

    Args:
      updates: gradients, or what came out of an earlier transform: a tree like the parameters.
      state: what `init` or the last `update` returned.
      params: the parameters, where a rule reads them.
      **extra: what rules ask for by name (``value``, ``key``, …); unknown ones are ignored.

    Returns:
      The updates, each in the dtype in which it came, and the state, its structure, shapes and
      dtypes unchanged. Everything between is computed in float32 at least.

    Raises:
      ValueError: where trees or shapes do not fit, or something that a rule reads is missing.
      TypeError: for a leaf that is not floating-point or complex.
    """
    flow, new_state, leaves, treedef = self._run(updates, state, params, extra)
    rounded = [u.astype(jnp.result_type(leaf)) for u, leaf in zip(flow, leaves, strict=True)]
    return treedef.unflatten(rounded), new_state

  def step(self, grads: Updates, state: State, params: Params, **extra: Any) -> tuple[Params, State]:
    """Updates the parameters: `update` and `apply_updates` in one, rounded once.

    Args:
      grads: the gradients, a tree like the parameters.
      state: what `init` or the last `step` returned.
      params: the parameters.
      **extra: as for `update`.

    Returns:
      The new parameters, each in its own dtype, and the new state.
    """
    if params is None:
      raise _checks.missing_params(f"{self.name}.step")
    flow, new_state, _, treedef = self._run(grads, state, params, extra)
    pairs = zip(jax.tree.leaves(params), flow, strict=True)
    return treedef.unflatten([trees.add_and_round(p, u) for p, u in pairs]), new_state

  def _run(self, updates: Updates, state: State, params: Params | None, extra: Mapping[str, Any]) -> Any:
    self._check_closed()
    leaves, treedef = jax.tree.flatten(updates)
    paths = lambda: trees.paths(treedef)  # noqa: E731
    _checks.check_leaves("the update", leaves, paths)
    columns: list[Any] = [leaves]
    if params is not None:
      if (structure := jax.tree.structure(params)) != treedef:
        raise _checks.tree_mismatch("`params`", treedef, structure)
      columns.append(jax.tree.leaves(params))
      _checks.check_leaves("the parameter", columns[1], paths)
      _checks.check_shapes(leaves, columns[1], paths)
    if not isinstance(state, Mapping) or "count" not in state:
      got = state if isinstance(state, Mapping) else [type(state).__name__]
      raise _checks.state_mismatch(["count"], got)
    cast = [[jnp.asarray(x, trees.computing_dtype(*row)) for x in row] for row in zip(*columns, strict=True)]
    flow, *rest = map(list, zip(*cast, strict=True)) if cast else [[] for _ in columns]
    step = Step(treedef, state["count"], rest[0] if rest else None, extra)
    flow, new = self._root.update(flow, {k: v for k, v in state.items() if k != "count"}, step)
    new_state = {"count": optax.safe_increment(state["count"]), **new}
    if new_state.keys() != state.keys():
      raise _checks.state_mismatch(new_state, state)
    return flow, new_state, leaves, treedef

  def _check_closed(self) -> None:
    if self._root.free:
      name = min(self._root.free)
      raise ValueError(
        f"`shared({name!r})` stands outside of a `share` that defines it: "
        f"write `share(..., {name}=...)` around it."
      )


def _flatten_with_keys(t: Transform) -> Any:
  keys = tuple((jax.tree_util.GetAttrKey(name), value) for name, value in t._wrapped.items())
  return keys, (t.factory, tuple(t._wrapped))


def _flatten(t: Transform) -> Any:
  return tuple(t._wrapped.values()), (t.factory, tuple(t._wrapped))


def _unflatten(structure: Any, children: Any) -> Transform:
  factory, names = structure
  return Transform(factory, dict(zip(names, children, strict=True)))


jax.tree_util.register_pytree_with_keys(Transform, _flatten_with_keys, _unflatten, _flatten)


def _same(a: Any, b: Any) -> bool:
  if a is b:
    return True
  if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
    return False
  return np.shape(a) == np.shape(b) and bool(np.all(np.asarray(a) == np.asarray(b)))


def named(build: Callable[P, Transform | Part]) -> Callable[P, Transform]:
  """Makes of a function that returns an expression a name for that expression.

  The result remembers the function and its arguments, prints as the call, and *its leaves are its
  own numeric arguments*: a value that the body uses twice is one leaf. The body is built from them
  when it is needed.

  Args:
    build: returns a transform, ours or Optax's. Arguments that are numbers, arrays and transforms
      are leaves; those annotated ``int``, and names, flags and callables, are structure.

  Returns:
    A function with the same signature, which returns a `Transform`.

  >>> from gradxform import chain, named, scale, trace
  >>> @named
  ... def heavy_ball(learning_rate, momentum=0.9):
  ...   return chain(trace(momentum), scale(-learning_rate))
  >>> heavy_ball(0.1)
  heavy_ball(learning_rate=0.1, momentum=0.9)
  """
  signature = inspect.signature(build)
  static = {n for n, p in signature.parameters.items() if p.annotation in (int, "int", int | None, "int | None")}

  @functools.wraps(build)
  def factory(*args: Any, **kwargs: Any) -> Transform:
    try:
      bound = signature.bind(*args, **kwargs)
    except TypeError as error:
      known = ", ".join(signature.parameters)
      raise TypeError(f"`{factory.__name__}`: {error}. Its arguments are: {known}.") from None
    bound.apply_defaults()
    wrapped = {n: _wrap(value, n in static) for n, value in bound.arguments.items()}
    transform = Transform(factory, wrapped)
    transform.part  # noqa: B018  builds the body now, so that a wrong argument raises at this call
    return transform

  factory.__dict__.update(build=build, signature=signature, names_itself=False)
  factory.__signature__ = signature.replace(return_annotation=Transform)  # type: ignore[attr-defined]
  return factory


def _wrap(value: Any, static: bool) -> Any:
  """Marks what is structure; numbers become Python floats, so that `adam(1)` is `adam(1.0)`."""
  if static:
    return value if value is None else Static(value)
  if _checks.is_number(value):
    return complex(value) if isinstance(value, (complex, np.complexfloating)) else float(value)
  if isinstance(value, dict):
    value = collections.OrderedDict(value)  # JAX sorts plain dicts; the order of stages has a meaning
  mark = lambda x: x if _checks.is_number(x) or _checks.is_array(x) or isinstance(x, Transform) else Static(x)  # noqa: E731
  return jax.tree.map(mark, value, is_leaf=is_opaque)


def part_of(transform: Any) -> Part:
  """The part that a transform, ours or Optax's, becomes."""
  if isinstance(transform, Part):
    return transform
  return transform.part if isinstance(transform, Transform) else Foreign(transform)


def stages_of(transform: Any, name: str | None = None) -> list[tuple[str, Part]]:
  """The stages of a transform in a chain: those of a chain dissolve, unless it was given a name."""
  part = part_of(transform)
  if name is not None:
    return [(name, Chain(stages_of(transform)))]
  if isinstance(part, Chain):
    return list(part.stages)
  return [(transform.name if isinstance(transform, Transform) else foreign_name(transform), part)]


def _print(value: Any) -> str:
  """A value of an expression as Python."""
  if isinstance(value, Transform):
    return f"{value.factory.__name__}({', '.join(_print_arguments(value))})"
  if _checks.is_array(value):
    if isinstance(value, jax.core.Tracer) or value.shape:
      return f"{np.dtype(value.dtype).name}{list(value.shape)}"
    return repr(value.item())
  if isinstance(value, optax.GradientTransformation):
    return f"<optax {foreign_name(value)}>"
  if isinstance(value, tuple):
    return f"({', '.join(map(_print, value))}{',' if len(value) == 1 else ''})"
  if isinstance(value, Mapping):
    return f"{{{', '.join(f'{k!r}: {_print(v)}' for k, v in value.items())}}}"
  if callable(value):
    return f"<{getattr(value, '__qualname__', type(value).__name__).split('.<locals>')[0]}>"
  return repr(value)


def _print_arguments(t: Transform) -> Iterator[str]:
  for name, parameter in t.factory.signature.parameters.items():
    value = t.arguments[name]
    if parameter.kind is parameter.VAR_POSITIONAL:
      yield from map(_print, value)
    elif parameter.kind is parameter.VAR_KEYWORD:
      yield from (f"{key}={_print(v)}" for key, v in value.items())
    elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD and isinstance(value, Transform):
      yield _print(value)
    else:
      yield f"{name}={_print(value)}"
