"""Every optimizer on every objective, from random starts in twice the window: nothing raises, nothing hangs.

A run diverged where its last point or value is not finite. A finite value at a point that is not, or
a value below the known minimum, would be something lost: the script stops there.
"""

import harness
import jax
import numpy as np

import gradxform as gx
from gradxform import optimizers
from gradxform.objectives import OBJECTIVES
from gradxform.trajectories._programs import ends_by_start

STARTS, STEPS, RATE = 40, 50, 0.1


def main():
  rows, total = [], 0
  for name in optimizers.__all__:
    factory = getattr(gx, name)
    optimizer = factory(RATE) if "learning_rate" in factory.signature.parameters else factory()
    if "logits_fn" in optimizer.part.reads:  # there is no model
      continue
    diverged = reached = runs = 0
    for make in OBJECTIVES.values():
      known = make()
      low, high = known.box.T
      starts = np.random.default_rng(0).uniform(2 * low, 2 * high, (STARTS, known.n))
      points, values = ends_by_start(optimizer, starts, jax.random.key(0), fn=known.fn, steps=STEPS)
      finite = np.isfinite(points).all(axis=1)
      lost = np.isfinite(values) & ~finite
      below = (known.name != "wavy") & finite & (values < known.minimum - 1e-4 * (1 + abs(known.minimum)))
      if lost.any() or below.any():
        raise RuntimeError(f"{name} on {known.name}: {lost.sum()} lost, {below.sum()} below the minimum")
      runs, diverged = runs + STARTS, diverged + int((~np.isfinite(values)).sum())
      reached += int((np.isfinite(values) & (values <= known.minimum + 1e-3)).sum())
    total += runs
    rows.append({"optimizer": name, "objectives": len(OBJECTIVES), "runs": runs, "diverged": diverged})
    rows[-1]["within 1e-3 of the minimum"] = reached
    print(rows[-1], flush=True)
  harness.record("random_starts", rows)
  print(f"{total:,} runs")


if __name__ == "__main__":
  main()
