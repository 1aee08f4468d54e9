"""Paths that grow, as a moving picture."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from gradxform._checks import check_integer, check_number, rejected
from gradxform.plotting._drawing import Panel, Scene
from gradxform.plotting._levels import plane_scene
from gradxform.plotting._line import line_scene
from gradxform.plotting._looks import GREY
from gradxform.plotting._paths import Trajectories, as_sequence
from gradxform.plotting._style import MARGIN

_DPI = 90
_LAST_SECONDS = 2.5
_FASTEST = 50  # frames per second that viewers of GIF show; they slow faster ones down to 10
_COLORS = 255  # and one that stands for what does not change
_MOST_FRAMES = 1000


def animate(
  trajectories: Trajectories,
  path: str | os.PathLike[str],
  *,
  title: str = "",
  window: Any = None,
  frames_per_second: float = 10,
  max_frames: int = 120,
) -> None:
  """Writes a GIF of paths that grow over the level sets, or in one dimension over the graph.

  Args:
    trajectories: one, several, or what `race` returned; over one objective of one or two variables.
    path: where to write, ending in ``.gif``.
    title: as for `level_sets` and `line`, like the window.
    window: what to draw.
    frames_per_second: greater than 0, at most 50. The last frame stays for 2.5 seconds.
    max_frames: the greatest number of frames, at least 2; where there are more steps, each frame
      shows several.

  Raises:
    ValueError: as `level_sets`, or for an argument out of its range.
  """
  check_number("animate", frames_per_second=frames_per_second)
  if not 0 < frames_per_second <= _FASTEST:
    wanted = f"greater than 0 and at most {_FASTEST}, got {frames_per_second!r}."
    raise rejected(ValueError, "animate", "frames_per_second", frames_per_second, wanted)
  check_integer("animate", minimum=2, maximum=_MOST_FRAMES, max_frames=max_frames)
  if not os.fspath(path).lower().endswith(".gif"):
    raise rejected(ValueError, "animate", "path", path, f"a file that ends in .gif, got {os.fspath(path)!r}.")
  several = as_sequence("animate", trajectories, [1, 2])
  make = line_scene if several[0].objective.n == 1 else plane_scene
  scene = make("animate", several, title, window)
  steps = _shown_steps(max(t.steps for t in several), max_frames)
  frames = _frames(scene, steps)
  milliseconds = [round(1000 / frames_per_second)] * len(frames)
  milliseconds[-1] += round(1000 * _LAST_SECONDS)
  first, *rest = _indexed(frames)
  first.save(path, format="GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)


def _shown_steps(last: int, most: int) -> list[int]:
  """The steps that are shown: all, or evenly spaced ones, with the first and the last."""
  return sorted({round(step) for step in np.linspace(0, last, min(most, last + 1))})


def _frames(scene: Scene, steps: list[int]) -> list[Image.Image]:
  """The pictures after these steps: what does not move is drawn once."""
  figure = scene.figure
  figure.set_dpi(_DPI)
  canvas = FigureCanvasAgg(figure)
  width, height = figure.get_size_inches()
  counter = figure.text(1 - MARGIN / width, 1 - 0.1 / height, "", ha="right", va="top", color=GREY, size=11)
  moving = [counter, *(artist for panel in scene.panels for artist in (*panel.rims, *panel.lines))]
  for artist in moving:
    artist.set_animated(True)
  canvas.draw()
  background = canvas.copy_from_bbox(figure.bbox)
  frames = []
  for step in steps:
    canvas.restore_region(background)
    for panel in scene.panels:
      _grow(panel, step)
    _write(figure, counter, f"step {step}")
    frames.append(Image.fromarray(np.array(canvas.buffer_rgba())).convert("RGB"))
  return frames


def _indexed(frames: Sequence[Image.Image]) -> list[Image.Image]:
  """The frames with one palette: the colours that fill most of the first and the last one, exactly.

  Pillow's own choice, and its search for the nearest colour, tint what is white.
  """
  colors, counts = np.unique(np.stack([_packed(frames[0]), _packed(frames[-1])]), return_counts=True)
  colors = np.sort(colors[np.argsort(-counts)[:_COLORS]])
  palette = Image.new("P", (1, 1))
  palette.putpalette(np.stack([colors >> 16, (colors >> 8) & 255, colors & 255], axis=-1).astype(np.uint8).tobytes())
  indexed = []
  for frame in frames:
    packed, near = _packed(frame), frame.quantize(palette=palette, dither=Image.Dither.NONE)
    exact = np.searchsorted(colors, packed).clip(max=len(colors) - 1)
    indices = np.where(colors[exact] == packed, exact, np.asarray(near)).astype(np.uint8)
    indexed.append(Image.frombytes("P", frame.size, indices.tobytes()))
    indexed[-1].putpalette(palette.getpalette() or [])
  return indexed


def _packed(frame: Image.Image) -> np.ndarray:
  """The colours of the pixels as one number each."""
  return np.asarray(frame, np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)


def _grow(panel: Panel, step: int) -> None:
  """Draws the paths of a panel up to a step, with all rims below all lines."""
  for path, rim, line in zip(panel.paths, panel.rims, panel.lines, strict=True):
    vertices, marked = path.until(step)
    rim.set_data(*vertices.T)
    line.set_data(*vertices.T)
    line.set_markevery(marked.tolist())
  for artist in sorted([*panel.rims, *panel.lines], key=lambda artist: artist.get_zorder()):
    panel.axes.draw_artist(artist)


def _write(figure: Any, counter: Text, text: str) -> None:
  counter.set_text(text)
  figure.draw_artist(counter)
