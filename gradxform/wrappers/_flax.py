"""What the parameters of Flax's layers are, by their names and those of the layers."""

from collections.abc import Sequence

from gradxform.selection import is_bias
from gradxform.wrappers._axes import AxisPattern

_HEADS = AxisPattern("... d n h -> ... d (n h)")
_FROM_HEADS = AxisPattern("... n h d -> ... (n h) d")
_CONVOLUTION = AxisPattern("... i o -> (... i) o")
_STACK = AxisPattern("... i o -> ... i o")


def _names(path: str) -> tuple[str, str]:
  """The names of the layer and of its parameter."""
  *_, layer, name = ["", *path.removesuffix("/value").split("/")]
  return layer, name


def _is_convolution(layer: str, shape: Sequence[int]) -> bool:
  return len(shape) > 3 or "conv" in layer.lower()


def matrices_of_flax(path: str, shape: Sequence[int]) -> AxisPattern | None:
  """The view of a parameter as matrices; `None` for what is no matrix."""
  layer, name = _names(path)
  if len(shape) < 2 or name in ("bias", "scale") or name.endswith("embedding"):
    return None
  if len(shape) == 2:
    return _STACK
  if name != "kernel":
    return None
  if layer in ("query", "key", "value"):
    return _HEADS
  if layer == "out":
    return _FROM_HEADS
  return _CONVOLUTION if _is_convolution(layer, shape) else _STACK


_EACH = AxisPattern("... d -> ... d ()")
_WHOLE = AxisPattern("... d -> () (... d)")
_BY_HEAD = AxisPattern("... d n h -> ... n (d h)")
_BY_OUTPUT_OF_HEADS = AxisPattern("... d n h -> ... (n h) d")
_BY_OUTPUT_FROM_HEADS = AxisPattern("... n h d -> ... d (n h)")
_BY_CHANNEL = AxisPattern("... i o -> o (... i)")
_BY_OUTPUT = AxisPattern("... i o -> ... o i")


def blocks_of_flax(path: str, shape: Sequence[int]) -> AxisPattern | None:
  """The view of a parameter as matrices whose rows are its blocks; `None` where it is one block."""
  layer, name = _names(path)
  if is_bias(path, None):
    return _EACH if shape else None
  if len(shape) < 2:
    return None
  if name == "scale" or name.endswith("embedding"):
    return _STACK
  if len(shape) == 2:
    return _BY_OUTPUT
  if name != "kernel":
    return _WHOLE
  if layer in ("query", "key"):
    return _BY_HEAD
  if layer == "value":
    return _BY_OUTPUT_OF_HEADS
  if layer == "out":
    return _BY_OUTPUT_FROM_HEADS
  return _BY_CHANNEL if _is_convolution(layer, shape) else _BY_OUTPUT
