"""Fixtures: double precision and strict promotion, each for one test."""

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
