"""The curves of a training: what is drawn, at which scale, and that nothing is cut off or covered."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gradxform.plotting import curves
from gradxform.training import Epoch, History

NAN, INF = float("nan"), float("inf")


def history(*, loss=(2.0, 0.5, 0.1), test_loss=None, accuracy=(0.5, 0.8, 0.95), **endings):
  test_loss = loss if test_loss is None else test_loss
  rows = zip(loss, accuracy, test_loss, accuracy, range(len(loss)), strict=True)
  return History([Epoch(*row) for row in rows], **endings)


HISTORIES = {
  "falling": history(test_loss=(2.1, 0.7, 0.3)),
  "equal ends": history(accuracy=(0.1, 0.99, 1.0)),
  "one epoch": history(loss=(2.0,), accuracy=(0.1,)),
  "long": history(loss=np.geomspace(2, 1e-6, 200), accuracy=np.linspace(0.1, 1, 200)),
  "growing": history(loss=(1e3, 1e20, INF), test_loss=(1e3, 1e21, 6.123e35)),
  "only NaN": history(loss=(NAN,), accuracy=(0.1,)),
  "zero loss": history(loss=(1.0, 0.1, 0.0)),
  "always zero": history(loss=(0.0, 0.0), accuracy=(1.0, 1.0)),
}


@pytest.fixture(params=HISTORIES.values(), ids=HISTORIES.keys())
def drawn(request):
  title = "adam(learning_rate=0.003, b1=0.9, b2=0.999, eps=1e-08)"
  figure = curves(request.param, title=title, subtitle="digits")
  FigureCanvasAgg(figure).draw()
  return request.param, figure


def texts(figure):
  """All the texts that are seen, tick labels within the limits among them."""
  found = list(figure.texts)
  for axes in figure.axes:
    found += [*axes.texts, axes.title, axes._left_title, axes.xaxis.label]
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
      found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
  return [text for text in found if text.get_text()]


def boxes(figure):
  return {text: text.get_window_extent() for text in texts(figure)}


def test_no_text_is_cut_off(drawn):
  _, figure = drawn
  for text, box in boxes(figure).items():
    assert box.x0 >= 0 and box.y0 >= 0, text
    assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text


def test_no_text_covers_another(drawn):
  _, figure = drawn
  for (one, a), (other, b) in itertools.combinations(boxes(figure).items(), 2):
    assert a.padded(-1).overlaps(b.padded(-1)) == 0, (one, other)


def test_the_last_values_stand_outside_of_the_panels(drawn):
  _, figure = drawn
  for axes in figure.axes:
    labels = [text for text in axes.texts if text.get_text().startswith(("train ", "test "))]
    assert len(labels) == 2
    assert all(label.get_window_extent().x0 >= axes.bbox.x1 for label in labels)


def test_the_lines_are_the_finite_measurements_of_the_training_and_the_test_part(drawn):
  measured, figure = drawn
  for axes, what in zip(figure.axes, ("loss", "accuracy"), strict=True):
    for line, part in zip(axes.lines, ("train", "test"), strict=True):
      column = measured.column(f"{part}_{what}")
      np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(column) + 1))
      np.testing.assert_array_equal(line.get_ydata(), np.where(np.isfinite(column), column, NAN))


def test_all_finite_values_are_within_the_limits(drawn):
  measured, figure = drawn
  for axes, what in zip(figure.axes, ("loss", "accuracy"), strict=True):
    low, high = axes.get_ylim()
    for value in [*measured.column(f"train_{what}"), *measured.column(f"test_{what}")]:
      assert not np.isfinite(value) or low <= value <= high or (axes.get_yscale() == "log" and value == 0)


def test_the_part_can_be_told_by_colour_and_by_width(drawn):
  _, figure = drawn
  for axes in figure.axes:
    train, test = axes.lines
    assert train.get_color() != test.get_color()
    assert train.get_linewidth() > test.get_linewidth()


@pytest.mark.parametrize(
  ("loss", "scale"), [((2.0, 0.1), "log"), ((2.0, 0.3), "linear"), ((NAN,), "linear"), ((0.0, 0.0), "linear")]
)
def test_the_loss_is_logarithmic_where_its_magnitudes_differ(loss, scale):
  left, right = curves(history(loss=loss, accuracy=(0.5,) * len(loss))).axes
  assert left.get_yscale() == scale
  assert right.get_yscale() == "linear"


def test_a_linear_loss_starts_at_zero():
  assert curves(history(loss=(2.0, 1.0, 0.5))).axes[0].get_ylim()[0] == 0


def test_the_last_values_are_written_out():
  left, right = curves(history(test_loss=(2.0, 1.0, 0.25))).axes
  assert [text.get_text() for text in left.texts] == ["train 0.1", "test 0.25"]
  assert [text.get_text() for text in right.texts] == ["train 95.0%", "test 95.0%"]


def test_the_last_values_stand_at_the_ends_of_their_lines():
  figure = curves(history(loss=(2.0, 0.5, 0.01), test_loss=(2.1, 0.7, 0.3)))
  FigureCanvasAgg(figure).draw()
  axes = figure.axes[0]
  for line, label in zip(axes.lines, axes.texts, strict=True):
    (_, end), box = axes.transData.transform((1, line.get_ydata()[-1])), label.get_window_extent()
    assert box.y0 <= end <= box.y1


def test_the_heading_names_what_was_trained_and_how_it_ended():
  figure = curves(history(loss=(1.0, 2.0, NAN), interrupted=True), title="sgd(1.0)", subtitle="digits")
  title, subtitle = (text.get_text() for text in figure.texts)
  assert title == "sgd(1.0)"
  assert subtitle == "digits  ·  diverged in epoch 3  ·  interrupted after epoch 3"


def test_long_titles_are_wrapped_and_the_panels_keep_their_height():
  expression = "chain(" + ", ".join(["scale_by_adam(b1=0.9, b2=0.999, eps=1e-08)"] * 8) + ")"
  figures = [curves(HISTORIES["falling"], title=title, subtitle="digits") for title in ("sgd(0.1)", expression)]
  for figure in figures:
    FigureCanvasAgg(figure).draw()
  short, long = (figure.axes[0].bbox.height for figure in figures)
  assert len(figures[1].texts) >= 4
  assert long == pytest.approx(short, rel=0.02)
  assert all(box.x1 <= figures[1].bbox.x1 for box in boxes(figures[1]).values())


def test_a_history_without_epochs_is_refused():
  with pytest.raises(ValueError, match="must have at least one epoch, got none"):
    curves(History())


def test_drawing_needs_no_display_and_no_flax(tmp_path):
  code = f"""
import sys
from types import SimpleNamespace
import numpy as np
from gradxform.plotting import curves
history = SimpleNamespace(epochs=[1], diverged=False, interrupted=False, column=lambda name: np.ones(1))
curves(history).savefig({str(tmp_path / "curves.png")!r})
print([name for name in ("matplotlib.pyplot", "tkinter", "flax") if name in sys.modules])
"""
  assert subprocess.check_output([sys.executable, "-W", "error", "-c", code], text=True).strip() == "[]"
  assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
