"""Cells, colours and axes of heat maps."""

import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from pictures import BOWL, NAN, assert_readable

from gradxform.objectives import Objective
from gradxform.plotting._heat import DIVERGED, color_scale, draw_cells, edges_of, gaps_of, is_log_spaced

UNKNOWN = Objective("unknown", BOWL.fn, start=[1.0, 1.0])


@pytest.mark.parametrize(
  ("values", "log"),
  [
    (np.geomspace(1e-3, 1, 7), True),
    (np.linspace(0.1, 1, 7), False),
    ([1, 2], False),
    ([0, 0, 0], False),
    ([1, 2, 4], True),
  ],
)
def test_values_of_a_constant_ratio_are_log_spaced(values, log):
  assert is_log_spaced(np.array(values)) == log


def test_cells_reach_halfway_to_their_neighbours():
  np.testing.assert_allclose(edges_of(np.array([1, 2, 4])), [0.5, 1.5, 3, 5])
  np.testing.assert_allclose(edges_of(np.array([1, 4, 16]), log=True), [0.5, 2, 8, 32])


@pytest.mark.parametrize("value", [0.0, -3.0, 0.1])
def test_a_single_value_has_a_cell_too(value):
  low, high = edges_of(np.array([value]))
  assert low < value < high


def test_gaps_are_distances_from_the_minimum_if_it_is_known():
  gaps, what = gaps_of(np.array([3.0, np.inf, NAN]), Objective("f", BOWL.fn, start=[0.0, 0.0], minimum=1.0), 5)
  np.testing.assert_array_equal(gaps, [2, NAN, NAN])
  assert what == "f − minimum after 5 steps"
  assert gaps_of(np.array([3.0]), UNKNOWN, 5) == (np.array([3.0]), "f after 5 steps")


def test_the_scale_of_colours_is_logarithmic_and_ends_at_what_is_of_interest():
  scale = color_scale(np.array([1e-3, 1, 10, 1e30]), BOWL, 10.0)
  assert isinstance(scale, LogNorm)
  assert scale.vmax == 10
  assert not isinstance(color_scale(np.array([1.0, 2.0]), UNKNOWN, 10.0), LogNorm)


@pytest.mark.parametrize("gaps", [[NAN, NAN], [0, 0], [1, 1], [0, NAN], [1e-320, 1], [1e30, 2e30]])
def test_any_values_have_a_scale_and_are_drawn(gaps):
  gaps = np.array(gaps)
  scale = color_scale(gaps, BOWL, 1.0)
  assert scale.vmin < scale.vmax
  figure = Figure(layout="constrained")
  draw_cells(figure.subplots(), np.arange(3), np.arange(2), gaps[None], scale, "f")
  assert_readable(figure)


def test_cells_that_diverged_have_a_colour_of_their_own():
  axes = Figure().subplots()
  gaps = np.array([[1.0, NAN, 0.1]])
  draw_cells(axes, np.arange(4), np.arange(2), gaps, color_scale(gaps, BOWL, 1.0), "f")
  diverged, cells = axes.collections
  assert np.ma.getmaskarray(diverged.get_array()).tolist() == [[True, False, True]]
  assert np.ma.getmaskarray(cells.get_array()).tolist() == [[False, True, False]]
  assert to_hex(diverged.get_cmap()(0.0)).upper() == DIVERGED


def test_the_colour_bar_points_to_values_beyond_its_ends():
  for gaps, ends in [([1e-30, *np.geomspace(0.1, 1, 200)], "min"), ([0.1, 1, 1e9], "max"), ([0.1, 0.5, 1], "neither")]:
    figure = Figure()
    axes = figure.subplots()
    cells = np.array([gaps])
    draw_cells(axes, np.arange(len(gaps) + 1), np.arange(2), cells, color_scale(cells, BOWL, 1.0), "f")
    (bar,) = axes.child_axes
    assert bar._colorbar.extend == ends
