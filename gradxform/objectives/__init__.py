"""Objectives: functions to minimize, each with its formula, start, minima, window and source."""

from gradxform.objectives._line import cosh, parabola, wavy
from gradxform.objectives._logistic import logistic_regression
from gradxform.objectives._objective import OBJECTIVES, Objective, objective
from gradxform.objectives._plane import (
  beale,
  booth,
  bowl,
  cubic_valley,
  ellipse,
  himmelblau,
  saddle,
  three_hump_camel,
)
from gradxform.objectives._space import ackley, quadratic, rastrigin, rosenbrock, styblinski_tang

__all__ = [
  # what an objective is, and all of them by name
  "OBJECTIVES",
  "Objective",
  "objective",
  # of one variable
  "cosh",
  "parabola",
  "wavy",
  # of two
  "beale",
  "booth",
  "bowl",
  "cubic_valley",
  "ellipse",
  "himmelblau",
  "saddle",
  "three_hump_camel",
  # of n
  "ackley",
  "quadratic",
  "rastrigin",
  "rosenbrock",
  "styblinski_tang",
  # of data
  "logistic_regression",
]
