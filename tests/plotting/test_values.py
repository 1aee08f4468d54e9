"""The values of paths, step by step."""

import numpy as np
import pytest
from pictures import BOWL, INF, NAN, assert_readable, legend_texts, path

import gradxform as gx
from gradxform.objectives import Objective
from gradxform.plotting import values

UNKNOWN = Objective("unknown", BOWL.fn, start=[1.0, 1.0])


def run(numbers, **options):
  return path(np.ones((len(numbers), 2)), values=numbers, **options)


def line(figure, name="sgd"):
  return next(line for line in figure.axes[0].lines if line.get_label() == name)


PICTURES = {
  "falling": [run([2, 1, 0.5])],
  "to zero": [run(np.r_[np.geomspace(2, 1e-12, 30), 0, 0]), run(np.geomspace(2, 1, 32), optimizer=gx.adam(0.1))],
  "below the minimum": [run([2, 1e-7, -1e-8])],
  "diverging": [run([2, 1e3, 1e20, INF, NAN]), run([2, 1, 0.5, 0.2, 0.1], optimizer=gx.adam(0.1))],
  "not finite": [run([NAN, NAN])],
  "unknown minimum": [run([2, 1, -3], objective=UNKNOWN)],
  "unbounded": [run([2, -1e5, -1e20], objective=UNKNOWN)],
  "constant": [run([3, 3, 3])],
  "a thousand steps": [run(np.geomspace(2, 1e-5, 1000)), run(np.geomspace(2, 1e-3, 1000), optimizer=gx.adam(0.1))],
}


@pytest.mark.parametrize("paths", PICTURES.values(), ids=PICTURES)
def test_all_texts_can_be_read(paths):
  assert_readable(values(paths))


def test_values_are_drawn_as_distances_from_the_minimum():
  shifted = Objective("shifted", BOWL.fn, start=[1.0, 1.0], minimum=-3.0)
  figure = values(run([2, 1, -2.5], objective=shifted))
  np.testing.assert_allclose(line(figure).get_xydata(), [[0, 5], [1, 4], [2, 0.5]])
  assert figure.axes[0].get_ylabel() == "f − minimum"
  assert figure.axes[0].get_yscale() == "log"


def test_values_are_drawn_themselves_where_no_minimum_is_known():
  figure = values(run([2, 1, -2.5], objective=UNKNOWN))
  np.testing.assert_allclose(line(figure).get_ydata(), [2, 1, -2.5])
  assert (figure.axes[0].get_ylabel(), figure.axes[0].get_yscale()) == ("f", "linear")


def test_values_of_0_stand_on_the_line_of_0():
  figure = values(run([2, 1e-6, 0, 0]))
  ground = next(line for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1 and line.get_zorder() == 1)
  np.testing.assert_allclose(line(figure).get_ydata()[2:], ground.get_ydata()[0])
  assert ground.get_ydata()[0] < 1e-6


def test_a_path_that_diverges_is_cut_off_and_said_so():
  figure = values(PICTURES["diverging"])
  assert legend_texts(figure) == ["sgd leaves the picture at step 2 diverged at step 3", "adam"]
  _, high = figure.axes[0].get_ylim()
  assert (line(figure).get_ydata() <= high * 1.001).all()
  assert high < 1e4


def test_equal_values_are_said_to_be_the_same():
  figure = values([run([2, 1, 0.5]), run([2, 1, 0.5], optimizer=gx.adam(0.1))])
  assert legend_texts(figure)[1] == "adam looks like sgd"


def test_each_step_has_a_mark_unless_there_are_very_many():
  few, many = (line(values(run(np.geomspace(2, 1, n)))) for n in (40, 1000))
  assert sum(few.get_markevery()) == 40
  assert 10 <= sum(many.get_markevery()) <= 20


def test_marks_of_long_paths_stand_at_different_steps():
  figure = values(PICTURES["a thousand steps"])
  places = [set(np.flatnonzero(line(figure, name).get_markevery())) for name in ("sgd", "adam")]
  assert not places[0] & places[1]


def test_objectives_of_many_variables_are_drawn():
  space = Objective("space", lambda p: (p**2).sum(), start=np.ones(5), minimum=0.0, formula="Σ xᵢ²")
  figure = values(path(np.ones((3, 5)), objective=space, values=[5, 2, 1]))
  np.testing.assert_allclose(line(figure).get_ydata(), [5, 2, 1])
  assert figure.texts[1].get_text() == "f(x) = Σ xᵢ²  ·  2 steps"
