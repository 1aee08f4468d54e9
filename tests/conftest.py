"""Eight virtual devices; few compiled programs at a time; and fixtures: double precision and strict promotion."""

import itertools
import os

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"

import jax
import pytest


@pytest.fixture
def float64():
  """Runs the test in double precision."""
  with jax.enable_x64(True):
    yield


@pytest.fixture
def strict():
  """Runs the test with strict dtype promotion: our code never mixes dtypes by accident."""
  with jax.numpy_dtype_promotion("strict"):
    yield


TESTS_BETWEEN = 150  # each compiled program maps memory, of which a process may have 65,530 pieces
_ended = itertools.count(1)


@pytest.fixture(autouse=True)
def few_programs():
  """Forgets all compiled programs from time to time: thousands of tests would compile until XLA crashes."""
  yield
  if next(_ended) % TESTS_BETWEEN == 0:
    jax.clear_caches()
