"""Optimizers with a step size for each array."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

PARAMS = {"w": jnp.asarray([[3.0, 4.0]]), "b": jnp.asarray([0.6, -0.8])}
GRADS = {"w": jnp.asarray([[100.0, 0.0]]), "b": jnp.asarray([0.0, 1e-3])}


@pytest.mark.parametrize(
  ("optimizer", "share"),
  [(gx.lars(10.0), 0.01), (gx.lamb(0.01), 0.01), (gx.fromage(0.01), 0.01 / np.sqrt(1 + 1e-4))],
  ids=["lars", "lamb", "fromage"],
)
def test_the_first_step_is_the_same_share_of_every_array(optimizer, share):
  updates, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS)
  for name, update in updates.items():
    step = update - (1 / np.sqrt(1 + 1e-4) - 1) * PARAMS[name] if optimizer.factory is gx.fromage else update
    np.testing.assert_allclose(jnp.linalg.norm(step), share * jnp.linalg.norm(PARAMS[name]), rtol=1e-3)


def test_fromage_keeps_the_norm_where_the_gradient_is_across():
  params, optimizer = jnp.asarray([1.0, 0.0]), gx.fromage(0.5)
  stepped, _ = optimizer.step(jnp.asarray([0.0, 7.0]), optimizer.init(params), params)
  np.testing.assert_allclose(jnp.linalg.norm(stepped), 1.0, rtol=1e-6)


def test_noisy_sgd_without_noise_is_sgd():
  optimizer = gx.noisy_sgd(0.1, eta=0.0)
  updates, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS)
  np.testing.assert_allclose(updates["w"], -0.1 * GRADS["w"], rtol=1e-6)
