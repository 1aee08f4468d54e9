"""Decay of the parameters."""

import jax.numpy as jnp
import numpy as np

import gradxform as gx


def test_its_place_in_the_expression_is_its_meaning():
  params, grads = jnp.asarray([10.0]), jnp.asarray([1.0])
  coupled = gx.chain(gx.add_decayed_weights(0.1), gx.adam(0.5))
  decoupled = gx.adamw(0.5, weight_decay=0.1)
  after_the_rate = gx.chain(gx.adam(0.5), gx.add_decayed_weights(0.1))
  step = lambda t: t.step(grads, t.init(params), params)[0]
  np.testing.assert_allclose(step(coupled), 10.0 - 0.5, rtol=1e-6)  # the sign of g + λp, times a
  np.testing.assert_allclose(step(decoupled), 10.0 - 0.5 * (1.0 + 1.0), rtol=1e-6)
  np.testing.assert_allclose(step(after_the_rate), 10.0 - 0.5 + 1.0, rtol=1e-6)


def test_no_decay_does_not_look_at_the_parameters():
  transform, params = gx.add_decayed_weights(0.0), jnp.asarray([jnp.inf])
  updates, _ = transform.update(jnp.ones(1), transform.init(params), params)
  np.testing.assert_array_equal(updates, 1.0)
