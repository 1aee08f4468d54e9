"""Paths on a surface: just above it, never lost behind it."""

import jax.numpy as jnp
import numpy as np
import pytest
from pictures import INF, NAN, assert_readable, legend_texts, path

import gradxform as gx
from gradxform import objectives
from gradxform.objectives import Objective
from gradxform.plotting import style_of, surface
from gradxform.plotting._field import field
from gradxform.plotting._surface import Surface

SPIRAL = [[1.5 * np.cos(t) * 0.9**t, 1.5 * np.sin(t) * 0.9**t] for t in range(12)]
BOX = np.array([[-2.0, 2.0], [-2.0, 2.0]])
HILL = Objective("hill", lambda p: jnp.exp(-4 * (p**2).sum()), start=[0.0, 1.9], window=BOX)


def lines_of(figure, color):
  return [line for line in figure.axes[0].lines if line.get_color() == color]


def points_of(line):
  return np.column_stack(line.get_data_3d())


@pytest.mark.parametrize(
  "paths",
  [
    [path(SPIRAL)],
    [path(SPIRAL), path([[1, 1], [-3, 1], [INF, NAN]], optimizer=gx.adam(0.1))],
    [path([[NAN, NAN], [NAN, NAN]])],
    [path([[3, 3], [4, 4]], name="a name that is too long for one line of the legend")],
  ],
)
def test_all_texts_can_be_read(paths):
  assert_readable(surface(paths))


@pytest.mark.parametrize("azimuth", [-60, -30, -150, 30, 60, 120])
def test_all_texts_can_be_read_from_every_side(azimuth):
  rosenbrock = objectives.rosenbrock()
  assert_readable(surface(path([[-1.2, 1], [1, 1]], objective=rosenbrock), azimuth=azimuth))


def test_paths_run_just_above_the_surface_between_the_steps_too():
  figure = surface(path([[-1, -1], [1, 1]]))
  seen, _ = lines_of(figure, style_of(path(SPIRAL)).color)
  x, y, height = points_of(seen).T
  assert len(x) > 50
  np.testing.assert_allclose(height * 8, x**2 + y**2, atol=0.15)
  assert (height * 8 > x**2 + y**2).all()
  assert np.flatnonzero(seen.get_markevery()).tolist() == [0, len(x) - 1]


def test_paths_are_drawn_above_the_surface_whatever_their_depth():
  figure = surface(path(SPIRAL))
  axes = figure.axes[0]
  assert not axes.computed_zorder
  assert min(line.get_zorder() for line in axes.lines) > max(c.get_zorder() for c in axes.collections)


def test_what_a_hill_hides_is_pale_and_dotted_and_said_so():
  around = path([[1.9, 0], [0, 1.9], [-1.9, 0], [0, -1.9]], objective=HILL)
  figure = surface(around, elevation=10, azimuth=0)
  seen, hidden = (points_of(line) for line in lines_of(figure, style_of(around).color))
  front, back = np.array([1.9, 0]), np.array([-1.9, 0])
  assert (np.abs(seen[:, :2] - front).max(axis=1) < 1e-6).any()
  assert (np.abs(hidden[:, :2] - back).max(axis=1) < 1e-6).any()
  assert (np.isnan(seen).any(axis=1) != np.isnan(hidden).any(axis=1)).all()
  _, line = lines_of(figure, style_of(around).color)
  assert line.get_linestyle() == ":" and line.get_alpha() < 1
  assert legend_texts(figure)[-1] == "behind the surface"


def test_nothing_is_said_of_what_is_hidden_where_nothing_is():
  assert "behind the surface" not in legend_texts(surface(path(SPIRAL), elevation=89))


def test_the_viewer_stands_where_the_least_is_hidden():
  behind = path([[-0.6, 0.6], [-1.2, 1.2]], objective=HILL)

  def hidden(**options):
    return np.isfinite(points_of(lines_of(surface(behind, elevation=15, **options), style_of(behind).color)[1])).any()

  assert hidden(azimuth=-60)
  assert not hidden()


def test_the_sight_of_a_point_ends_at_the_surface():
  shown = Surface(HILL, field(HILL, BOX, 101), BOX, 1.0)
  points = np.array([[1.5, 0, 0.01], [-1.5, 0, 0.01], [-1.5, 0, 1.2], [-1.5, 1.9, 0.1]])
  assert shown.hides(points, 10.0, 0.0).tolist() == [False, True, False, False]
  assert shown.hides(points, 10.0, 180.0).tolist() == [True, False, False, False]
  assert not shown.hides(points, 89.0, 0.0).any()


def test_the_heights_of_a_ravine_are_on_a_scale_that_is_named():
  subtitle = surface(path([[-1.2, 1], [1, 1]], objective=objectives.rosenbrock())).texts[1].get_text()
  assert "heights ∝ (f − least f)^0." in subtitle.replace("\u00a0", " ")
  assert "heights" not in surface(path(SPIRAL)).texts[1].get_text()


def test_the_numbers_of_the_heights_are_values_of_the_objective():
  figure = surface(path([[-1.2, 1], [1, 1]], objective=objectives.rosenbrock()))
  assert_readable(figure)
  shown = field(objectives.rosenbrock(), objectives.rosenbrock().box, 161)
  for tick in figure.axes[0].zaxis.get_major_ticks():
    gap = shown.top * tick.get_loc() ** (1 / (2 * shown.power))
    assert gap == pytest.approx(float(tick.label1.get_text()), rel=0.02, abs=1e-3)


def test_an_objective_that_is_nowhere_finite_is_said_to_be():
  nowhere = Objective("nowhere", lambda p: p[0] * jnp.nan, start=[1.0, 1.0], window=BOX)
  figure = surface(path([[1, 1]], objective=nowhere, values=[NAN]))
  assert [text.get_text() for text in figure.axes[0].texts] == ["not finite in this window"]


def test_angles_are_finite():
  with pytest.raises(ValueError, match=r"`surface\(azimuth=\.\.\.\)` must be a finite number"):
    surface(path(SPIRAL), azimuth=NAN)
