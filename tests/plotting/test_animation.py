"""GIFs of paths that grow: frames, times, what is on them, and what is refused."""

import numpy as np
import pytest
from pictures import INF, NAN, path
from PIL import Image

import gradxform as gx
from gradxform.objectives import Objective
from gradxform.plotting import animate, style_of
from gradxform.plotting._animation import _shown_steps

POINTS = [[1.5, 1.5], [-1.5, 1.5], [-1.5, -1.5], [1.0, -1.5]]


def frames(file):
  with Image.open(file) as image:
    pictures, times = [], []
    for index in range(image.n_frames):
      image.seek(index)
      pictures.append(np.asarray(image.convert("RGB")))
      times.append(image.info["duration"])
    return np.stack(pictures), times, image.info.get("loop")


def count(pictures, color):
  """How many pixels of each frame have nearly this colour."""
  wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
  return (np.abs(pictures.astype(int) - wanted).max(axis=-1) < 12).sum(axis=(1, 2))


def test_there_is_a_frame_for_each_step_and_the_last_stays(tmp_path):
  animate(path(POINTS), tmp_path / "path.gif", frames_per_second=5)
  pictures, times, loop = frames(tmp_path / "path.gif")
  assert len(pictures) == 4
  assert times == [200, 200, 200, 2700]
  assert loop == 0


def test_paths_grow_from_frame_to_frame_in_their_colours(tmp_path):
  several = [path(POINTS, optimizer=gx.adam(0.1)), path(0.8 * np.flip(POINTS, axis=1), optimizer=gx.newton())]
  animate(several, tmp_path / "paths.gif")
  pictures, _, _ = frames(tmp_path / "paths.gif")
  for each in several:
    assert (np.diff(count(pictures, style_of(each).color)) > 100).all()


def test_what_does_not_move_is_the_same_in_all_frames(tmp_path):
  animate(path(POINTS), tmp_path / "path.gif")
  pictures, _, _ = frames(tmp_path / "path.gif")
  changed = (pictures != pictures[:1]).any(axis=(0, 3))
  assert 0.001 < changed.mean() < 0.15
  assert (pictures[:, -5:] == 255).all()


def test_long_paths_are_shown_at_so_many_steps_only(tmp_path):
  animate(path(np.linspace([1, 1], [0, 0], 1001)), tmp_path / "path.gif", max_frames=7)
  pictures, _, _ = frames(tmp_path / "path.gif")
  assert len(pictures) == 7


@pytest.mark.parametrize(
  ("last", "most", "shown"), [(3, 10, [0, 1, 2, 3]), (10, 3, [0, 5, 10]), (0, 5, [0]), (7, 2, [0, 7])]
)
def test_the_first_and_the_last_step_are_always_shown(last, most, shown):
  assert _shown_steps(last, most) == shown


def test_one_dimension_is_drawn_on_the_graph(tmp_path):
  animate(path([1.5, -1.0, 0.5]), tmp_path / "path.gif")
  pictures, _, _ = frames(tmp_path / "path.gif")
  assert len(pictures) == 3
  assert (np.diff(count(pictures, "#000000")) > 50).all()


def test_paths_that_diverge_or_never_are_in_the_window_are_drawn(tmp_path):
  animate([path([[1, 1], [3, 3], [INF, NAN]]), path([[5, 5]])], tmp_path / "path.gif")
  assert len(frames(tmp_path / "path.gif")[0]) == 3


def test_the_file_is_small(tmp_path):
  animate(path(np.linspace([1.9, 1.9], [0, 0], 60)), tmp_path / "path.gif")
  assert (tmp_path / "path.gif").stat().st_size < 300_000


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"frames_per_second": 0}, r"`animate\(frames_per_second=\.\.\.\)` must be greater than 0 and at most 50, got 0"),
    ({"frames_per_second": 51}, "at most 50, got 51"),
    ({"max_frames": 1}, "must be from 2 to 1000, got 1"),
  ],
)
def test_arguments_out_of_range_are_refused(tmp_path, options, message):
  with pytest.raises(ValueError, match=message):
    animate(path(POINTS), tmp_path / "path.gif", **options)
  assert not list(tmp_path.iterdir())


def test_other_kinds_of_files_and_of_objectives_are_refused(tmp_path):
  with pytest.raises(ValueError, match=r"`animate\(path=\.\.\.\)` must be a file that ends in \.gif, got 'path\.mp4'"):
    animate(path(POINTS), "path.mp4")
  space = Objective("space", lambda p: (p**2).sum(), start=[1.0, 1.0, 1.0])
  with pytest.raises(ValueError, match=r"one or two variables, got 'space' of 3\. Draw it with `values`"):
    animate(path([[1, 1, 1]], objective=space), tmp_path / "path.gif")
