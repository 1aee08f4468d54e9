"""A 64 × 64 grid of learning rates and momenta in one compiled call, against a loop over the compiled single run.

The loops' times are those of a random sample of the grid's settings, multiplied up to all of them.
`loop/grid` leaves out the making of the loop's optimizers, done before the clock starts;
`making_loop/grid` makes each in its turn, as one would write it. The grid's time is all of
`sensitivity`, its checks and copies included. Neither side keeps the paths.
"""

import functools

import harness
import jax
import jax.numpy as jnp
import numpy as np

import gradxform as gx
from gradxform import objectives
from gradxform.trajectories import sensitivity

SIDE, STEPS, SAMPLE, ROUNDS = 64, 200, 128, 9


@functools.partial(jax.jit, static_argnames="fn")
def run(optimizer, start, *, fn):
  """The last value of one run, as a user would write it."""

  def step(carry, _):
    point, state = carry
    return optimizer.step(jax.grad(fn)(point), state, point), None

  (point, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=STEPS)
  return fn(point)


def compare(known, low, high):
  grid = {"learning_rate": np.geomspace(low, high, SIDE), "momentum": np.linspace(0.0, 0.98, SIDE)}
  settings = [(float(a), float(m)) for a in grid["learning_rate"] for m in grid["momentum"]]
  chosen = np.random.default_rng(0).choice(len(settings), SAMPLE, replace=False)
  optimizers = [gx.momentum(settings[i][0], momentum=settings[i][1]) for i in chosen]
  start = jnp.asarray(known.start, jnp.float32)

  def at_once():
    return sensitivity(gx.momentum(low), known, STEPS, grid=grid).values

  def one_by_one():
    return [jax.block_until_ready(run(optimizer, start, fn=known.fn)) for optimizer in optimizers]

  def made_one_by_one():
    made = (gx.momentum(settings[i][0], momentum=settings[i][1]) for i in chosen)
    return [jax.block_until_ready(run(optimizer, start, fn=known.fn)) for optimizer in made]

  together, alone = at_once().ravel()[chosen], np.array(one_by_one())  # compiles both
  finite = np.isfinite(together) & np.isfinite(alone)
  agree = np.isclose(together, alone, rtol=1e-2, atol=1e-6) | ~finite
  sides = [at_once, one_by_one, made_one_by_one]
  grid_seconds, *samples = harness.by_turns(sides, ROUNDS)
  loop_seconds, making_seconds = ([s * len(settings) / SAMPLE for s in sample] for sample in samples)
  median, low_ratio, high_ratio = harness.ratio(loop_seconds, grid_seconds)
  return {
    "objective": f"{known.name}, n={known.n}",
    "settings": len(settings),
    "steps": STEPS,
    "loop_settings_timed": SAMPLE,
    "loop/grid": median,
    "low": low_ratio,
    "high": high_ratio,
    "making_loop/grid": harness.ratio(making_seconds, grid_seconds)[0],
    "grid_milliseconds": 1e3 * min(grid_seconds),
    "loop_milliseconds_extrapolated": 1e3 * min(loop_seconds),
    "agreeing": f"{agree.sum()} of {SAMPLE}",
  }


def main():
  rows = [
    compare(objectives.bowl(), 1e-3, 1.0),
    compare(objectives.rosenbrock(), 1e-5, 1e-2),
    compare(objectives.rosenbrock(n=100), 1e-5, 1e-2),
    compare(objectives.logistic_regression(), 1e-3, 10.0),
  ]
  harness.record("sensitivity", rows)


if __name__ == "__main__":
  main()
