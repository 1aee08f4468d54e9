"""Ctrl-C in a command that runs JAX."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def remembered_interrupt() -> Iterator[Callable[[], None]]:
  """Sees to it that Ctrl-C is not lost: gives a function that raises it again.

  JAX runs Python code when garbage is collected, and an exception there is only printed.
  """
  asked = threading.Event()

  def handle(number: int, frame: Any) -> None:
    asked.set()
    signal.default_int_handler(number, frame)

  def interrupt_if_asked() -> None:
    if asked.is_set():
      raise KeyboardInterrupt

  if threading.current_thread() is not threading.main_thread():
    yield interrupt_if_asked
    return
  before = signal.signal(signal.SIGINT, handle)
  try:
    yield interrupt_if_asked
  finally:
    signal.signal(signal.SIGINT, before)
