"""The parser of the command line: its errors are one line, its values are checked."""

import argparse
import re
import sys
from typing import Any, NoReturn

USAGE, DIVERGED, INTERRUPTED = 2, 1, 130


class UsageError(Exception):
  """What the user can put right; its message is all that is shown."""


class Parser(argparse.ArgumentParser):
  """A parser whose errors are raised, and whose options are not abbreviated: ``--b`` is nothing."""

  def __init__(self, **kwargs: Any):
    super().__init__(allow_abbrev=False, **kwargs)

  def error(self, message: str) -> NoReturn:
    raise UsageError(f"{message}. See `{self.prog} --help`.")


def failed(message: str, code: int) -> int:
  """Prints a message to the error stream, and gives back the exit code."""
  print(f"gradxform: {message}", file=sys.stderr)
  return code


def flag(argument: str) -> str:
  """The option for an argument: ``--learning-rate`` for ``learning_rate``."""
  return f"--{argument.replace('_', '-')}"


def joined(argv: list[str]) -> list[str]:
  """Binds negative numbers to their flags: argparse takes the value in ``--eps -1e-8`` for an option."""
  words: list[str] = []
  for word in argv:
    if words and re.fullmatch(r"--[\w-]+", words[-1]) and re.fullmatch(r"-(\.?\d.*|inf|nan)", word):
      words[-1] += f"={word}"
    else:
      words.append(word)
  return words


def value(text: str) -> Any:
  """A number if it can be one; what it is for checks the rest."""
  for kind in (int, float):
    try:
      return kind(text)
    except ValueError:
      pass
  return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def count(text: str) -> int:
  """A number of things, at least 1."""
  return _whole(text, 1, 1_000_000)


def seed(text: str) -> int:
  """A seed of random numbers, of 32 bits."""
  return _whole(text, 0, 2**32 - 1)


def _whole(text: str, minimum: int, maximum: int) -> int:
  if not re.fullmatch("[0-9]{1,12}", text) or not minimum <= int(text) <= maximum:
    raise argparse.ArgumentTypeError(f"must be a whole number from {minimum} to {maximum}, got {text!r}")
  return int(text)
