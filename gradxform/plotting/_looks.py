"""The look of an optimizer, the same wherever it is drawn."""

import collections
import dataclasses
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from gradxform.trajectories import Trajectory
from gradxform.trajectories._labels import label

# Colours that colour-blind readers can tell apart: Okabe & Ito 2008, “Color Universal Design”. Their
# yellow is too pale for a line on white.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#5A5A5A"
BLACK, ORANGE, SKY, GREEN, YELLOW, PURPLE = "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7"

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
  "noisy_sgd": Style("#8A8A8A", "P", DOTTED),
  "optimistic_gradient_descent": Style("#5F5F5F", "X", DASHED),
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
  "acprop": Style("#D1478F", "s", DASHED),
  "adabelief": Style("#B5367A", "D"),
  "adamaxw": Style("#4A0A3E", "v", DOTTED),
  "adan": Style("#2F8F8B", "s"),
  "ademamix": Style("#C44E00", "^", MIXED),
  "simplified_ademamix": Style("#944000", "v", DOTTED),
  "adopt": Style("#1F9ACF", "D", DASHED),
  "laprop": Style("#6B8E23", ">", MIXED),
  "novograd": Style("#9467BD", "P"),
  "optimistic_adam_v2": Style("#FF8F5A", "s", DOTTED),
  "radam": Style("#A0522D", "o", DASHED),
  "yogi": Style("#17A589", "d"),
  "adam_atan2": Style("#E4572E", "D", DOTTED),
  "grams": Style("#118AB2", "<", DASHED),
  "mars": Style("#C1121F", "P", DASHED),
  "stable_adamw": Style("#3D5A80", "s", MIXED),
  "dog": Style("#B08968", "o", DASHED),
  "dowg": Style("#7F5539", "D", DOTTED),
  "dadapt_adamw": Style("#8E5572", "v", DASHED),
  "prodigy": Style("#BC4B51", "P", MIXED),
  "schedule_free_adamw": Style("#5A189A", "^", DASHED),
  "schedule_free_sgd": Style("#9D8DF1", "o", DOTTED),
  "cocob": Style("#A44A3F", "d", DASHED),
  "momo": Style("#495057", "v", MIXED),
  "momo_adam": Style("#9D4E15", ">", DASHED),
  "madgrad": Style("#2D6A4F", "X", MIXED),
  "polyak_sgd": Style("#6C757D", "^", DOTTED),
  "fromage": Style("#B8860B", "X", DOTTED),
  "lamb": Style("#4169A8", "P", DASHED),
  "lars": Style("#87A3D0", "^", DASHED),
  "sm3": Style("#8FBC5A", "v", DASHED),
  "muon": Style("#8B0000", "s", MIXED),
  "normuon": Style("#B23A48", "D", DASHED),
  "adamuon": Style("#D1495B", "o", DOTTED),
  "kl_shampoo": Style("#7AA95C", "<", MIXED),
  "shampoo": Style("#3E7C17", "X", DOTTED),
  "soap": Style("#5F7A1C", "P", DASHED),
  "splus": Style("#6F9A8D", ">", DASHED),
  "kron": Style("#3E5C76", "X", MIXED),
  "scion": Style("#6A4C93", "D", MIXED),
  "dion": Style("#1F6F5C", "X", DASHED),
  "adam_mini": Style("#4C6A92", "v", DOTTED),
  "apollo": Style("#E07A5F", "P", SOLID),
  "apollo_mini": Style("#F2A488", "d", DOTTED),
  "fira": Style("#C2185B", "v", DASHED),
  "galore": Style("#B0306A", "^", DOTTED),
  "adafactor": Style("#556B2F", "D", DOTTED),
  "came": Style("#9A6B00", "o", MIXED),
  "rprop": Style("#7FA650", "<"),
  "sign_sgd": Style("#4D4D4D", "d", DOTTED),
  "signum": Style("#A66F00", ">", DASHED),
  "lion": Style("#3B7A57", "s", DASHED),
  "newton": Style(BLUE, "o"),
  "damped_newton": Style("#00485C", "s", DASHED),
  "sophia": Style("#00798C", "P", DOTTED),
  "sophia_g": Style("#00798C", "X", MIXED),
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
