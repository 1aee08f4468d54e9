"""What is drawn of a path in a window, what is said of the rest, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import BOWL, INF, NAN, PARABOLA, path

import gradxform as gx
from gradxform.objectives import Objective
from gradxform.plotting import level_sets, line
from gradxform.plotting._paths import as_box, as_sequence, paths_of, visible, window_notes

BOX = np.array([[-2.0, 2.0], [-2.0, 2.0]])


def seen(points):
  vertices, reached, marked = visible(np.array(points, float), BOX)
  return vertices.tolist(), reached.tolist(), marked.tolist()


def test_a_path_in_the_window_is_drawn_as_it_is():
  points = [[1.0, 1.0], [0.5, -1.0], [2.0, 2.0]]
  assert seen(points) == (points, [0, 1, 2], [True, True, True])


def test_a_path_that_leaves_is_cut_at_the_border():
  assert seen([[0, 0], [4, 4]]) == ([[0, 0], [2, 2]], [0, 1], [True, False])


def test_a_path_that_comes_back_has_a_gap_between_its_parts():
  vertices, reached, marked = seen([[0, 0], [4, 0], [4, 1], [0, 1]])
  np.testing.assert_array_equal(vertices, [[0, 0], [2, 0], [NAN, NAN], [2, 1], [0, 1]])
  assert reached == [0, 1, 3, 3, 3]
  assert marked == [True, False, False, False, True]


def test_a_step_across_the_window_is_drawn_without_a_mark():
  assert seen([[-3, 1], [3, 1]]) == ([[-2, 1], [2, 1]], [1, 1], [False, False])


@pytest.mark.parametrize("points", [[[3, 3], [4, 5]], [[3, -3], [3, 3]], [[NAN, NAN], [NAN, 1]], [[3, 0]]])
def test_a_path_that_never_is_in_the_window_has_no_vertices(points):
  assert seen(points) == ([], [], [])


def test_a_path_ends_where_it_stops_being_finite():
  assert seen([[0, 0], [1, 0], [INF, NAN], [NAN, NAN]]) == ([[0, 0], [1, 0]], [0, 1], [True, True])


def test_a_path_that_explodes_is_cut_in_its_direction():
  vertices, _, _ = seen([[0, 0], [1e300, 1e300], [-1e300, 0]])
  assert vertices[1] == pytest.approx([2, 2])


@settings(max_examples=60, deadline=None)
@given(
  st.lists(st.tuples(*2 * [st.one_of(st.floats(-5, 5), st.sampled_from([NAN, INF, 1e30]))]), min_size=1, max_size=8)
)
def test_all_that_is_drawn_is_in_the_window_and_all_points_in_it_are_drawn(points):
  points = np.array(points)
  vertices, reached, marked = visible(points, BOX)
  drawn = ~np.isnan(vertices).any(axis=1)
  assert (np.abs(vertices[drawn]) <= 2 + 1e-6).all()
  inside = np.flatnonzero((np.abs(points) <= 2).all(axis=1))
  assert set(inside) <= set(reached[marked])
  np.testing.assert_allclose(vertices[marked], points[reached[marked]], atol=1e-6)
  assert (np.diff(reached) >= 0).all()


@pytest.mark.parametrize(
  ("points", "notes"),
  [
    ([[1, 1], [0, 0]], []),
    ([[1, 1], [3, 0], [4, 0]], ["leaves the window at step 1"]),
    ([[1, 1], [3, 0], [4, 0], [0, 0]], ["leaves the window at step 1", "in it again at step 3"]),
    ([[3, 1], [0, 0]], ["starts outside the window", "in it again at step 1"]),
    ([[3, 1], [4, 0]], ["never in the window"]),
    ([[1, 1], [3, 0], [INF, 0], [NAN, NAN]], ["leaves the window at step 1", "diverged at step 2"]),
    ([[NAN, 1], [NAN, 0]], ["diverged at step 0"]),
  ],
)
def test_the_notes_say_where_a_path_leaves_the_window_and_where_it_diverged(points, notes):
  assert window_notes(path(points), BOX) == notes


def test_a_value_that_is_not_finite_on_the_way_is_said():
  assert window_notes(path([[1, 1], [0, 1], [0, 0]], values=[2, INF, 0]), BOX) == ["not finite at step 1"]


def twins(*paths):
  drawn = [p.points for p in paths]
  return [list(p.notes) for p in paths_of(paths, drawn, BOX, [[] for _ in paths])]


def test_a_path_that_another_hides_is_said_to_be_the_same():
  points = np.array([[1, 1], [0.5, 0.5], [0.2, 0.1]])
  assert twins(path(points), path(points + 1e-4, name="b"), path(points, name="c")) == [
    [],
    ["looks like sgd"],
    ["looks like sgd"],
  ]
  assert twins(path(points), path(points + [[0, 0], [0.1, 0], [0, 0]])) == [[], []]


def test_a_path_that_goes_on_is_the_same_up_to_the_others_end():
  points = np.array([[1, 1], [0.5, 0.5], [0.2, 0.1]])
  assert twins(path(points[:2]), path(points)) == [[], ["looks like sgd up to step 1"]]


def test_shorter_paths_lie_above_longer_ones_and_are_finer():
  short, long = path([[1, 1], [0.9, 0.9]]), path([[1, 1], [-1, -1]], optimizer=gx.adam(0.1))
  for order in ([short, long], [long, short]):
    by_name = {p.name: p for p in paths_of(order, [t.points for t in order], BOX, [[], []])}
    assert by_name["sgd"].height > by_name["adam"].height
    assert by_name["sgd"].width < by_name["adam"].width


def test_the_vertices_until_a_step_are_those_of_the_steps_before():
  (only,) = paths_of([path([[0, 0], [1, 0], [4, 0], [1, 1]])], [np.array([[0, 0], [1, 0], [4, 0], [1, 1]])], BOX, [[]])
  assert [len(only.until(step)[0]) for step in range(4)] == [1, 2, 3, 6]


def test_one_several_and_a_mapping_are_accepted_and_keys_are_names():
  one = path([[1, 1]])
  assert as_sequence("f", one) == [one]
  assert as_sequence("f", [one, one]) == [one, one]
  assert [t.name for t in as_sequence("f", {"a": one, "b": one})] == ["a", "b"]


def test_an_empty_sequence_several_objectives_and_strangers_are_refused():
  for empty in ([], {}):
    with pytest.raises(ValueError, match=r"`level_sets\(trajectories=\.\.\.\)` must be at least one.*got none"):
      level_sets(empty)
  other = path([[1, 1]], objective=Objective("other", BOWL.fn, start=[0.0, 0.0]))
  with pytest.raises(
    ValueError, match=r"`level_sets\(trajectories=\.\.\.\)`.*all over one objective, got 'bowl' and 'other'"
  ):
    level_sets([path([[1, 1]]), other])
  with pytest.raises(TypeError, match=r"must be trajectories.*got Transform"):
    level_sets([gx.sgd(0.1)])


def test_another_number_of_variables_is_refused_with_what_draws_it():
  space = Objective("space", BOWL.fn, start=[1.0, 1.0, 1.0])
  with pytest.raises(ValueError, match=r"two variables, got 'space' of 3\. Draw it with `values`\."):
    level_sets(path([[1, 1, 1]], objective=space))
  with pytest.raises(ValueError, match=r"two variables, got 'parabola' of 1\. Draw it with `line`\."):
    level_sets(path([1.0]))
  with pytest.raises(ValueError, match=r"one variable, got 'bowl' of 2\. Draw it with `level_sets`\."):
    line(path([[1, 1]]))


@pytest.mark.parametrize("window", [(1, 2), ((1, 2), (2, 1)), ((0, INF), (0, 1)), "here", ((1, 2), (1,))])
def test_a_window_that_is_none_is_refused(window):
  with pytest.raises(
    ValueError, match=r"`level_sets\(window=\.\.\.\)` must be a pair \(low, high\), low < high, for each of 2"
  ):
    level_sets(path([[1, 1]]), window=window)


def test_the_window_is_the_given_one_or_the_objectives():
  only = path([[1, 1], [0, 0]])
  np.testing.assert_array_equal(as_box("f", None, [only]), BOX)
  np.testing.assert_array_equal(as_box("f", ((0, 1), (0, 3)), [only]), [[0, 1], [0, 3]])
  np.testing.assert_array_equal(as_box("f", (0, 1), [path([1.0])]), [[0, 1]])


def test_without_a_window_what_does_not_rise_above_the_start_is_shown():
  free = Objective("free", PARABOLA.fn, start=[1.0])
  exploding = path([1.0, 2.0, 1e9], objective=free)
  (low, high), *_ = as_box("f", None, [exploding, path([1.0, -0.5], objective=free)])
  assert low == pytest.approx(-0.65) and high == pytest.approx(1.15)
  (low, high), *_ = as_box("f", None, [path([NAN, NAN], objective=free)])
  assert np.isfinite([low, high]).all() and low < high
