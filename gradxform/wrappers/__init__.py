"""Wrappers: transforms made of any transform, ours or Optax's."""

from gradxform.wrappers._mechanic import mechanize

__all__ = [
  # how far to go along
  "mechanize",
]
