"""The values of an objective in a window, and levels that show valleys as well as walls."""

import jax.numpy as jnp
import numpy as np
import pytest
from pictures import BOWL

from gradxform import objectives
from gradxform.objectives import Objective
from gradxform.plotting._field import field, heights, minima_within

BOX = np.array([[-1.0, 3.0], [-2.0, 2.0]])


@pytest.mark.parametrize("name", ["bowl", "rosenbrock", "himmelblau", "rastrigin", "cubic_valley", "booth", "saddle"])
def test_a_good_part_of_the_window_lies_on_either_side_of_half_of_the_levels(name):
  objective = objectives.objective(name)
  values = field(objective, objective.box, 80)
  levels = values.levels(17)
  assert (np.diff(levels) > 0).all()
  assert levels[0] == 0 and levels[-1] >= values.top
  assert 0.2 <= np.mean(values.gaps < levels[8]) <= 0.8


def test_levels_of_a_bowl_are_about_the_squares_of_even_steps():
  values = field(BOWL, BOWL.box, 101)
  np.testing.assert_allclose(values.levels(5) / values.top, [0, 1 / 16, 1 / 4, 9 / 16, 1], atol=0.08)


def test_the_first_coordinate_runs_along_the_columns():
  slope = Objective("slope", lambda p: p[0] + 10 * p[1], start=[0.0, 0.0])
  values = field(slope, BOX, 3)
  np.testing.assert_allclose(values.gaps + values.base, [[-21, -19, -17], [-1, 1, 3], [19, 21, 23]], rtol=1e-6)


def test_the_base_is_the_known_minimum_only_where_it_is_in_the_window():
  assert field(BOWL, np.array([[-2.0, 1.9], [-2.0, 1.9]]), 8).base == 0
  assert field(BOWL, np.array([[1.0, 2.0], [1.0, 2.0]]), 8).base == pytest.approx(2)


def test_values_that_are_not_finite_are_left_out():
  log = Objective("log", lambda p: -jnp.log(p[0]) + p[1] ** 2, start=[1.0, 1.0])
  values = field(log, BOX, 41)
  assert np.isnan(values.gaps).mean() == pytest.approx(0.25, abs=0.03)
  assert np.isfinite([values.base, values.top, values.power]).all()


@pytest.mark.parametrize("fn", [lambda p: 0 * p[0] + 3, lambda p: jnp.nan * p[0], lambda p: jnp.inf + p[0]])
def test_an_objective_without_levels_has_no_greatest_gap(fn):
  assert field(Objective("flat", fn, start=[0.0, 0.0]), BOX, 8).top == 0


def test_points_beyond_the_range_of_the_dtype_have_no_finite_value():
  assert not np.isfinite(heights(BOWL, [[1e300, 0.0], [np.nan, 0.0]])).any()
  assert heights(BOWL, np.zeros((0, 2))).shape == (0,)


def test_minima_outside_of_the_window_are_not_drawn():
  minima, others = minima_within(objectives.himmelblau(), np.array([[0.0, 5.0], [0.0, 5.0]]))
  assert minima.tolist() == [[3.0, 2.0]] and len(others) == 0
