"""A step size for each element: what each optimizer is known for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

NARROW = jnp.asarray([1.0, 100.0])  # curvatures of a ravine


def descend(optimizer, steps, start=(1.0, 1.0)):
  params = jnp.asarray(start)

  def body(carry, _):
    params, state = carry
    return optimizer.step(NARROW * params, state, params), None

  return jax.lax.scan(body, (params, optimizer.init(params)), None, length=steps)[0][0]


OPTIMIZERS = [gx.adagrad(0.5), gx.adadelta(), gx.rmsprop(0.01), gx.centered_rmsprop(0.01)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda t: t.name)
def test_both_directions_of_a_ravine_shrink_alike(optimizer):
  flat, steep = descend(optimizer, 100)
  assert abs(flat) < 0.9
  np.testing.assert_allclose(flat, steep, rtol=0.2, atol=0.02)


def test_steps_of_adagrad_shrink_as_the_root_of_time():
  optimizer = gx.adagrad(1.0, initial_accumulator_value=0.0, eps=0.0)
  state, one = optimizer.init(1.0), jnp.ones(())
  for t in range(1, 10):
    update, state = optimizer.update(one, state)
    np.testing.assert_allclose(update, -1 / np.sqrt(t), rtol=1e-6)


def test_adadelta_needs_no_learning_rate_and_descends():
  assert gx.adadelta() == gx.adadelta(1.0)
  assert np.all(descend(gx.adadelta(), 20) < 1)
