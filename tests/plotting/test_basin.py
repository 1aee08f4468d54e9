"""Maps of which minimum is reached from where."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from pictures import BOWL, PARABOLA, assert_readable, legend_texts

import gradxform as gx
from gradxform import objectives
from gradxform.objectives import Objective
from gradxform.plotting import basin_map
from gradxform.plotting._basin import _COLORS
from gradxform.plotting._heat import DIVERGED
from gradxform.trajectories import Basin

TWO = Objective(
  "two",
  lambda p: (p[0] ** 2 - 1) ** 2 + p[1] ** 2,
  start=[0.5, 1.0],
  minima=[[-1.0, 0.0]],
  local_minima=[[1.0, 0.0]],
  minimum=0.0,
  window=((-2.0, 2.0), (-1.0, 1.0)),
)
AXES = (np.array([-1.5, 0.0, 1.5]), np.array([-1.0, 1.0]))


def basin(values, nearest, points=None, *, objective=TWO, axes=AXES):
  values, nearest = np.array(values, float), np.array(nearest)
  points = np.zeros((*values.shape, objective.n)) if points is None else np.array(points, float)
  return Basin(gx.sgd(0.1), objective, 9, axes, values, points, nearest)


MIXED = basin([[0.1, 1e-9, np.inf], [0.2, 0.3, 0.1]], [[0, 1, -1], [0, 1, 1]])
PICTURES = {
  "mixed": MIXED,
  "one minimum": basin([[0.1, 1e-9, np.inf], [0.2, 0.3, 0.1]], [[0, 0, -1], [0, 0, 0]], objective=BOWL),
  "all diverged": basin(np.full((2, 3), np.nan), np.full((2, 3), -1)),
  "all arrived": basin(np.zeros((2, 3)), np.zeros((2, 3), int)),
  "a line": basin([0.1, 1e-9, np.inf], [0, 0, -1], objective=PARABOLA, axes=AXES[:1]),
  "a line without values": basin([np.nan] * 3, [-1] * 3, objective=PARABOLA, axes=AXES[:1]),
  "a line that explodes": basin([1e9, 0.0, 1e12], [0, 0, 0], objective=PARABOLA, axes=AXES[:1]),
}


@pytest.mark.parametrize("shown", PICTURES.values(), ids=PICTURES)
def test_all_texts_can_be_read(shown):
  assert_readable(basin_map(shown))


@pytest.mark.parametrize("name", ["himmelblau", "rastrigin", "three_hump_camel", "saddle"])
def test_all_texts_can_be_read_with_many_minima_and_with_none(name):
  objective = objectives.objective(name)
  axes = tuple(np.linspace(low, high, 4) for low, high in objective.box)
  known = len(objective.minima) + len(objective.local_minima)
  nearest = np.arange(16).reshape(4, 4) % known if known else np.full((4, 4), -1)
  assert_readable(basin_map(basin(np.geomspace(1e-9, 1, 16).reshape(4, 4), nearest, objective=objective, axes=axes)))


def test_a_cell_has_the_colour_of_the_minimum_that_is_reached_from_there():
  figure = basin_map(MIXED)
  (cells,) = figure.axes[0].collections
  colors = [[to_hex(c).upper() for c in row] for row in cells.get_cmap()(cells.norm(cells.get_array()))]
  first, second = _COLORS[:2]
  assert colors == [[first, second, DIVERGED], [first, second, second]]
  assert legend_texts(figure)[:3] == ["to the minimum (−1, 0)", "to the local minimum (1, 0)", "diverged"]


def test_the_colour_of_a_minimum_is_the_same_whichever_are_reached():
  figure = basin_map(basin(np.full((2, 3), 0.1), np.ones((2, 3), int)))
  (handle,) = [h for h in figure.legends[0].legend_handles if h.get_label() == "to the local minimum (1, 0)"]
  assert to_hex(handle.get_facecolor()).upper() == _COLORS[1]


def test_values_have_a_labelled_colour_bar_and_the_minima_are_marked():
  figure = basin_map(MIXED)
  _, right = figure.axes
  assert right.child_axes[0].get_ylabel() == "f − minimum after 9 steps"
  for axes in figure.axes:
    marks = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert marks == {"minimum": [[-1, 0]], "local minimum": [[1, 0]]}


def test_ends_out_of_the_window_belong_to_no_minimum():
  away = np.zeros((2, 3, 2))
  away[0, 0] = [-50.0, 0.0]
  figure = basin_map(basin(np.full((2, 3), 0.1), np.zeros((2, 3), int), away))
  assert legend_texts(figure)[:2] == ["to the minimum (−1, 0)", "out of the window"]


def test_where_one_minimum_is_known_the_values_are_drawn_alone():
  figure = basin_map(PICTURES["one minimum"])
  assert len(figure.axes) == 1
  assert legend_texts(figure) == ["minimum", "diverged"]


def test_in_one_dimension_starts_stand_on_the_graph_and_values_below():
  figure = basin_map(PICTURES["a line"])
  top, bottom = figure.axes
  reached, diverged, _ = top.lines
  np.testing.assert_allclose(reached.get_xydata(), [[-1.5, 2.25], [0, 0]], atol=1e-6)
  np.testing.assert_allclose(diverged.get_xydata(), [[1.5, 2.25]], atol=1e-6)
  np.testing.assert_allclose(bottom.lines[0].get_xydata(), [[-1.5, 0.1], [0, 1e-9]])
  assert bottom.lines[1].get_ydata() == pytest.approx(bottom.get_ylim()[1])
  assert legend_texts(figure) == ["to the minimum 0", "diverged", "minimum"]


def test_the_heading_names_the_optimizer_and_the_objective():
  assert [text.get_text() for text in basin_map(MIXED).texts] == ["sgd on two", "9 steps from each start"]
  assert basin_map(MIXED, title="where to").texts[0].get_text() == "where to"


def test_what_is_no_basin_is_refused():
  with pytest.raises(TypeError, match=r"`basin_map\(basin=\.\.\.\)` must be a `Basin`, got Transform\. Call `basin`"):
    basin_map(gx.sgd(0.1))
