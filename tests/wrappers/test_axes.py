"""Patterns of axes, against NumPy's reshape and transpose."""

import numpy as np
import pytest

from gradxform.wrappers._axes import AxisPattern


def whole(*shape):
  return np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.parametrize(
  ("text", "shape", "by_hand"),
  [
    ("rows columns -> columns rows", (2, 3), lambda x: x.T),
    ("d (3 h) -> 3 d h", (4, 6), lambda x: np.stack([x[:, :2], x[:, 2:4], x[:, 4:]])),
    ("d (h 3) -> 3 d h", (4, 6), lambda x: np.stack([x[:, 0::3], x[:, 1::3], x[:, 2::3]])),
    ("d (part=2 n=2 h) -> part d (n h)", (3, 8), lambda x: np.stack([x[:, :4], x[:, 4:]])),
    ("d n h -> n d h", (4, 2, 3), lambda x: x.transpose(1, 0, 2)),
    ("... d n h -> ... d (n h)", (5, 4, 2, 3), lambda x: x.reshape(5, 4, 6)),
    ("... i o -> (... i) o", (3, 3, 2, 4), lambda x: x.reshape(18, 4)),
    ("... i o -> (... i) o", (2, 4), lambda x: x),
    ("first ... last -> ... first last", (2, 5, 6, 3), lambda x: x.transpose(1, 2, 0, 3)),
    ("n -> () n", (4,), lambda x: x[None]),
    ("d (3 h) -> 3 d h", (0, 6), lambda x: x.reshape(3, 0, 2)),
    ("d (3 h) -> 3 d h", (4, 0), lambda x: x.reshape(3, 4, 0)),
  ],
)
def test_arrays_are_cut_turned_and_merged_and_come_back(text, shape, by_hand):
  x = whole(*shape)
  view = AxisPattern(text).fitted("w", shape)
  np.testing.assert_array_equal(view.of(x), by_hand(x))
  assert view.matrices == by_hand(x).shape
  np.testing.assert_array_equal(view.back(view.of(x)), x)


def test_what_is_smaller_is_spread_over_the_matrices_on_the_way_back():
  view = AxisPattern("d (2 h) -> 2 d h").fitted("w", (3, 4))
  spread = view.back(np.asarray([1.0, 2.0]).reshape(2, 1, 1))
  np.testing.assert_array_equal(spread, np.repeat([[1.0, 1.0, 2.0, 2.0]], 3, axis=0))


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("d (3 h)", "two sides with one '->'"),
    ("a -> b -> c", "two sides with one '->'"),
    ("d (3 h) -> 3 d", "the same axes on both sides, got 'h' on one"),
    ("d h -> ... d h", r"the same axes on both sides, got '\.\.\.' on one"),
    ("d (3 3 h) -> 3 3 d h", "each axis once on each side, got '3' twice"),
    ("d (a b) -> a d b", r"all lengths but one .* got '\(a b\)' in 'd \(a b\) -> a d b'. Write 'a=8'"),
    ("d [3 h] -> 3 d h", "names, numbers"),
    ("d (3 (h)) -> 3 d h", "names, numbers"),
    ("d (3 h -> 3 d h", r"a '\)' for each '\('"),
    ("d -> d", "an axis of rows and one of columns at the end"),
    ("a b ... -> a b ...", "an axis of rows and one of columns at the end"),
    ("d (0 h) -> 0 d h", "lengths of at least 1, got 0 of '0'"),
    ("(... a=2) b -> ... a b", r"no '\.\.\.' with others in parentheses on the left"),
    ("d h -> d h=3", "lengths on the left alone, got 'h=3' on the right"),
  ],
)
def test_what_is_no_pattern_is_refused_when_it_is_read(text, message):
  with pytest.raises(ValueError, match=message):
    AxisPattern(text)


@pytest.mark.parametrize(
  ("text", "shape", "message"),
  [
    ("d (3 h) -> 3 d h", (4, 7), r"does not fit 'a/b' of shape \(4, 7\): axis 1 must be a multiple of 3."),
    ("d (3 h) -> 3 d h", (4,), r"shape \(4,\): it is for 2 axes."),
    ("... i o -> (... i) o", (4,), r"shape \(4,\): it is for at least 2 axes."),
    ("3 d h -> 3 d h", (2, 4, 5), r"shape \(2, 4, 5\): axis 0 must be 3."),
  ],
)
def test_what_does_not_fit_says_where_and_why(text, shape, message):
  with pytest.raises(ValueError, match=message):
    AxisPattern(text).fitted("a/b", shape)
