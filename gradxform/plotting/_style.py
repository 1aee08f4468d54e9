"""What all pictures share: the look of an optimizer, wherever it is drawn; figures, headings, axes and legends."""

import collections
import dataclasses
import hashlib
import io
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import ScaledTranslation

from gradxform.objectives import Objective
from gradxform.trajectories import Trajectory
from gradxform.trajectories._labels import label

# Colours that colour-blind readers can tell apart: Okabe & Ito 2008, “Color Universal Design”. Their
# yellow is too pale for a line on white.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#5A5A5A"
BLACK, ORANGE, SKY, GREEN, YELLOW, PURPLE = "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7"

WIDTH = 9.0  # inches, as are all lengths: that of a cell in a notebook
LINE_HEIGHT = 0.2
MARGIN = 0.12
_DPI = 150
_SCREEN_DPI = 96
_NOTEBOOK_DPI = 110  # notebooks are kept in version control: half the bytes of a file's 150
_TITLE_CHARACTERS = {"monospace": 100, "sans-serif": 95}
_SUBTITLE_CHARACTERS = 125
_LEGEND_CHARACTERS = 31
_LEGEND_LINE = 0.152

SOLID, DASHED, DOTTED, MIXED = "-", (0, (5, 1.6)), (0, (1.3, 1.1)), (0, (6, 1.5, 1.3, 1.5))
_MARKERS = "osD^vP<X>d"
_DASHES = (SOLID, DASHED, MIXED, DOTTED)
_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)


@dataclasses.dataclass(frozen=True)
class Style:
  """How the line of an optimizer looks.

  Attributes:
    color: as ``#RRGGBB``.
    marker: of a step, as matplotlib names it.
    dash: a matplotlib line style.
  """

  color: str
  marker: str
  dash: Any = SOLID

  def drawn(self, width: float = 1.8, size: float = 5.0) -> dict[str, Any]:
    """The keyword arguments of `Axes.plot`: the line, and markers with a white rim."""
    line = {"color": self.color, "linestyle": self.dash, "linewidth": width}
    return {
      **line,
      "marker": self.marker,
      "markersize": size,
      "markeredgecolor": "white",
      "markeredgewidth": 0.1 * size,
    }


_STYLES = {
  "sgd": Style(BLACK, "o"),
  "momentum": Style(ORANGE, "s"),
  "nesterov": Style(PURPLE, "D"),
  "adagrad": Style(GREEN, "^"),
  "adadelta": Style("#00573F", "v", DASHED),
  "rmsprop": Style(SKY, "P"),
  "centered_rmsprop": Style("#2E6E9E", "X", DASHED),
  "adam": Style(VERMILLION, "X"),
  "adamw": Style("#7A2E00", "d", DASHED),
  "amsgrad": Style("#F0997A", "<", MIXED),
  "adamax": Style("#73005C", ">", DASHED),
  "nadam": Style("#8C8C1E", "v"),
  "nadamw": Style("#55551A", "^", DASHED),
  "sign_sgd": Style("#4D4D4D", "d", DOTTED),
  "signum": Style("#A66F00", ">", DASHED),
  "lion": Style("#3B7A57", "s", DASHED),
  "newton": Style(BLUE, "o"),
  "damped_newton": Style("#00485C", "s", DASHED),
  "steepest_descent": Style("#7F7F7F", "<"),
  "nonlinear_cg": Style("#6E4A00", "D", MIXED),
  "bfgs": Style("#2A1A6E", "^", DASHED),
  "lbfgs": Style("#5B2BE0", "v"),
}


