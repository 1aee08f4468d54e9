"""Maps of final values by hyperparameters."""

import numpy as np
import pytest
from pictures import BOWL, assert_readable, legend_texts

import gradxform as gx
from gradxform.objectives import Objective
from gradxform.plotting import sensitivity_map
from gradxform.trajectories import Sensitivity

RATES, MOMENTA = np.geomspace(0.01, 1, 3), np.array([0.5, 0.9])


def outcome(values, *, optimizer=None, objective=BOWL, **axes):
  values = np.array(values, float)
  axes = axes or {"learning_rate": RATES, "momentum": MOMENTA}
  points = np.zeros((*values.shape, 2))
  return Sensitivity(optimizer or gx.momentum(0.1), objective, 9, axes, values, points)


TWO = outcome([[1, 0.1], [1e-3, np.inf], [0.2, np.nan]])
PICTURES = {
  "two": TWO,
  "one": outcome([1, 1e-3, np.inf], learning_rate=RATES),
  "one value": outcome([1.0], learning_rate=np.array([0.1])),
  "all diverged": outcome(np.full((3, 2), np.nan)),
  "one, all diverged": outcome(np.full(3, np.inf), learning_rate=RATES),
  "long names": outcome([[1, 0.1]] * 3, **{"stages/0/a/very/long/path/of/learning_rate": RATES, "*/momentum": MOMENTA}),
  "all zero": outcome(np.zeros((3, 2))),
  "unknown minimum": outcome([[1, -1]] * 3, objective=Objective("unknown", BOWL.fn, start=[1.0, 1.0])),
}


@pytest.mark.parametrize("shown", PICTURES.values(), ids=PICTURES)
def test_all_texts_can_be_read(shown):
  assert_readable(sensitivity_map(shown))


def test_the_first_hyperparameter_runs_to_the_right_and_the_second_up():
  axes = sensitivity_map(TWO).axes[0]
  diverged, cells = axes.collections
  assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning_rate", "momentum")
  assert np.ma.getmaskarray(cells.get_array()).tolist() == [[False, False, False], [False, True, True]]
  assert np.ma.getmaskarray(diverged.get_array()).tolist() == [[True, True, True], [True, False, False]]
  np.testing.assert_allclose(cells.get_array()[0], [1, 1e-3, 0.2], rtol=0.1)
  assert axes.child_axes[0].get_ylabel() == "f − minimum after 9 steps"


def test_axes_are_logarithmic_where_the_values_have_a_constant_ratio():
  axes = sensitivity_map(TWO).axes[0]
  assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
  assert sensitivity_map(PICTURES["one"]).axes[0].get_xscale() == "log"


def test_the_best_setting_is_marked_and_written_out():
  figure = sensitivity_map(TWO)
  (star,) = figure.axes[0].lines
  np.testing.assert_allclose(star.get_xydata(), [[0.1, 0.5]])
  assert legend_texts(figure) == ["best learning_rate = 0.1 momentum = 0.5 f = 0.001", "diverged"]


def test_values_that_are_not_in_order_are_sorted():
  shuffled = outcome([[1, 0.1], [1.5, 0.2], [2, 0.3]], learning_rate=np.array([0.3, 0.1, 0.2]), momentum=MOMENTA[::-1])
  axes = sensitivity_map(shuffled).axes[0]
  np.testing.assert_allclose(axes.collections[1].get_array(), [[0.2, 0.3, 0.1], [1.5, 2, 1]], rtol=0.02)
  np.testing.assert_allclose(axes.lines[0].get_xydata(), [[0.3, 0.5]])


def test_one_hyperparameter_is_a_line_with_crosses_where_it_diverged():
  figure = sensitivity_map(PICTURES["one"])
  axes = figure.axes[0]
  line, star, crosses = axes.lines[-3:]
  np.testing.assert_allclose(line.get_xydata(), [[0.01, 1], [0.1, 1e-3], [1, np.nan]])
  np.testing.assert_allclose(star.get_xydata(), [[0.1, 1e-3]])
  np.testing.assert_allclose(crosses.get_xdata(), [1])
  assert legend_texts(figure) == ["best learning_rate = 0.1 f = 0.001", "diverged"]


def test_nothing_is_best_where_all_diverged():
  assert legend_texts(sensitivity_map(PICTURES["all diverged"])) == ["diverged"]


def test_the_heading_names_the_optimizer_or_the_function_that_makes_it():
  def scheduled(learning_rate):
    return gx.sgd(learning_rate)

  for optimizer, name in [(gx.adam(0.1), "adam"), (scheduled, "scheduled"), (lambda momentum: None, "optimizers")]:
    title = sensitivity_map(outcome([[1, 0.1]] * 3, optimizer=optimizer)).texts[0].get_text()
    assert title == f"{name} on bowl"


def test_three_hyperparameters_are_refused():
  cube = outcome(np.ones((3, 2, 2)), learning_rate=RATES, momentum=MOMENTA, decay=MOMENTA)
  with pytest.raises(ValueError, match=r"one or two hyperparameters, got 3: learning_rate, momentum, decay\."):
    sensitivity_map(cube)


def test_what_is_no_sensitivity_is_refused():
  with pytest.raises(TypeError, match=r"`sensitivity_map\(sensitivity=\.\.\.\)` must be a `Sensitivity`, got dict"):
    sensitivity_map({})
