"""Pictures of convergence."""

import numpy as np
import pytest

import gradxform as gx
from gradxform import objectives
from gradxform.plotting import convergence_plot, style_of
from gradxform.trajectories import convergence, race

pytestmark = pytest.mark.usefixtures("float64")


def analyses(optimizers, known, steps=30, **options):
  return [convergence(t, **options) for t in race(optimizers, known, steps).values()]


def legend_of(figure):
  return [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]


def test_every_path_is_drawn_in_its_colour_and_named_with_kind_rate_and_theory():
  several = analyses([gx.sgd(0.4), gx.newton(), gx.adam(0.4)], objectives.bowl())
  figure = convergence_plot(several)
  left, right = figure.axes
  colours = [line.get_color() for line in left.lines]
  for each in several:
    assert style_of(each.trajectory).color in colours
  sgd, newton, _, theory, _ = legend_of(figure)
  assert sgd.split() == ["sgd", "linear", "rate", "0.92,", "in", "theory", "0.92"]
  assert newton.split() == ["newton", "finite", "in", "theory", "0"]
  assert theory == "rate in theory"
  assert [t.get_text() for t in right.texts] == ["1", "2", "3"]


def test_errors_are_plotted_against_steps_and_against_the_last():
  (only,) = analyses([gx.sgd(0.4)], objectives.bowl())
  left, right = convergence_plot(only).axes
  np.testing.assert_allclose(left.lines[0].get_ydata(), only.errors)
  np.testing.assert_allclose(right.lines[0].get_xdata(), only.errors[:-1])
  np.testing.assert_allclose(right.lines[0].get_ydata(), only.errors[1:])
  assert (left.get_yscale(), right.get_xscale(), right.get_yscale()) == ("log", "log", "log")


@pytest.mark.parametrize("start", [[0.0, 0.0], [np.nan, 1.0], [1e200, 1e200]])
def test_what_cannot_be_drawn_raises_nothing(start, tmp_path):
  paths = race([gx.sgd(0.4), gx.sgd(30.0)], objectives.bowl(), 200, start=start)
  convergence_plot([convergence(t) for t in paths.values()]).savefig(tmp_path / "plot.png")


def test_several_objectives_and_none_are_refused():
  mixed = analyses([gx.sgd(0.4)], objectives.bowl()) + analyses([gx.sgd(0.001)], objectives.rosenbrock())
  with pytest.raises(ValueError, match=r"all of one objective and measure, got \['distance on bowl', 'distance on ros"):
    convergence_plot(mixed)
  with pytest.raises(ValueError, match="got none"):
    convergence_plot([])