def style_of(trajectory: Trajectory) -> Style:
  """The look of its optimizer, the same in every picture and whatever else is drawn.

  It is that of the function's name; of a chain, that of the names of its stages. Hyperparameters
  change nothing. Names without an entry in the table get a look from a hash of them; where they
  name one that has, as in ``scale_by_adam → …``, its colour.
  """
  name = label(trajectory.optimizer)
  if name in _STYLES:
    return _STYLES[name]
  number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
  number, color = divmod(number, len(_COLORS))
  number, marker = divmod(number, len(_MARKERS))
  words = [word.removeprefix("scale_by_") for word in re.findall(r"\w+", name)]
  colors = [_STYLES[word].color for word in words if word in _STYLES]
  return Style([*colors, _COLORS[color]][0], _MARKERS[marker], _DASHES[1 + number % (len(_DASHES) - 1)])


def styles_of(trajectories: Sequence[Trajectory]) -> list[Style]:
  """The looks of several in one picture: those that share one differ in shade, marker and dash.

  The first of them has the look of `style_of`, the second and so on those that follow from it.
  """
  seen: collections.Counter[Style] = collections.Counter()
  styles = []
  for style in map(style_of, trajectories):
    styles.append(_variant(style, seen[style]))
    seen[style] += 1
  return styles


def _variant(style: Style, number: int) -> Style:
  """A shade of the same colour, with another marker and dash."""
  if not number:
    return style
  red, green, blue = rgb = to_rgb(style.color)
  dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.2
  shares = (0.42, 0.62, 0.25) if dark else (-0.45, 0.45, -0.65)
  share = shares[(number - 1) % len(shares)]
  end = 1.0 if share > 0 else 0.0
  color = to_hex(tuple(np.array(rgb) + abs(share) * (end - np.array(rgb)))).upper()
  marker = _MARKERS[(_MARKERS.index(style.marker) + 3 * number) % len(_MARKERS)]
  return Style(color, marker, _DASHES[(_DASHES.index(style.dash) + number) % len(_DASHES)])


class Picture(Figure):
  """A figure that a notebook shows where it is the last expression of a cell, without pyplot."""

  heading = 0.0  # inches, the height of what stands above the axes

  def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
    """The picture and its size in pixels of a screen, which has fewer: so lines are sharp on any."""
    with io.BytesIO() as file:
      self.savefig(file, format="png", dpi=_NOTEBOOK_DPI)
      width, height = self.get_size_inches()
      return file.getvalue(), {"width": round(width * _SCREEN_DPI), "height": round(height * _SCREEN_DPI)}


def picture(title: str, subtitle: str, height: float, *, width: float = WIDTH, family: str = "sans-serif") -> Picture:
  """A figure with a heading of as many lines as it needs.

  Args:
    title: what is drawn.
    subtitle: more of it, in grey.
    height: of the part below the heading, in inches.
    width: in inches.
    family: the font of the title; ``"monospace"`` for expressions.
  """
  share = width / WIDTH
  font = {"family": family, "size": 10 if family == "monospace" else 11}
  lines = [(line, font) for line in _wrapped(title, share * _TITLE_CHARACTERS[family])]
  lines += [(line, {"color": GREY, "size": 9}) for line in _wrapped(subtitle, share * _SUBTITLE_CHARACTERS) or [""]]
  heading = LINE_HEIGHT * (len(lines) - (not subtitle)) + 0.1
  total = height + heading
  layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - heading / total), w_pad=MARGIN, h_pad=0.08)
  figure = Picture(figsize=(width, total), dpi=_DPI, layout=layout)
  figure.heading = heading
  for number, (line, style) in enumerate(lines):
    figure.text(MARGIN / width, 1 - (0.1 + LINE_HEIGHT * number) / total, line, va="top", parse_math=False, **style)
  return figure


def _wrapped(text: str, characters: float) -> list[str]:
  return textwrap.wrap(text, round(characters), subsequent_indent="  ", break_on_hyphens=False)


def formula_of(objective: Objective) -> str:
  """The formula as an equation; empty if there is none."""
  variables = {1: "x", 2: "x, y"}.get(objective.n, "x")
  return f"f({variables}) = {objective.formula}" if objective.formula else ""


