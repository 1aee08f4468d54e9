"""Vertical axes for values of any size: with a place for 0, below all others, and an end above what explodes."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullLocator

from gradxform.plotting._looks import GREY
from gradxform.plotting._style import number

_HEADROOM = 1e3  # times the greatest start, above which values are cut off
_DEPTH = 1e-30  # times the top, below which values count as 0
_FEW_DECADES = 2.0
_MOST_TICKS = 9
_MOST_SIGNED_TICKS = 12
_LINEAR_UP_TO = 100.0
_MARGIN = 0.05


@dataclasses.dataclass(frozen=True)
class Scale:
  """A vertical axis: straight lines of `forward` are what is seen.

  Attributes:
    kind: the name of the scale in matplotlib.
    low: the least value that is drawn in its place.
    high: the greatest.
    ground: where what is less than the least stands, on a logarithmic axis; ``None`` if nothing is.
    threshold: up to where a symmetric logarithmic axis is linear.
  """

  kind: Literal["log", "linear", "symlog"]
  low: float
  high: float
  ground: float | None = None
  threshold: float = 1.0

  def forward(self, values: np.ndarray) -> np.ndarray:
    """Heights on the axis."""
    if self.kind == "log":
      low = self.low if self.ground is None else self.ground
      return np.log10(np.where(values < self.low, low, values))
    return np.arcsinh(values / self.threshold) if self.kind == "symlog" else values

  def backward(self, heights: np.ndarray) -> np.ndarray:
    """The values at these heights."""
    if self.kind == "log":
      return 10.0**heights
    return self.threshold * np.sinh(heights) if self.kind == "symlog" else heights

  def placed(self, values: np.ndarray) -> np.ndarray:
    """The values where they are drawn: the small ones on the ground, NaN if not finite."""
    return self.backward(self.forward(np.where(np.isfinite(values), values, np.nan)))

  @property
  def limits(self) -> tuple[float, float]:
    """The limits of the axis, with a margin."""
    low, high = self.forward(np.array([self.low if self.ground is None else self.ground, self.high]))
    margin = _MARGIN * (high - low) or 0.5 * (abs(high) or 1.0)
    low, high = self.backward(np.array([low - margin, high + margin]))
    return float(low), float(high)


def scale_of(gaps: Sequence[np.ndarray], known: bool, starts: np.ndarray) -> Scale:
  """The axis for these values: logarithmic if they are distances from the least, or positive.

  Args:
    gaps: the values.
    known: whether they are distances from a least value.
    starts: the values at the starts, which say what is great.
  """
  finite = np.concatenate([g[np.isfinite(g)] for g in gaps])
  starts = np.abs(starts[np.isfinite(starts)])
  if not finite.size or not (known or (finite > 0).all()):
    return _linear_or_symlog(finite, starts.max(initial=0.0))
  positive = finite[finite > 0]
  if not positive.size:
    return Scale("log", 1.0, 10.0, ground=0.1)
  high = float(np.clip(_HEADROOM * starts.max(initial=0.0), positive.min(), positive.max()))
  low = float(np.clip(positive.min(), _DEPTH * high, high))
  gap = max(0.4, 0.1 * np.log10(high / low))
  return Scale("log", low, high, ground=10.0 ** (np.log10(low) - gap) if finite.min() < low else None)


def _linear_or_symlog(finite: np.ndarray, start: float) -> Scale:
  """An axis for values of both signs: linear unless some are much greater than the starts."""
  low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
  if max(-low, high) <= _LINEAR_UP_TO * start or not finite.size:
    return Scale("linear", low, high)
  return Scale("symlog", low, high, threshold=start or float(np.median(np.abs(finite))) or 1.0)


def draw_axis(axes: Axes, scale: Scale, gaps: Sequence[np.ndarray]) -> None:
  """The vertical axis, and the line on which values of 0 stand."""
  if scale.kind == "symlog":
    axes.set_yscale("symlog", linthresh=scale.threshold)
    _draw_signed_decades(axes, scale)
  elif scale.kind == "log":
    axes.set_yscale("log")
    _draw_decades(axes, scale)
  axes.set_ylim(*scale.limits)
  if not any(np.isfinite(g).any() for g in gaps):
    axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", color=GREY)
  if scale.ground is None:
    return
  below = np.concatenate([g[g < scale.low] for g in gaps])
  axes.axhline(scale.ground, color=GREY, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
  highest = float(below.max())
  text = "0" if (below == 0).all() else "≤ 0" if highest <= 0 else f"$≤10^{{{int(np.ceil(np.log10(highest)))}}}$"
  place = {"xytext": (-6, 0), "textcoords": "offset points", "xycoords": axes.get_yaxis_transform()}
  axes.annotate(text, (0.0, scale.ground), **place, ha="right", va="center", size=8.5, annotation_clip=False)


def _draw_decades(axes: Axes, scale: Scale) -> None:
  """Ticks at powers of ten, or if there are few of them, at 1, 2 and 5 times these."""
  axes.yaxis.set_minor_locator(NullLocator())
  if np.log10(scale.high / scale.low) <= _FEW_DECADES:
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: number(value) if value >= 0.99 * scale.low else "")
    return
  low, high = np.log10([scale.low, scale.high])
  stride = int(np.ceil((high - low) / _MOST_TICKS))
  exponents = np.arange(np.ceil(low), np.floor(high) + 1)
  axes.set_yticks(10.0 ** exponents[exponents % stride == 0])
  axes.yaxis.set_major_formatter(LogFormatterSciNotation())


def _draw_signed_decades(axes: Axes, scale: Scale) -> None:
  """Ticks at 0 and at powers of ten of both signs, as far apart as their numbers need."""
  top = max(abs(scale.low), abs(scale.high))
  exponents = np.arange(np.floor(np.log10(top)), np.floor(np.log10(scale.threshold)), -1.0)
  ticks = [0.0]
  apart = (scale.forward(np.array(scale.high)) - scale.forward(np.array(scale.low))) / _MOST_SIGNED_TICKS
  for tick in np.concatenate([10.0**exponents, -(10.0**exponents)]):
    distances = np.abs(scale.forward(np.array(ticks)) - scale.forward(tick))
    if scale.low <= tick <= scale.high and distances.min() > apart:
      ticks.append(float(tick))
  axes.set_yticks(ticks)
  axes.yaxis.set_minor_locator(NullLocator())
