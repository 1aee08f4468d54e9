"""The picture of `race.py`: for each task the validation loss against steps, and against time."""

import csv
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from gradxform.plotting import _looks
from gradxform.plotting._style import add_legend_below, number, picture, style_axes

_PANEL = 3.3  # inches
_SHOWN_FROM = 0.2  # of the steps: losses that AdamW has left by then are above the panel
_X = {"step": "step", "time": "time, in steps of AdamW"}


def write(path: pathlib.Path, rows: Sequence[dict[str, Any]]) -> None:
  """Writes the curves, over those of the last race."""
  with path.open("w", newline="") as file:
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def read(path: pathlib.Path) -> dict[str, dict[str, dict[str, np.ndarray]]]:
  """The columns of a file of curves, by task and optimizer."""
  found: dict[str, dict[str, dict[str, list[float]]]] = {}
  with path.open(newline="") as file:
    for row in csv.DictReader(file):
      columns = found.setdefault(row.pop("task"), {}).setdefault(row.pop("optimizer"), {})
      for name, value in row.items():
        columns.setdefault(name, []).append(float(value))
  arrays = {
    task: {o: {k: np.array(v) for k, v in c.items()} for o, c in field.items()} for task, field in found.items()
  }
  return arrays


def draw(curves: pathlib.Path) -> Figure:
  """Draws the curves of a file: on the left against steps, on the right against time."""
  tasks = read(curves)
  names = list(dict.fromkeys(name for field in tasks.values() for name in field))
  title = "Validation loss, each optimizer with its best learning rate"
  figure = picture(title, "median of the seeds; the dotted line is the target", _PANEL * len(tasks) + 0.8)
  panels = figure.subplots(len(tasks), 2, squeeze=False)
  for (task, field), row in zip(tasks.items(), panels, strict=True):
    for axes, x in zip(row, _X, strict=True):
      draw_panel(axes, field, x)
    row[0].set_title(task, loc="left", size=10)
  add_legend_below(figure, [Line2D([], [], **style_of(name).drawn(), label=name) for name in names])
  return figure


def draw_panel(axes: Axes, field: dict[str, dict[str, np.ndarray]], x: str) -> None:
  """The lines of one task; what lies above the panel is cut off, whoever stays there has no line."""
  style_axes(axes, x=_X[x], y="loss")
  for name, curve in field.items():
    axes.plot(curve[x], curve["median"], **style_of(name).drawn(width=1.5), markevery=max(1, len(curve[x]) // 8))
  adamw = field["adamw"]
  axes.axhline(adamw["target"][0], color=_looks.GREY, linestyle=_looks.DOTTED, linewidth=1.0, zorder=1)
  axes.set_yscale("log")
  lowest = min(np.nanmin(curve["median"]) for curve in field.values())
  highest = adamw["median"][int(_SHOWN_FROM * len(adamw["median"]))]
  axes.set_ylim(lowest / (highest / lowest) ** 0.05, highest)
  axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
  axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
  axes.yaxis.set_minor_formatter(NullFormatter())
  axes.minorticks_off()
  if x == "time":
    axes.set_xscale("log")
    axes.set_xlim(left=0.8 * min(c[x][np.argmax(c["median"] <= highest)] for c in field.values()))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def style_of(name: str) -> _looks.Style:
  """The look of an optimizer in all pictures; a wrapped one has that of what is inside, in another shade."""
  if name in _looks._STYLES:
    return _looks._STYLES[name]
  return _looks._variant(_looks._STYLES[name.split()[-1]], 1)
