"""Paths of optimizers over objectives: one, a race of several, from many starts, with many settings."""

from gradxform.trajectories._convergence import Convergence, convergence, convergence_table
from gradxform.trajectories._grid import Basin, Sensitivity, basin, sensitivity
from gradxform.trajectories._path import Trajectory, race, record, write_csv
from gradxform.trajectories._theory import BestRates, best_rates, linear_rate

__all__ = [
  # one path, and several
  "Trajectory",
  "race",
  "record",
  "write_csv",
  # the ends of many
  "Basin",
  "Sensitivity",
  "basin",
  "sensitivity",
  # how fast
  "BestRates",
  "Convergence",
  "best_rates",
  "convergence",
  "convergence_table",
  "linear_rate",
]
