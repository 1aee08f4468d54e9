"""What `gradxform list` and `gradxform explain` print: read from signatures, docstrings and layouts."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

import gradxform as gx
from gradxform import combinators, optimizers, transforms, wrappers
from gradxform.objectives import OBJECTIVES

_WIDTH = 88
_KINDS = (combinators, transforms, wrappers, optimizers)
_OTHERS = "functions and classes"

_SECOND_MOMENT = gx.chain(gx.square(), gx.moving_average(0.999), gx.root(eps=1e-8))

# What stands for an argument without a default, by its name, or by that of the function with it.
ILLUSTRATIONS: dict[str, Any] = {
  # numbers
  "clipping": 0.1,
  "constant": 1e-8,
  "decay": 0.9,
  "eta": 0.01,
  "key": 0,
  "l2_norm_clip": 1.0,
  "noise_multiplier": 1.1,
  "every": 8,
  "gamma": 0.55,
  "learning_rate": 1e-3,
  "max_delta": 1.0,
  "max_norm": 1.0,
  "minimum": 1e-3,
  "name": "m",
  "start": 100.0,
  "steps": 10,
  "step_size": -0.1,
  "threshold": 1.0,
  "value": 1.0,
  "weight_decay": 1e-4,
  # by leaves
  "factors": {"*": 0.5},
  "groups": {gx.is_matrix: gx.momentum(0.1), "*": gx.adam(1e-3)},
  "where": gx.at_least_2d,
  # transforms
  "*parts": (gx.identity(), gx.trace(0.9)),
  "*stages": (gx.clip(1.0), gx.trace(0.9)),
  "**parts": {"m": gx.moving_average(0.9)},
  "body": gx.subtract(gx.identity(), gx.shared("m")),
  "by": _SECOND_MOMENT,
  "direction": gx.sign(),
  "displacement": gx.scale(-0.1),
  "inner": gx.moving_average(0.9),
  "magnitude": gx.identity(),
  "mechanize.inner": gx.adam(1.0),
  "average_parameters.inner": gx.adam(1e-3),
  "generalised_primal_averaging.inner": gx.adam(1e-3),
  "lookahead.inner": gx.adam(1e-3),
  "schedule_free.inner": gx.rmsprop(1e-3),
  "stochastic_weight_average.inner": gx.momentum(0.1),
  "minuend": gx.identity(),
  "matrices": gx.orthogonalize(),
  "numerator": gx.moving_average(0.9),
  "others": gx.scale_by_adam(),
  "rest": gx.limit_norm_growth(),
  "statistic": gx.chain(gx.square(), gx.previous(gx.moving_average(0.9)), gx.root(eps=1e-6)),
  "cautious.inner": gx.adam(1e-3),
  "subtrahend": gx.moving_average(0.9),
  "train_only.inner": gx.adam(1e-3),
}


def catalogue() -> dict[str, list[str]]:
  """Every exported name, by kind; only the last kind does not make transforms."""
  kinds = {module.__name__.removeprefix("gradxform."): list(module.__all__) for module in _KINDS}
  made = {name for names in kinds.values() for name in names}
  public = (name for name, value in vars(gx).items() if not name.startswith("_") and callable(value))
  return {**kinds, _OTHERS: sorted(set(public) - made, key=str.lower)}


def makers() -> dict[str, str]:
  """The kind of everything exported that makes a transform, by name."""
  return {name: kind for kind, names in catalogue().items() if kind != _OTHERS for name in names}


def listing() -> str:
  """Everything exported, by kind, each with the first sentence of its docstring; objectives with their formula."""
  kinds = {k: {n: first_sentence(getattr(gx, n)) for n in names} for k, names in catalogue().items()}
  kinds["objectives"] = {name: objective_formula(name) for name in OBJECTIVES}
  width = max(len(name) for lines in kinds.values() for name in lines)
  return "\n\n".join(_block(kind, [f"{name:{width}}  {what}" for name, what in kinds[kind].items()]) for kind in kinds)


def objective_formula(name: str) -> str:
  """The formula of an objective: that of its docstring, or else its own, which needs no data then."""
  factory = OBJECTIVES[name]
  return " ".join(gx.formula(factory).split()) or factory().formula


def explanation(name: str) -> str:
  """What a transform, combinator, wrapper or optimizer is, does and keeps; or what an objective is.

  Raises:
    ValueError: if none has this name.
  """
  if name in OBJECTIVES:
    return _objective_explained(name)
  kinds = makers()
  if name not in kinds:
    raise ValueError(f"no transform has the name {name!r}. They are: {', '.join(kinds)}.")
  factory = getattr(gx, name)
  blocks = [f"{name}, one of the {kinds[name]}\n" + _wrapped(summary(factory))]
  t, chosen = illustrated(factory)
  if t is not None:
    given = f" (with illustrative values for what is required: {', '.join(chosen)})" if chosen else ""
    blocks.append(_block(f"Expression{given}", textwrap.wrap(repr(t), _WIDTH, break_on_hyphens=False)))
    blocks.append(_block("In primitives", gx.explain(t).splitlines()))
  if formula := gx.formula(factory):
    blocks.append(_block("Formula", formula.splitlines()))
  if factory.signature.parameters:
    blocks.append(_block("Hyperparameters", _arguments(factory)))
  if t is not None:
    blocks.append(_block("State, for float32 parameters", _state(t)))
  if source := _section(factory, "Source:"):
    blocks.append("Source\n" + _wrapped(source))
  return "\n\n".join(blocks)


def _objective_explained(name: str) -> str:
  factory = OBJECTIVES[name]
  objective = factory()
  least = f"{objective.minimum:.10g}" if np.isfinite(objective.minimum) else "none"
  known = [("start", point_as_text(objective.start)), ("least value", least)]
  known += [("minimum", point_as_text(point)) for point in objective.minima]
  known += [("local minimum", point_as_text(point)) for point in objective.local_minima]
  blocks = [
    f"{name}, one of the objectives\n" + _wrapped(summary(factory)),
    _block("Formula", objective_formula(name).splitlines()),
    *([_block("Arguments", arguments)] if (arguments := _arguments(factory)) else []),
    _block("Known", _aligned(known)),
    "Source\n" + _wrapped(objective.source),
  ]
  return "\n\n".join(blocks)


def point_as_text(point: Sequence[float] | np.ndarray) -> str:
  """A point as one writes it: ``(-4, -6)``; of many coordinates the first."""
  written = [f"{x:g}" for x in point[:4]] + (["…"] if len(point) > 4 else [])
  return f"({', '.join(written)})" if len(point) > 1 else written[0]


def illustrated(factory: Any) -> tuple[gx.Transform | None, list[str]]:
  """A transform made with illustrative values for what has no default, and the names of those.

  ``None`` stands for it where an argument has no illustration.
  """
  args, kwargs, chosen = [], {}, []
  for label, parameter in _labelled(factory):
    if parameter.default is not parameter.empty or label == "**named_parts" or label == "**named_stages":
      continue
    own = f"{factory.__name__}.{label}"
    key = own if own in ILLUSTRATIONS else label
    if key not in ILLUSTRATIONS:
      return None, []
    value = ILLUSTRATIONS[key]
    chosen.append(label.lstrip("*"))
    if parameter.kind is parameter.VAR_POSITIONAL:
      args.extend(value)
    else:
      kwargs.update(value if parameter.kind is parameter.VAR_KEYWORD else {parameter.name: value})
  return factory(*args, **kwargs), chosen


def _labelled(factory: Any) -> Iterable[tuple[str, inspect.Parameter]]:
  """The parameters of a function, each with its name as a docstring has it: ``*parts``."""
  stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
  for name, parameter in inspect.signature(factory).parameters.items():
    yield stars.get(parameter.kind, "") + name, parameter


# Docstrings.


def summary(function: Callable[..., Any]) -> str:
  """The first paragraph of a docstring, in one line."""
  return " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())


def first_sentence(function: Callable[..., Any]) -> str:
  """The first sentence of a docstring."""
  return re.split(r"(?<=\.)\s", summary(function), maxsplit=1)[0]


def argument_docs(function: Callable[..., Any]) -> dict[str, str]:
  """What the docstring says of each argument, by its name there, such as ``*parts``."""
  docs: dict[str, str] = {}
  _, _, section = (inspect.getdoc(function) or "").partition("\nArgs:\n")
  name = ""
  for line in section.splitlines():
    if not line.startswith("  "):
      break
    if entry := re.match(r"  (\S+): (.*)", line):
      name, docs[entry[1]] = entry[1], entry[2]
    else:
      docs[name] = f"{docs.get(name, '')} {line.strip()}"
  return docs


def _section(function: Callable[..., Any], heading: str) -> str:
  """The paragraph of a docstring that starts with a heading, in one line, without it."""
  for paragraph in (inspect.getdoc(function) or "").split("\n\n"):
    if paragraph.startswith(heading):
      return " ".join(paragraph.removeprefix(heading).split())
  return ""


# Blocks.


def _block(title: str, lines: Sequence[str]) -> str:
  return "\n".join([title, *(f"  {line}" for line in lines)])


def _wrapped(text: str) -> str:
  return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
  """Rows in columns; the last column is not padded."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _arguments(factory: Any) -> list[str]:
  docs = argument_docs(factory)
  rows = []
  for label, parameter in _labelled(factory):
    many = label.startswith("*")
    default = "" if many else "required" if parameter.default is parameter.empty else repr(parameter.default)
    rows.append((label, default, docs.get(label, "")))
  return _aligned(rows) if rows else []


def _state(t: gx.Transform) -> list[str]:
  """The leaves of the state, and what they take."""
  if t.factory is gx.shared:
    t = gx.share(t, **{t.arguments["name"]: gx.identity()})  # it stands inside of one only
  matrix = jax.ShapeDtypeStruct((256, 128), np.float32)
  leaves = jax.tree_util.tree_leaves_with_path(gx.layout(t, matrix))
  rows, size, each, once = [], int(np.prod(matrix.shape)), 0.0, 0
  for path, leaf in leaves:
    taken = int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize
    if leaf.kind == "scalar":
      once, amount = once + taken, f"{taken} bytes"
    elif leaf.kind == "slot":
      each, amount = each + taken / size, f"{taken / size:g} bytes per parameter"
    else:
      each, amount = each + taken / size, f"{taken:,} bytes for a matrix of 256 × 128"
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    rows.append((name, np.dtype(leaf.dtype).name, leaf.kind, amount))
  return [*_aligned(rows), f"together {each:g} bytes per parameter, and {once} bytes once"]
