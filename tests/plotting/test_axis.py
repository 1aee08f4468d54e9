"""The vertical axis of values: its kind, its limits, and where 0 stands."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import INF, NAN, assert_readable

from gradxform.plotting._axis import draw_axis, scale_of


def scale(values, known=True, start=None):
  values = np.array(values, float)
  return scale_of([values], known, values[:1] if start is None else np.array([start]))


@pytest.mark.parametrize(
  ("values", "known", "kind"),
  [
    ([1, 0.1, 0], True, "log"),
    ([2, 2, 2], False, "log"),
    ([1, 0, -1], False, "linear"),
    ([1, 0, -1e9], False, "symlog"),
    ([NAN, INF], True, "linear"),
    ([0, 0], True, "log"),
  ],
)
def test_the_axis_is_logarithmic_for_distances_and_positive_values(values, known, kind):
  assert scale(values, known).kind == kind


def test_values_of_0_stand_on_a_ground_below_all_others():
  log = scale([1, 1e-8, 0, -1e-9])
  assert log.limits[0] < log.ground < 1e-8
  assert log.placed(np.array([1, 1e-8, 0, -1e-9, NAN])) == pytest.approx(
    [1, 1e-8, log.ground, log.ground, NAN], nan_ok=True
  )
  assert scale([1, 1e-8]).ground is None


def test_values_far_above_the_start_and_far_below_all_do_not_stretch_the_axis():
  log = scale([1, 1e30, 1e-200])
  assert log.high == pytest.approx(1e3)
  assert log.low >= 1e-30
  assert log.ground is not None


def test_a_start_far_below_the_rest_does_not_empty_the_axis():
  log = scale([1e9, 1e12], start=1e-3)
  assert log.low <= log.high
  assert log.low == pytest.approx(1e9)


@pytest.mark.parametrize("values", [[1, 0.1, 1e-9], [1, -5, 3], [1, -1e9, 1e5], [3, 3], [0, 0]])
@pytest.mark.parametrize("known", [True, False])
def test_heights_go_back_to_values_within_the_limits(values, known):
  kind = scale(values, known)
  low, high = kind.limits
  assert low < high
  between = np.linspace(*kind.forward(np.array([kind.low, kind.high])), 7)
  np.testing.assert_allclose(kind.forward(kind.backward(between)), between, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
  ("values", "text"), [([1, 1e-3, 0], "0"), ([1, 1e-3, -1e-9], "≤ 0"), ([1, 1e-40], r"$≤10^{-40}$")]
)
def test_the_ground_says_what_stands_on_it(values, text):
  figure = Figure(layout="constrained")
  axes = figure.subplots()
  draw_axis(axes, scale(values), [np.array(values, float)])
  assert [t.get_text() for t in axes.texts] == [text]
  assert_readable(figure)


@pytest.mark.parametrize("values", [[1, 3], [1, 1e-4], [1e-200, 1], [5, 5], [-3, 3], [1, -1e30], [NAN]])
def test_all_numbers_of_the_axis_can_be_read(values):
  figure = Figure(layout="constrained")
  axes = figure.subplots()
  draw_axis(axes, scale(values, known=False), [np.array(values, float)])
  assert_readable(figure)


def test_an_axis_without_finite_values_says_so():
  axes = Figure().subplots()
  draw_axis(axes, scale([NAN]), [np.array([NAN])])
  assert [t.get_text() for t in axes.texts] == ["no finite value"]
