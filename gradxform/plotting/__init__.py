"""Pictures, for files and notebooks: figures with no display and no global state behind them."""

from gradxform.plotting._curves import curves
from gradxform.plotting._style import BLUE, GREY, VERMILLION, Style, style_of

__all__ = [
  # of a training
  "curves",
  # the look of an optimizer, and colours
  "Style",
  "style_of",
  "BLUE",
  "GREY",
  "VERMILLION",
]
