"""Paths over level sets: which lines, what the legend says, and that texts can be read."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_hex
from pictures import BOWL, INF, NAN, assert_readable, legend_texts, path

import gradxform as gx
from gradxform import objectives
from gradxform.objectives import Objective
from gradxform.plotting import level_sets, style_of

SPIRAL = [[1.5 * np.cos(t) * 0.9**t, 1.5 * np.sin(t) * 0.9**t] for t in range(12)]
DIVERGING = [[1, 1], [-1.5, 1], [1.9, 3], [INF, NAN], [NAN, NAN]]
NAMES = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "nadam", "amsgrad", "adamax"]
PICTURES = {
  "one": [path(SPIRAL)],
  "ten": [path(np.array(SPIRAL) * (1 - 0.05 * k), optimizer=getattr(gx, n)(0.1)) for k, n in enumerate(NAMES)],
  "long names": [
    path(SPIRAL, name="chain(" + "scale_by_adam(b1=0.9), " * 6 + "x" * 70),
    path(SPIRAL, name=r"$x_1$ \n"),
  ],
  "diverging": [path(DIVERGING), path(SPIRAL, optimizer=gx.adam(0.1))],
  "not finite": [path([[NAN, NAN], [NAN, NAN]]), path([[1, 1], [1, 1]], values=[NAN, INF])],
  "many steps": [path(np.linspace([-1, -1], [0, 0], 500))],
}


def lines_of(figure):
  """The lines of paths by name; rims, starts and minima have other labels."""
  return {line.get_label(): line for line in figure.axes[0].lines}


def marked(line):
  return line.get_xydata()[np.array(line.get_markevery())]


@pytest.mark.parametrize("paths", PICTURES.values(), ids=PICTURES)
def test_all_texts_can_be_read(paths):
  assert_readable(level_sets(paths, title="a race"))


@pytest.mark.parametrize("name", ["rosenbrock", "saddle", "himmelblau", "beale"])
def test_all_texts_can_be_read_on_objectives_of_other_sizes(name):
  objective = objectives.objective(name)
  assert_readable(level_sets(path([objective.start, objective.start + 0.1], objective=objective)))


def test_there_is_a_mark_at_each_step():
  line = lines_of(level_sets(path(SPIRAL)))["sgd"]
  np.testing.assert_allclose(marked(line), SPIRAL)
  assert line.get_marker() == style_of(path(SPIRAL)).marker


def test_each_path_has_the_colour_of_its_optimizer_above_a_white_rim():
  figure = level_sets(PICTURES["ten"])
  lines = lines_of(figure)
  for each in PICTURES["ten"]:
    assert to_hex(lines[each.name].get_color()).upper() == style_of(each).color
  rims = [line for line in figure.axes[0].lines if line.get_color() == "white" and line.get_linestyle() == "-"]
  assert len(rims) == 10
  assert max(rim.get_zorder() for rim in rims) < min(lines[name].get_zorder() for name in NAMES)


def test_start_and_minimum_are_marked_and_named():
  figure = level_sets(path(SPIRAL))
  lines = lines_of(figure)
  np.testing.assert_allclose(lines["start"].get_xydata(), SPIRAL[:1])
  np.testing.assert_allclose(lines["minimum"].get_xydata(), [[0, 0]])
  assert legend_texts(figure) == ["sgd", "start", "minimum"]


def test_a_path_that_leaves_and_diverges_is_cut_off_and_said_so():
  figure = level_sets(PICTURES["diverging"])
  assert legend_texts(figure)[:2] == ["sgd leaves the window at step 2 diverged at step 3", "adam"]
  line = lines_of(figure)["sgd"]
  np.testing.assert_allclose(marked(line), [[1, 1], [-1.5, 1]])
  assert np.abs(line.get_xydata()).max() == pytest.approx(2)


def test_two_paths_that_coincide_are_both_seen_and_said_to_be_the_same():
  figure = level_sets([path(SPIRAL), path(SPIRAL, optimizer=gx.adam(0.1))])
  assert legend_texts(figure)[1] == "adam looks like sgd"
  lower, upper = (lines_of(figure)[name] for name in ("sgd", "adam"))
  assert lower.get_zorder() < upper.get_zorder()
  assert lower.get_linewidth() > upper.get_linewidth()
  assert lower.get_markersize() > upper.get_markersize()


def test_the_legend_lies_outside_of_the_axes_and_of_the_colour_bar():
  figure = level_sets(PICTURES["ten"])
  assert_readable(figure)
  axes = figure.axes[0]
  bar = axes.child_axes[0]
  assert axes.get_legend().get_window_extent().x0 > max(axes.bbox.x1, bar.get_tightbbox().x1)


def test_the_heading_has_the_formula_the_steps_and_the_start():
  title, subtitle = (text.get_text() for text in level_sets(path(SPIRAL)).texts)
  assert title == "bowl"
  assert subtitle == "f(x, y) = x² + y²  ·  11 steps  ·  from (1.5, 0)"
  title, subtitle = (text.get_text() for text in level_sets([path(SPIRAL), path([[1, 1]])], title="a race").texts)
  assert (title, subtitle) == ("a race", "f(x, y) = x² + y²")


def test_the_window_is_what_is_drawn():
  axes = level_sets(path(SPIRAL), window=((-1, 2), (0, 1))).axes[0]
  assert (axes.get_xlim(), axes.get_ylim()) == ((-1, 2), (0, 1))


def test_both_directions_have_the_same_unit_unless_the_window_is_very_long():
  assert level_sets(path(SPIRAL)).axes[0].get_aspect() == 1
  assert level_sets(path(SPIRAL), window=((-2, 2), (-0.1, 0.1))).axes[0].get_aspect() == "auto"


def test_where_the_objective_is_not_finite_is_said_in_the_legend():
  log = Objective("log", lambda p: -jnp.log(p[0]) + p[1] ** 2, start=[1.0, 1.0], window=((-1, 2), (-1, 1)))
  assert legend_texts(level_sets(path([[1, 1], [0.5, 0.5]], objective=log)))[-1] == "f is not finite"
  assert "f is not finite" not in legend_texts(level_sets(path(SPIRAL)))


@pytest.mark.parametrize(
  ("fn", "note"),
  [(lambda p: 0 * p[0], "constant in this window"), (lambda p: p[0] * jnp.nan, "not finite in this window")],
)
def test_an_objective_without_level_sets_is_said_to_have_none(fn, note):
  flat = Objective("flat", fn, start=[1.0, 1.0], window=BOWL.window)
  figure = level_sets(path([[1, 1], [1, 1]], objective=flat, values=[0, 0]))
  assert [text.get_text() for text in figure.axes[0].texts] == [note]
  assert_readable(figure)
