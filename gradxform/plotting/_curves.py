"""The curves of a training."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from gradxform.plotting._looks import BLUE, GREY, VERMILLION
from gradxform.plotting._style import picture, style_axes

if TYPE_CHECKING:
  from gradxform.training import History

_HEIGHT = 3.5  # inches
_LABEL_DISTANCE = 0.075  # of the height of a panel
_LOG_FROM_RATIO = 10.0
_FEW_DECADES = 3.0
_FEW_EPOCHS = 12


def curves(history: "History", *, title: str = "", subtitle: str = "") -> Figure:
  """Draws the loss and the accuracy of a training, epoch by epoch.

  Args:
    history: what `fit` returned, with at least one epoch.
    title: what was trained, such as the optimizer's expression; long ones are wrapped.
    subtitle: on what; whether the training diverged or was interrupted is added to it.

  Returns:
    A figure; ``figure.savefig(path)`` writes it. The loss has a logarithmic axis where its values
    differ by a factor of 10 or more. Values that are not finite are left out.

  Raises:
    ValueError: if no epoch was finished.
  """
  if not history.epochs:
    raise ValueError("`curves(history=...)` must have at least one epoch, got none. Train for one.")
  subtitle = "  ·  ".join(filter(None, [subtitle, *_endings(history)]))
  figure = picture(title, subtitle, _HEIGHT, family="monospace")
  left, right = figure.subplots(1, 2)
  loss = [history.column("train_loss"), history.column("test_loss")]
  _plot(left, "cross-entropy loss", loss)
  _scale_loss(left, np.concatenate(loss))
  _label(left, loss, "{:.3g}".format)
  accuracy = [history.column("train_accuracy"), history.column("test_accuracy")]
  _plot(right, "accuracy", accuracy)
  _scale_accuracy(right, np.concatenate(accuracy))
  _label(right, accuracy, "{:.1%}".format)
  return figure


def _endings(history: "History") -> list[str]:
  """What went otherwise than planned."""
  count = len(history.epochs)
  endings = [f"diverged in epoch {count}"] if history.diverged else []
  return endings + ([f"interrupted after epoch {count}"] if history.interrupted else [])


def _plot(axes: Axes, what: str, columns: Sequence[np.ndarray]) -> None:
  """Draws a measurement on the training part, a broad line, and on the test part, a fine one."""
  epochs = np.arange(1, len(columns[0]) + 1)
  few = len(epochs) <= _FEW_EPOCHS
  for column, colour, width in zip(columns, (BLUE, VERMILLION), (2.2, 1.5), strict=True):
    finite = np.where(np.isfinite(column), column, np.nan)
    dots = {"marker": "o", "markersize": width + 2.5, "markevery": 1 if few else [-1]}
    axes.plot(epochs, finite, color=colour, linewidth=width, **dots)
  style_axes(axes, x="epoch")
  axes.set_title(what, loc="left", size=10)
  axes.set_xlim(0.5 if few else 0, len(epochs) + 0.5)
  axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _scale_loss(axes: Axes, values: np.ndarray) -> None:
  """A logarithmic axis for values of different magnitudes, otherwise one from 0."""
  positive = values[np.isfinite(values) & (values > 0)]
  if not positive.size:
    axes.yaxis.set_major_locator(NullLocator())
    axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", color=GREY)
    return
  ratio = positive.max() / positive.min()
  if ratio < _LOG_FROM_RATIO:
    axes.set_ylim(0, 1.08 * positive.max())
    return
  axes.set_yscale("log", nonpositive="mask")
  if np.log10(ratio) <= _FEW_DECADES:
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _scale_accuracy(axes: Axes, values: np.ndarray) -> None:
  """An axis in percent, which shows no differences smaller than the measurement can have."""
  low, high = values.min(), values.max()
  margin = max(0.06 * (high - low), 0.005)
  axes.set_ylim(max(low - margin, -0.01), min(high + margin, 1.01))
  axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def _label(axes: Axes, columns: Sequence[np.ndarray], written: Callable[[float], str]) -> None:
  """Writes the last values at the ends of the lines, right of the panel, where they hide nothing."""
  heights = _apart([_height(axes, column) for column in columns])
  for part, column, colour, height in zip(("train", "test"), columns, (BLUE, VERMILLION), heights, strict=True):
    axes.annotate(
      f"{part} {written(column[-1])}",
      (1.0, height),
      xycoords="axes fraction",
      xytext=(4, 0),
      textcoords="offset points",
      color=colour,
      size=9,
      va="center",
      annotation_clip=False,
    )


def _height(axes: Axes, column: np.ndarray) -> float:
  """Where the last finite value stands, as a fraction of the panel's height."""
  finite = column[np.isfinite(column)]
  if not finite.size:
    return 0.5
  (_, height), (_, low), (_, high) = axes.transScale.transform([(1.0, y) for y in (finite[-1], *axes.get_ylim())])
  return float(np.clip((height - low) / (high - low), 0.0, 1.0))


def _apart(heights: Sequence[float]) -> list[float]:
  """Moves two labels apart where they would overlap."""
  first, second = heights
  missing = _LABEL_DISTANCE - abs(first - second)
  if missing <= 0:
    return [first, second]
  up = missing / 2 if first >= second else -missing / 2
  return [first + up, second - up]
