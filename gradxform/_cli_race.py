"""`gradxform race`: several optimizers descend on one objective; their paths, in pictures and a table."""

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

import gradxform as gx
from gradxform import trajectories
from gradxform._cli_explain import makers, point_as_text
from gradxform._cli_expression import Language, read, split
from gradxform._cli_interrupt import remembered_interrupt
from gradxform._cli_parser import INTERRUPTED, Parser, UsageError, count, failed, joined, seed, value
from gradxform.objectives import OBJECTIVES, Objective
from gradxform.trajectories import Trajectory
from gradxform.trajectories._labels import labels

_MOST_VARIABLES = 1000
_NONE = "—"

_DESCRIPTION = """\
Lets optimizers descend on an objective from one start, in float64. Writes paths.csv and the
curves of the values, values.png; for two variables also the level sets with all paths,
levels.png, and the surface, surface.png; for one variable the graph with all paths, line.png.
"""

_EPILOG = """\
An optimizer is a name, or an expression as Python has it, with its own settings:

  gradxform race --optimizers "sgd,adam(0.1, b1=0.8),chain(clip_by_global_norm(1.0), momentum)"

What its brackets say goes before --learning-rate and --momentum. Any transform that `gradxform
list` shows may stand in it. One that diverges says so in the table; the command succeeds.
"""


def race(argv: list[str], prog: str) -> int:
  """Races, prints the table, and writes the paths and their pictures.

  Args:
    argv: the options.
    prog: the name of the command, for its messages.

  Returns:
    The exit code.
  """
  import rich  # noqa: F401  all that is needed is imported before the work begins
  import tqdm  # noqa: F401  likewise

  import gradxform.plotting  # noqa: F401  likewise

  options = parse(argv, prog)
  options.output.mkdir(parents=True, exist_ok=True)
  with jax.enable_x64(True), remembered_interrupt() as interrupt_if_asked:
    try:
      paths = _raced(options, interrupt_if_asked)
    except KeyboardInterrupt:
      return failed("interrupted before the race was over: there is nothing to save.", INTERRUPTED)
    _print_results(paths, options)
    for name, write in _files(options).items():
      write(paths, options.output / name)
      print(options.output / name, flush=True)
      interrupt_if_asked()
  return 0


def _raced(options: argparse.Namespace, interrupt_if_asked: Callable[[], None]) -> dict[str, Trajectory]:
  """The paths by name; each optimizer is compiled for itself, which takes most of the time."""
  from tqdm import tqdm

  names = labels(options.optimizers)
  settings = {"objective": options.objective, "steps": options.steps, "start": options.start, "seed": options.seed}
  paths = {}
  with tqdm(total=len(names), unit="optimizer", desc=options.objective.name, dynamic_ncols=True) as bar:
    for name, optimizer in zip(names, options.optimizers, strict=True):
      bar.set_postfix_str(name)
      try:
        paths |= trajectories.race({name: optimizer}, **settings)
      except (ValueError, TypeError) as error:  # what an expression lacks shows when it runs
        raise UsageError(f"--optimizers {name!r}: {error}") from None
      bar.update()
      interrupt_if_asked()
  return paths


def _files(options: argparse.Namespace) -> dict[str, Callable[[Mapping[str, Trajectory], Path], object]]:
  """What to write, by name: functions of the paths and of where to write."""
  from gradxform import plotting

  def drawn(draw: Callable[..., Any]) -> Callable[[Mapping[str, Trajectory], Path], object]:
    return lambda paths, path: draw(paths, title=options.title).savefig(path)

  files: dict[str, Any] = {"paths.csv": trajectories.write_csv}
  if options.objective.n == 1:
    files["line.png"] = drawn(plotting.line)
  elif options.objective.n == 2:
    files |= {"levels.png": drawn(plotting.level_sets), "surface.png": drawn(plotting.surface)}
  files["values.png"] = drawn(plotting.values)
  if options.animate:
    files["race.gif"] = lambda paths, path: plotting.animate(paths, path, title=options.title)
  return files


def parse(argv: list[str], prog: str) -> argparse.Namespace:
  """Reads the options; ``objective`` and ``optimizers`` are made.

  Raises:
    UsageError: for an option, a name or a value that does not exist.
  """
  options, rest = _parser(prog).parse_known_args(joined(argv))
  if rest:
    raise UsageError(
      f"`race` has no option {rest[0].partition('=')[0]!r}. The list of optimizers is one word, in quotes, and the "
      f'settings of each stand in its brackets: --optimizers "sgd,adam(b1=0.8)". See `{prog} --help`.'
    )
  options.title = options.objective.strip()
  options.objective = read(options.objective, _OBJECTIVES)
  shared = {"learning_rate": options.learning_rate, "momentum": options.momentum}
  options.optimizers = [read(text, _transforms(shared)) for text in split(options.optimizers, "--optimizers")]
  n = options.objective.n
  if options.start is not None and len(options.start) != n:
    wanted = "1 number" if n == 1 else f"{n} numbers"
    raise UsageError(f"--start must be {wanted} for {options.title}, got {len(options.start)}.")
  if options.animate and n > 2:
    raise UsageError(f"--animate draws one or two variables, {options.title} has {n}. Leave it out.")
  options.output = options.output or Path("runs", f"race-{options.objective.name}")
  return options


