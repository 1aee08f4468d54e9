"""Steps by the sign alone."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def steps(optimizer, gradients, param=2.0):
  state, got = optimizer.init(jnp.asarray(param)), []
  for gradient in gradients:
    update, state = optimizer.update(jnp.asarray(gradient), state, jnp.asarray(param))
    got.append(-float(update))
  return got


def test_every_element_takes_the_same_step_whatever_its_gradient():
  gradient = jnp.asarray([1e-3, -1e3, 2.0, 0.0])
  for optimizer in (gx.sign_sgd(0.1), gx.signum(0.1), gx.lion(0.1, weight_decay=0.0)):
    update, _ = optimizer.update(gradient, optimizer.init(gradient), jnp.ones(4))
    np.testing.assert_allclose(update, [-0.1, 0.1, -0.1, 0.0], rtol=1e-6)


def test_signum_needs_more_than_one_gradient_to_turn_round():
  # m = 0.5, 0.25 − 0.3 < 0 only where the second gradient outweighs half of the first
  np.testing.assert_allclose(steps(gx.signum(1.0, beta=0.5), [1.0, -0.4, -0.6]), [1.0, 1.0, -1.0])


def test_lion_keeps_its_momentum_longer_than_its_direction_says():
  # kept m = 0.1, −0.01; direction 0.5 m + 0.5 g
  np.testing.assert_allclose(steps(gx.lion(1.0, b1=0.5, b2=0.9, weight_decay=0.0), [1.0, -0.05, -0.2]), [1, 1, -1])


def test_lions_decay_is_decoupled():
  np.testing.assert_allclose(steps(gx.lion(0.5, weight_decay=0.1), [0.0], param=4.0), [0.5 * 0.1 * 4.0], rtol=1e-6)


def test_a_share_outside_of_the_unit_interval_is_refused():
  with pytest.raises(ValueError, match=r"`lion\(b1=...\)` must be in \[0, 1\), got 1.5"):
    gx.lion(0.1, b1=1.5)


def test_the_step_of_rprop_grows_and_shrinks_with_the_sign_of_the_gradient():
  got = steps(gx.rprop(0.1, max_step_size=0.13), [1.0, 2.0, 3.0, -1.0, -1.0, -5.0])
  np.testing.assert_allclose(got, [0.1, 0.12, 0.13, 0.0, -0.065, -0.078], rtol=1e-6)


def test_a_step_size_that_is_not_positive_is_refused():
  with pytest.raises(ValueError, match=r"`rprop\(eta_minus=...\)` must be greater than 0, got -1"):
    gx.rprop(0.1, eta_minus=-1)
