"""The checks of arguments, and the wording of every error: argument, value, remedy.

Numbers are checked. Traced arrays and schedules pass: what they will be is not known yet.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def bound(name: str, signature: inspect.Signature, args: Any, kwargs: Any) -> inspect.BoundArguments:
  """The arguments of a call by name, with the defaults; the error for wrong ones lists the right ones."""
  try:
    arguments = signature.bind(*args, **kwargs)
  except TypeError as error:
    known = ", ".join(signature.parameters) or "none"
    raise TypeError(f"`{name}`: {error}. Its arguments are: {known}.") from None
  arguments.apply_defaults()
  return arguments


def is_number(value: Any) -> bool:
  """Whether ``value`` is a Python number (a ``bool`` is not)."""
  return isinstance(value, (int, float, complex, np.number)) and not isinstance(value, bool)


def is_normal(value: Any) -> bool:
  """Whether ``value`` is a Python number that is greater than 0 in float32 too."""
  return is_number(value) and value >= float(np.finfo(np.float32).tiny)


def is_zero(value: Any) -> bool:
  """Whether ``value`` is the Python number 0."""
  return is_number(value) and value == 0


def is_array(value: Any) -> bool:
  """Whether ``value`` is an array of JAX or NumPy, traced or not."""
  return isinstance(value, (jax.Array, np.ndarray))


def rejected(kind: type[Exception], transform: str, name: str, value: Any, wanted: str) -> Exception:
  """The error for an argument: what it must be, what it is. It remembers both (see `attributed`)."""
  error = kind(f"`{transform}({name}=...)` must be {wanted}")
  error.__dict__["rejected"] = (kind, name, value, wanted)
  return error


def attributed(error: Exception, transform: str, arguments: Mapping[str, Any]) -> Exception:
  """The same error in the words of the outer call, where the value came in as one of its arguments."""
  if "rejected" not in error.__dict__:
    return error
  kind, inner_name, value, wanted = error.__dict__["rejected"]
  places = []
  for name, argument in arguments.items():
    items = argument.items() if isinstance(argument, dict) else ()
    items = enumerate(argument) if isinstance(argument, (tuple, list)) else items
    whole_and_items = [(name, argument), *((f"{name}[{index!r}]", item) for index, item in items)]
    places.extend(place for place, item in whole_and_items if item is value)
  place = inner_name if inner_name in places else next(iter(places), None)  # equal small integers are one object
  return error if place is None else rejected(kind, transform, place, value, wanted)


def _known(transform: str, name: str, value: Any) -> float | None:
  """The value as a float where it is known now; ``None`` for schedules and traced arrays."""
  wanted = "a number, a scalar array or a schedule, got "
  if is_array(value):
    if np.shape(value) != ():
      raise not_a_scalar(transform, name, value)
    if not jnp.issubdtype(value.dtype, jnp.floating) and not jnp.issubdtype(value.dtype, jnp.integer):
      raise rejected(TypeError, transform, name, value, f"{wanted}an array of {value.dtype}.")
    return None if isinstance(value, Tracer) else float(value)
  if is_number(value) and not isinstance(value, complex):
    return float(value)
  if callable(value):
    return None
  raise rejected(TypeError, transform, name, value, f"{wanted}{value!r}.")


def _require(holds: Callable[[float], bool], wanted: str, transform: str, **arguments: Any) -> None:
  for name, value in arguments.items():
    known = _known(transform, name, value)
    if known is not None and not holds(known):
      raise rejected(ValueError, transform, name, value, f"{wanted}, got {value!r}.")


def check_number(transform: str, **arguments: Any) -> None:
  """Each argument is a finite number, or an array or schedule of them."""
  _require(math.isfinite, "a finite number", transform, **arguments)


def check_fraction(transform: str, **arguments: Any) -> None:
  """Each argument lies in [0, 1)."""
  _require(lambda value: 0.0 <= value < 1.0, "in [0, 1)", transform, **arguments)


def check_unit_interval(transform: str, **arguments: Any) -> None:
  """Each argument lies in [0, 1], both ends included."""
  _require(lambda value: 0.0 <= value <= 1.0, "in [0, 1]", transform, **arguments)


def check_not_negative(transform: str, **arguments: Any) -> None:
  """Each argument is finite and at least 0."""
  _require(lambda value: 0.0 <= value < math.inf, "finite and at least 0", transform, **arguments)


def check_positive(transform: str, **arguments: Any) -> None:
  """Each argument is greater than 0; infinity, a bound that never binds, is allowed."""
  _require(lambda value: value > 0.0, "greater than 0", transform, **arguments)


def check_less(transform: str, **pair: Any) -> None:
  """Of two arguments, the first is less than the second."""
  (name, value), (bound, limit) = pair.items()
  low, high = _known(transform, name, value), _known(transform, bound, limit)
  if low is not None and high is not None and not low < high:
    raise rejected(ValueError, transform, name, value, f"less than `{bound}`, {limit!r}, got {value!r}.")


def check_greater(transform: str, minimum: float, **arguments: Any) -> None:
  """Each argument is greater than the minimum."""
  _require(lambda value: value > minimum, f"greater than {minimum}", transform, **arguments)


def check_bounded(transform: str, *, minimum: float = -math.inf, maximum: float = math.inf, **arguments: Any) -> None:
  """Each argument lies between the bounds, which are included; one of them is given."""
  wanted = f"at most {maximum}" if minimum == -math.inf else f"at least {minimum}"
  _require(lambda value: minimum <= value <= maximum, wanted, transform, **arguments)


def check_flag(transform: str, **arguments: Any) -> None:
  """Each argument is a Python bool: it chooses an expression."""
  for name, value in arguments.items():
    if not isinstance(value, bool):
      raise rejected(TypeError, transform, name, value, f"True or False, got {value!r}.")


def check_length(transform: str, length: int, **arguments: Any) -> None:
  """Each argument is a tuple, or list, of so many hyperparameters."""
  for name, value in arguments.items():
    if not isinstance(value, (tuple, list)) or len(value) != length:
      raise rejected(TypeError, transform, name, value, f"a tuple of {length}, got {value!r}.")


def check_integer(transform: str, *, minimum: int, maximum: int | None = None, **arguments: Any) -> None:
  """Each argument is a Python integer within the bounds; it shapes the program."""
  wanted = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
  for name, value in arguments.items():
    if not isinstance(value, int) or isinstance(value, bool):
      raise rejected(TypeError, transform, name, value, f"a Python integer, got {value!r}.")
    if value < minimum or (maximum is not None and value > maximum):
      raise rejected(ValueError, transform, name, value, f"{wanted}, got {value!r}.")


def check_choice(transform: str, known: Sequence[str], **arguments: Any) -> None:
  """Each argument is one of the known names."""
  for name, value in arguments.items():
    if value not in known:
      raise rejected(ValueError, transform, name, value, f"one of {', '.join(map(repr, known))}, got {value!r}.")


def check_transform(combinator: str, name: str, value: Any) -> None:
  """The argument is a gradient transformation, ours or Optax's."""
  if not (callable(getattr(value, "init", None)) and callable(getattr(value, "update", None))):
    hint = f" Call it first: `{value.__name__}(...)`." if hasattr(value, "__name__") else ""
    wanted = f"a gradient transformation, with `init` and `update`, got {value!r}.{hint}"
    raise rejected(TypeError, combinator, name, value, wanted)