def about(trajectories: Sequence[Trajectory]) -> str:
  """What is known of trajectories over one objective: its formula, and if they share them, start and steps."""
  objective = trajectories[0].objective
  said = [formula_of(objective)] if objective.formula else []
  starts = {tuple(t.points[0].tolist()) for t in trajectories}
  steps = {t.steps for t in trajectories}
  if len(steps) == 1:
    said.append(f"{steps.pop()} steps")
  if len(starts) == 1 and objective.n <= 2:
    start = ", ".join(f"{x:.7g}" for x in starts.pop()).replace("-", "−")
    said.append(f"from ({start})" if objective.n > 1 else f"from {start}")
  return "  ·  ".join(said)


def style_axes(axes: Axes, *, x: str = "", y: str = "", grid: Literal["x", "y", "both"] = "y") -> None:
  """Grey ticks, small labels, no frame at the top and on the right, and a light grid along one axis or both."""
  axes.set_xlabel(x, size=9)
  axes.set_ylabel(y, size=9)
  axes.tick_params(which="both", labelsize=8.5, color=GREY)
  axes.grid(axis=grid, color="#E4E4E4", linewidth=0.7)
  axes.set_axisbelow(True)
  axes.spines[["top", "right"]].set_visible(False)


def entry(name: str, notes: Iterable[str] = ()) -> str:
  """The text of an entry of a legend: a name, and below it what is to be noted; long lines are wrapped."""
  lines = textwrap.wrap(name, _LEGEND_CHARACTERS, subsequent_indent=" ", break_on_hyphens=False)
  for note in notes:
    lines += textwrap.wrap(note, _LEGEND_CHARACTERS, initial_indent="  ", subsequent_indent="  ")
  return "\n".join(lines)


def legend_size(entries: Iterable[str]) -> tuple[float, float]:
  """The width and the height in inches, generously, that a legend of these entries needs."""
  entries = list(entries)
  width = 0.063 * max(len(line) for text in entries for line in text.split("\n")) + 0.62
  return width, sum(_LEGEND_LINE * (text.count("\n") + 1) + 0.065 for text in entries) + 0.1


def add_legend(axes: Axes, handles: Sequence[Artist], *, distance: float = 0.12) -> None:
  """A legend right of the axes, where it covers nothing; the entries are the labels of the artists.

  Args:
    axes: from whose upper right corner it hangs.
    handles: what it explains.
    distance: from the axes, in inches.
  """
  figure = axes.get_figure(root=True)
  assert figure is not None
  legend = axes.legend(
    handles=handles,
    loc="upper left",
    bbox_to_anchor=(1.0, 1.0),
    bbox_transform=axes.transAxes + ScaledTranslation(distance, 0.0, figure.dpi_scale_trans),
    fontsize=8.5,
    frameon=False,
    handlelength=3.2,
    labelspacing=0.55,
    borderaxespad=0.0,
    borderpad=0.0,
  )
  for text in legend.get_texts():
    text.set_parse_math(False)
    text.set_linespacing(1.15)


def add_legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
  """A legend below all axes, in as many columns as fit; the entries are the labels of the artists."""
  width, _ = legend_size(str(handle.get_label()) for handle in handles)
  columns = max(1, int((figure.get_figwidth() - 2 * MARGIN) / (width + 0.1)))
  rows = -(-len(handles) // columns)
  figure.legend(
    handles=handles,
    loc="outside lower left",
    ncols=-(-len(handles) // rows),
    fontsize=8.5,
    frameon=False,
    handlelength=1.6,
  )


def number(value: float) -> str:
  """A number of three digits, without an exponent where it is not long."""
  rounded = float(f"{value:.3g}")
  return (f"{rounded:.0f}" if 100 <= abs(rounded) < 1e6 else f"{rounded:g}").replace("-", "−")


def halo(width: float) -> list[patheffects.AbstractPathEffect]:
  """A white rim around a line or a text, which sets it off from what is below."""
  return [patheffects.Stroke(linewidth=width + 1.6, foreground="white"), patheffects.Normal()]