def _parser(prog: str) -> Parser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = Parser(prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=raw)
  add = parser.add_argument
  about = 'one that `gradxform list` shows, such as "rosenbrock(n=10)" (default: bowl)'
  add("--objective", default="bowl", metavar="NAME", help=about)
  field = "sgd,momentum,adagrad,rmsprop,adam"
  add("--optimizers", default=field, metavar="LIST", help=f"what races, by commas (default: {field})")
  about = "of all that need one and were given none; where it has a default, as in newton, it keeps that (default: 0.4)"
  add("--learning-rate", type=value, default=0.4, metavar="VALUE", help=about)
  about = "of all that have one and were given none; with 0.9 the path on the bowl circles (default: 0.5)"
  add("--momentum", type=value, default=0.5, metavar="VALUE", help=about)
  add("--steps", type=count, default=20, metavar="N", help="steps of each (default: 20)")
  add("--start", type=_point, metavar="X,Y", help="where all start (default: the objective's start)")
  about = "how near to the least value counts as reached, in the table (default: 0.001)"
  add("--tolerance", type=_tolerance, default=1e-3, metavar="VALUE", help=about)
  add("--seed", type=seed, default=0, metavar="N", help="of optimizers that draw random numbers (default: 0)")
  add("--animate", action="store_true", help="write race.gif too: the paths as they grow")
  add("--output", type=Path, metavar="DIR", help="where to write, overwriting (default: runs/race-OBJECTIVE)")
  return parser


def _point(text: str) -> list[float]:
  try:
    point = [float(number) for number in text.strip("()[] ").split(",")]
  except ValueError:
    point = [math.nan]
  if not all(map(math.isfinite, point)):
    raise argparse.ArgumentTypeError(f"must be finite numbers, with commas between them, got {text!r}")
  return point


def _tolerance(text: str) -> float:
  number = value(text)
  if not isinstance(number, (int, float)) or isinstance(number, bool) or not 0 < number < math.inf:
    raise argparse.ArgumentTypeError(f"must be a number greater than 0, got {text!r}")
  return float(number)


def _bounded(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
  """No further arguments; refuses more variables than a race can record."""
  n = given.get("n")
  if isinstance(n, int) and n > _MOST_VARIABLES:
    raise ValueError(f"`{name}(n=...)` must be at most {_MOST_VARIABLES} here, got {n}.")
  return {}


_OBJECTIVES = Language("--objective", "objective", "rosenbrock(n=10)", OBJECTIVES, completion=_bounded)


def _transforms(shared: Mapping[str, Any]) -> Language:
  """Expressions of transforms: what all share fills the arguments that were left out."""

  def complete(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = getattr(gx, name).signature.parameters
    missing = [argument for argument in shared if argument in parameters and argument not in given]
    # A learning rate with a default is of another kind: a share of a step that already has its length.
    return {a: shared[a] for a in missing if a != "learning_rate" or parameters[a].default is parameters[a].empty}

  factories = {name: getattr(gx, name) for name in makers()}
  example = "adam(learning_rate=0.1)"
  return Language("--optimizers", "optimizer or transform", example, factories, nested=True, completion=complete)


def _print_results(paths: Mapping[str, Trajectory], options: argparse.Namespace) -> None:
  from rich import box
  from rich.console import Console
  from rich.table import Table

  objective = options.objective
  print(f"{options.title}: {objective.formula}")
  print(*(path.optimizer for path in paths.values()), sep="\n")
  table = Table(box=box.SIMPLE_HEAD)
  table.add_column("")
  for heading in (f"steps to {options.tolerance:g}", "final value", "final distance"):
    table.add_column(heading, justify="right")
  for name, path in paths.items():
    table.add_row(name, *_cells(path, options.tolerance))
  Console(highlight=False).print(table)
  print(_summary(options))
  if diverged := [name for name, path in paths.items() if path.diverged]:
    print(f"diverged: {', '.join(diverged)}. Try a smaller --learning-rate, or one in the brackets.")
  if objective.n > 2:
    print(f"The values alone are drawn: level sets and surface are of two variables, this has {objective.n}.")


def _cells(path: Trajectory, tolerance: float) -> tuple[str, str, str]:
  steps = path.steps_to(tolerance)
  reached = _NONE if steps is None else str(steps)
  if path.diverged:
    return reached, "diverged", _NONE
  distance = path.final_distance
  return reached, f"{path.final_value:.4g}", f"{distance:.4g}" if math.isfinite(distance) else _NONE


def _summary(options: argparse.Namespace) -> str:
  objective: Objective = options.objective
  steps = "1 step" if options.steps == 1 else f"{options.steps} steps"
  start = point_as_text(objective.start if options.start is None else options.start)
  least = f"the least value is {objective.minimum:.6g}" if math.isfinite(objective.minimum) else "no value is the least"
  return f"{steps} from {start}; {least}"
