"""Eight virtual devices; and fixtures: double precision and strict promotion, each for one test."""

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
