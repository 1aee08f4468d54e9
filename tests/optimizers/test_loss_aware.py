"""Optimizers that ask for the value of the objective, wherever it comes from."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx
from gradxform.objectives import bowl
from gradxform.trajectories import record

LOSS_AWARE = [gx.polyak_sgd, gx.momo, gx.momo_adam]
CURVATURE = jnp.asarray([1.0, 4.0])


def quadratic(x):
  return 0.5 * jnp.sum(CURVATURE * x * x)


@pytest.mark.parametrize("make", LOSS_AWARE, ids=lambda f: f.__name__)
def test_a_minimization_and_a_recorded_path_give_it_the_value(make):
  result = gx.minimize(make(), quadratic, jnp.asarray([1.0, -1.0]), max_steps=500, tolerance=1e-3)
  assert result.converged
  path = record(make(), bowl(), 200, start=(1.0, -1.0))
  assert path.values[-1] < 1e-3 * path.values[0]


@pytest.mark.parametrize("make", LOSS_AWARE, ids=lambda f: f.__name__)
def test_it_refuses_to_go_on_without(make):
  optimizer = make()
  with pytest.raises(ValueError, match="needs the extra argument `value`"):
    optimizer.step(jnp.ones(2), optimizer.init(jnp.ones(2)), jnp.ones(2))


def test_polyaks_step_halves_the_distance_to_the_minimum_of_a_round_bowl():
  optimizer, param = gx.polyak_sgd(), jnp.asarray([3.0, 4.0])
  for _ in range(3):
    stepped, _ = optimizer.step(param, optimizer.init(param), param, value=0.5 * jnp.sum(param**2))
    np.testing.assert_allclose(stepped, 0.5 * param, rtol=1e-6)
    param = stepped