def check_real(transform: str, u: Any) -> None:
  """The updates are real: the rule compares them, and complex numbers have no order."""
  if jnp.iscomplexobj(u):
    raise TypeError(
      f"`{transform}` is not defined for complex updates, got {u.dtype}. "
      "Split them with `optax.contrib.split_real_and_imaginary`, or take `absolute()` first."
    )


def check_leaves(what: str, leaves: Sequence[Any], paths: Callable[[], Sequence[str]]) -> None:
  """Every leaf is an array (or number) of floating-point or complex type."""
  for index, leaf in enumerate(leaves):
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
      dtype = jnp.result_type(leaf) if is_number(leaf) or isinstance(leaf, bool) else type(leaf).__name__
    if not isinstance(dtype, str) and jnp.issubdtype(dtype, jnp.inexact):
      continue
    raise TypeError(
      f"{what} {paths()[index]!r} has dtype {dtype}; gradients and parameters must be "
      "floating-point or complex arrays. Keep other leaves out of the tree, put `None` in "
      "their place, or wrap the transform in `optax.masked`."
    )


def check_shapes(updates: Sequence[Any], params: Sequence[Any], paths: Callable[[], Sequence[str]]) -> None:
  """Every update has its parameter's shape, and is not complex where that is real."""
  for index, (update, param) in enumerate(zip(updates, params, strict=True)):
    if np.shape(update) != np.shape(param):
      raise ValueError(
        f"the update of {paths()[index]!r} has shape {np.shape(update)}, its parameter has "
        f"shape {np.shape(param)}. Pass the gradient with respect to these parameters."
      )
    if jnp.iscomplexobj(update) and not jnp.iscomplexobj(param):
      raise TypeError(
        f"the update of {paths()[index]!r} is complex ({jnp.result_type(update)}), its parameter "
        f"is real ({jnp.result_type(param)}). Take its real part before `update`."
      )


