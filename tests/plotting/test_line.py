"""Paths on the graph of an objective of one variable, and below it by step."""

import jax.numpy as jnp
import numpy as np
import pytest
from pictures import INF, NAN, assert_readable, legend_texts, path

import gradxform as gx
from gradxform import objectives
from gradxform.objectives import Objective
from gradxform.plotting import line

WAVY = objectives.wavy()
PICTURES = {
  "one": [path([1.5, -1.0, 0.5])],
  "several": [path([1.5, -1.0, 0.5]), path([1.5, 1.4, 1.3], optimizer=gx.adam(0.1))],
  "diverging": [path([1.5, -3.0, 9.0, INF, NAN])],
  "not finite": [path([NAN, NAN])],
}


def drawn(axes, name="sgd"):
  return next(line for line in axes.lines if line.get_label() == name)


@pytest.mark.parametrize("paths", PICTURES.values(), ids=PICTURES)
def test_all_texts_can_be_read(paths):
  assert_readable(line(paths))


def test_steps_lie_on_the_graph_and_below_it_one_under_the_other():
  top, bottom = line(path([1.5, -1.0, 0.5])).axes
  np.testing.assert_allclose(drawn(top).get_xydata(), [[1.5, 2.25], [-1, 1], [0.5, 0.25]])
  np.testing.assert_allclose(drawn(bottom).get_xydata(), [[1.5, 0], [-1, 1], [0.5, 2]])
  assert bottom.yaxis_inverted()
  assert all(all(drawn(axes).get_markevery()) for axes in (top, bottom))


def test_the_graph_is_that_of_the_objective():
  top, _ = line(path([10.0, 5.0], objective=WAVY, values=[0, 1])).axes
  x, y = next(curve for curve in top.lines if len(curve.get_xdata()) > 100).get_data()
  np.testing.assert_allclose(y, x * np.cos(0.15 * np.pi * x), atol=1e-4)
  assert top.get_xlim() == (-11, 11)


def test_start_minimum_and_local_minimum_stand_on_the_graph():
  figure = line(path([10.0, 5.0], objective=WAVY, values=[0, 1]))
  assert legend_texts(figure) == ["sgd", "start", "minimum", "local minimum"]
  top, _ = figure.axes
  for name in ("start", "minimum", "local minimum"):
    ((x, y),) = drawn(top, name).get_xydata()
    assert y == pytest.approx(x * np.cos(0.15 * np.pi * x), abs=1e-4)


def test_a_path_that_leaves_and_diverges_is_cut_off_and_said_so():
  figure = line(PICTURES["diverging"])
  assert legend_texts(figure)[0] == "sgd leaves the window at step 1 diverged at step 3"
  for axes in figure.axes:
    low, high = sorted(axes.get_ylim())
    x, y = drawn(axes).get_xydata().T
    assert np.nanmax(np.abs(x)) <= 2 + 1e-6
    assert np.nanmin(y) >= low and np.nanmax(y) <= high


def test_paths_that_meet_on_the_graph_are_apart_below():
  _, bottom = line([path([1.5, 0.5, 0.1]), path([1.5, 1.0, 0.5], optimizer=gx.adam(0.1))]).axes
  sgd, adam = (drawn(bottom, name).get_xydata() for name in ("sgd", "adam"))
  assert not {tuple(row) for row in sgd[1:]} & {tuple(row) for row in adam[1:]}


def test_a_graph_with_gaps_and_one_without_values_are_drawn():
  root = Objective("root", lambda p: jnp.sqrt(p[0]), start=[1.0], window=(-1, 3))
  assert_readable(line(path([1.0, 0.5], objective=root, values=[1, 0.7])))
  nowhere = Objective("nowhere", lambda p: p[0] * jnp.nan, start=[1.0], window=(-1, 3))
  figure = line(path([1.0, 1.0], objective=nowhere, values=[NAN, NAN]))
  assert "not finite in this window" in [text.get_text() for text in figure.axes[0].texts]
