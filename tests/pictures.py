"""What the tests of pictures share: trajectories made by hand, and the texts of a figure."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import gradxform as gx
from gradxform.objectives import Objective
from gradxform.trajectories import Trajectory

NAN, INF = float("nan"), float("inf")

BOWL = Objective(
  "bowl",
  lambda point: (point**2).sum(),
  start=[1.0, 1.0],
  formula="x² + y²",
  minima=[[0.0, 0.0]],
  minimum=0.0,
  window=((-2.0, 2.0), (-2.0, 2.0)),
)
PARABOLA = Objective(
  "parabola", lambda p: p[0] ** 2, start=[1.0], formula="x²", minima=[[0.0]], minimum=0.0, window=(-2.0, 2.0)
)


def path(points, *, name=None, optimizer=None, objective=None, values=None):
  """A trajectory along these points; its values, if not given, are those of the objective."""
  points = np.array(points, float)
  points = points[:, None] if points.ndim == 1 else points
  objective = objective or {1: PARABOLA, 2: BOWL}[points.shape[1]]
  optimizer = optimizer or gx.sgd(0.1)
  with np.errstate(all="ignore"):
    values = (points**2).sum(axis=1) if values is None else np.array(values, float)
  return Trajectory(name or optimizer.name, optimizer, objective, points, values, np.ones(len(points)))


def legend_texts(figure):
  """The entries of all legends, lines joined."""
  legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
  return [" ".join(text.get_text().split()) for legend in legends if legend for text in legend.get_texts()]


def texts(figure):
  """All the texts that are seen: tick labels within the limits, those of legends and colour bars among them."""
  ticks = set()
  for axes in _all_axes(figure):
    for axis in (axes.xaxis, axes.yaxis, getattr(axes, "zaxis", None)):
      if axis is not None:
        low, high = sorted(axis.get_transform().transform(axis.get_view_interval()))
        margin = 1e-9 * (high - low)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
          place = axis.get_transform().transform(np.array([tick.get_loc()]))[0]
          hidden = not low - margin <= place <= high + margin
          ticks.update([tick.label1, tick.label2] if hidden else [])
  found = [text for text in figure.findobj(Text) if text not in ticks]
  return [text for text in found if text.get_text().strip() and text.get_visible()]


def _all_axes(figure):
  for axes in figure.axes:
    yield axes
    yield from axes.child_axes


def boxes(figure):
  return {text: text.get_window_extent() for text in texts(figure)}


def assert_readable(figure):
  """No text is cut off, and none covers another."""
  FigureCanvasAgg(figure).draw()
  found = boxes(figure)
  for text, box in found.items():
    assert box.x0 >= 0 and box.y0 >= 0, text
    assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
  for (one, a), (other, b) in itertools.combinations(found.items(), 2):
    assert not a.padded(-1).overlaps(b.padded(-1)), (one, other)
