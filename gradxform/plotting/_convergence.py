"""Orders and rates of convergence."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradxform._checks import rejected
from gradxform.plotting._looks import GREY, Style, styles_of
from gradxform.plotting._style import about, add_legend, entry, legend_size, picture, style_axes
from gradxform.trajectories import Convergence

_HEIGHT = 3.9  # inches
_MARKERS = 25
_DEPTH = 1e-18  # times the greatest error, below which none is drawn
_THEORY = (0, (2, 1.5))
_WORDS = {"distance": "distance from the minimum", "value": "value above the least", "gradient_norm": "gradient norm"}


def convergence_plot(analyses: Convergence | Sequence[Convergence], *, title: str = "") -> Figure:
  """Draws errors against steps, where a line is a rate, and each error against the last, where a slope is an order.

  Dotted lines have the rate in theory, where there is one. On the right a path of order q runs
  parallel to a line of slope q: grey ones show 1, 2 and 3. Errors below rounding, and those that are
  not finite, are left out.

  Args:
    analyses: one, or several of one objective and one measure, from `convergence`.
    title: a heading; if not given, the objective's name.

  Returns:
    A figure, which a notebook shows.

  Raises:
    ValueError: if there is none, or they are of several objectives or measures.
  """
  several = [analyses] if isinstance(analyses, Convergence) else list(analyses)
  paths = [a.trajectory for a in several]
  if len({id(t.objective) for t in paths}) != 1 or len({a.measure for a in several}) != 1:
    got = [f"{a.measure} on {a.trajectory.objective.name}" for a in several]
    wanted = f"at least one, all of one objective and measure, got {got or 'none'}."
    raise rejected(ValueError, "convergence_plot", "analyses", analyses, wanted)
  entries = [entry(a.name, _notes(a)) for a in several]
  figure = picture(title or paths[0].objective.name, about(paths), max(_HEIGHT, legend_size(entries)[1] + 0.4))
  left, right = figure.subplots(1, 2)
  what = _WORDS[several[0].measure]
  style_axes(left, x="step k", y=f"eₖ, {what}")
  style_axes(right, x="eₖ", y="eₖ₊₁", grid="both")
  handles = [_draw(left, right, *each) for each in zip(several, styles_of(paths), entries, strict=True)]
  left.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
  _draw_orders(left, right, several)
  if any(np.isfinite(a.theory) for a in several):
    handles.append(Line2D([], [], color=GREY, linestyle=_THEORY, label="rate in theory"))
  handles.append(Line2D([], [], color=GREY, linewidth=0.7, label="slopes of orders 1, 2, 3"))
  add_legend(right, handles)
  return figure


def _notes(a: Convergence) -> list[str]:
  order = f", order {a.order:.2f}" if np.isfinite(a.order) and a.order != 1 else ""
  rate = f"rate {a.rate:.4g}" if a.order == 1 else ""
  theory = f"in theory {a.theory:.4g}" if np.isfinite(a.theory) else ""
  return [note for note in (a.kind + order, ", ".join(filter(None, [rate, theory]))) if note]


def _drawn(a: Convergence) -> np.ndarray:
  """The errors that are finite and more than rounding: what comes after is noise."""
  errors = np.where(np.isfinite(a.errors) & (a.errors > _DEPTH * np.nanmax(a.errors, initial=0.0)), a.errors, np.nan)
  return errors if a.steps is None else errors[: a.steps + 1]


def _draw(left: Axes, right: Axes, a: Convergence, style: Style, label: str) -> Line2D:
  errors = _drawn(a)
  stride = max(1, len(errors) // _MARKERS)
  (line,) = left.plot(errors, **style.drawn(), markevery=stride, label=label)
  right.plot(errors[:-1], errors[1:], **style.drawn(), markevery=stride)
  if 0 < a.theory < np.inf and np.isfinite(errors).any():
    steps = np.arange(len(errors))
    anchor = np.flatnonzero(np.isfinite(errors))[0]
    with np.errstate(under="ignore", over="ignore"):
      slope = errors[anchor] * a.theory ** (steps - anchor).astype(np.float64)
    inside = (slope >= np.nanmin(errors)) & (slope <= np.nanmax(errors))
    left.plot(steps[inside], slope[inside], color=GREY, linestyle=_THEORY, linewidth=1.4, zorder=4)
  return line


def _draw_orders(left: Axes, right: Axes, several: Sequence[Convergence]) -> None:
  """Logarithmic axes, and grey lines of the orders 1, 2 and 3 through the upper right corner of what is drawn."""
  errors = np.concatenate([_drawn(a) for a in several])
  if not np.isfinite(errors).any():
    for axes in (left, right):
      axes.text(0.5, 0.5, "no finite error", transform=axes.transAxes, ha="center", color=GREY)
    return
  left.set_yscale("log")
  right.set_yscale("log")
  right.set_xscale("log")
  low, high = np.nanmin(errors), np.nanmax(errors)
  low, high = (low / 10, high * 10) if low == high else (low, high)
  margin = (high / low) ** 0.04
  right.set_xlim(low / margin, high * margin)
  right.set_ylim(low / margin, high * margin)
  for order in (1, 2, 3):
    end = low if order == 1 else high * (low / high) ** (1 / order)
    right.plot([end, high], [high * (end / high) ** order, high], color=GREY, linewidth=0.7, zorder=1)
    place = (end, high * (end / high) ** order)
    right.annotate(f"{order}", place, xytext=(4, 0), textcoords="offset points", size=8, color=GREY)