def tree_mismatch(what: str, expected: Any, got: Any) -> ValueError:
  """The error for a tree whose structure is not that of the updates."""
  return ValueError(
    f"{what} must have the tree structure of the updates, {expected}, got {got}. "
    "Pass trees made from the same parameters."
  )


def as_scalar(transform: str, name: str, value: Any) -> Any:
  """A hyperparameter's value at this step: a Python number, or a scalar array of floats."""
  if is_number(value) and not isinstance(value, complex):
    return value
  dtype = value.dtype if isinstance(value, (jax.Array, np.ndarray)) else np.dtype(object)
  if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
    raise rejected(TypeError, transform, name, value, f"a number at every step, got {value!r}.")
  if np.shape(value) != ():
    raise not_a_scalar(transform, name, value)
  return value if jnp.issubdtype(dtype, jnp.floating) else jnp.asarray(value, jnp.result_type(float))


def matches_nothing(transform: str, name: str, pattern: str, what: str, known: Iterable[str]) -> ValueError:
  """The error for a glob that fits none of the names there are."""
  names = ", ".join(map(repr, known)) or "none"
  return ValueError(f"`{transform}({name}=...)`: {pattern!r} matches no {what}. They are: {names}.")


def wrong_result(transform: str, slots: Sequence[str], got: Any) -> TypeError:
  """The error for a rule that does not return what its slots ask for."""
  wanted = f"a tuple (u, {', '.join(slots)})" if slots else "the update alone"
  shown = f"a tuple of {len(got)}" if isinstance(got, tuple) else type(got).__name__
  return TypeError(f"the rule of `{transform}` must return {wanted}, got {shown}.")


def slot_mismatch(transform: str, slot: str, expected: Any, got: Any) -> Exception:
  """The error for updates that do not fit what is kept of earlier ones, in shape or in kind."""
  kind = ValueError if isinstance(expected, tuple) else TypeError
  return kind(
    f"`{transform}`: the state's {slot!r} is {expected}, the update gives {got}. "
    "Pass updates of the parameters from which `init` made the state."
  )


def check_same_entries(new: Any, old: Any, path: str = "") -> None:
  """The state that comes out has the entries of the one that came in, at every depth."""
  if isinstance(new, dict) and isinstance(old, Mapping):
    if new.keys() != old.keys():
      raise state_mismatch([path + key for key in map(str, new)], [path + key for key in map(str, old)])
    for key in new:
      check_same_entries(new[key], old[key], f"{path}{key}/")


def state_mismatch(expected: Iterable[str], got: Iterable[str]) -> ValueError:
  """The error for a state that another expression has made."""
  return ValueError(
    f"the state must have the entries {sorted(expected)}, got {sorted(got)}. "
    "It was made by another transform: make it with `init` of this one."
  )


def unbound(name: str) -> ValueError:
  """The error for a shared value that nothing around it defines."""
  return ValueError(
    f"`shared({name!r})` stands outside of a `share` that defines it: write `share(..., {name}=...)` around it."
  )


def missing_params(transform: str) -> ValueError:
  """The error for an update without the parameters that a rule reads."""
  return ValueError(f"`{transform}` needs the parameters: pass `params` to `update`.")


def missing_extra(transform: str, name: str) -> ValueError:
  """The error for an update without an extra argument that a rule reads."""
  calls = {"grad_fn": "jax.grad(lambda params: loss(params, batch))", "logits_fn": "lambda params: f(params, inputs)"}
  value = calls.get(name, "...")
  return ValueError(f"`{transform}` needs the extra argument `{name}`: pass `{name}={value}` to `update` or `step`.")


def not_a_scalar(transform: str, name: str, value: Any) -> Exception:
  """The error for a hyperparameter that is an array of many values."""
  wanted = (
    f"a scalar, got an array of shape {np.shape(value)}. Make a population of optimizers by "
    "`jax.vmap` over the values, and use it inside `jax.vmap`: `jax.vmap(train)(population)`."
  )
  return rejected(ValueError, transform, name, value, wanted)
