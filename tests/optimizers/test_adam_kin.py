"""Adam's kin: what their papers say of their steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

KIN = [gx.acprop, gx.adabelief, gx.adamaxw, gx.adopt, gx.laprop, gx.novograd, gx.radam, gx.yogi]


def updates_of(optimizer, gradients, param):
  state, got = optimizer.init(param), []
  for gradient in gradients:
    update, state = optimizer.update(gradient, state, param)
    got.append(update)
  return got


@pytest.mark.parametrize("make", KIN, ids=lambda f: f.__name__)
def test_it_comes_near_the_minimum_of_a_bowl(make):
  curvature = jnp.asarray([1.0, 30.0])
  optimizer = make(lambda count: 0.03 * (1 - count / 600.0))
  params = jnp.asarray([2.0, -1.0])

  def body(carry, _):
    params, state = carry
    return optimizer.step(curvature * params, state, params), None

  (params, _), _ = jax.lax.scan(body, (params, optimizer.init(params)), None, length=600)
  assert np.all(np.abs(params) < 0.25)


def test_adopt_does_not_move_at_first_and_little_then():
  gradients = [jnp.asarray([1.0, -3.0]), jnp.asarray([100.0, 3.0])]
  first, second = updates_of(gx.adopt(1.0), gradients, jnp.zeros(2))
  np.testing.assert_array_equal(first, [0.0, 0.0])
  np.testing.assert_allclose(second, [-0.1, -0.1], rtol=1e-6)  # clipped to 1, and a tenth of it


def test_radam_is_momentum_until_it_has_seen_six_gradients():
  gradients = [jnp.asarray(g) for g in (5.0, -1.0, 3.0, 2.0, 4.0, 1.0)]
  got = updates_of(gx.radam(1.0), gradients, jnp.asarray(0.0))
  plain = updates_of(
    gx.chain(gx.scale_by_momentum(0.9), gx.bias_correction(0.9), gx.sgd(1.0)), gradients, jnp.asarray(0.0)
  )
  np.testing.assert_allclose(got[:5], plain[:5], rtol=1e-6)
  assert abs(got[5]) < 0.03 < abs(plain[5])


def test_adabelief_takes_long_steps_where_gradients_are_as_expected():
  steady = updates_of(gx.adabelief(1.0), [jnp.asarray(1.0)] * 50, jnp.asarray(0.0))[-1]
  noisy = updates_of(gx.adabelief(1.0), [jnp.asarray(1.0 + (-1) ** k) for k in range(50)], jnp.asarray(0.0))[-1]
  assert abs(steady) > 2 * abs(noisy)


def test_novograd_keeps_one_number_for_each_array():
  params = {"w": jnp.ones((3, 2)), "b": jnp.ones(3)}
  state = gx.novograd(0.1).init(params)
  slots = state["divide"]["by"]["average_from_first"]["moment"]
  assert jax.tree.map(jnp.shape, slots, is_leaf=lambda x: hasattr(x, "shape")) == {"w": (), "b": ()}


def test_the_first_step_of_novograd_has_the_length_of_the_learning_rate():
  gradient = jnp.asarray([[3.0, 0.0], [0.0, -4.0]])
  (update,) = updates_of(gx.novograd(0.1), [gradient], jnp.zeros((2, 2)))
  np.testing.assert_allclose(update, -0.1 * gradient / 5, rtol=1e-5)


def test_the_divisor_of_acprop_comes_one_step_late():
  gradients = [jnp.asarray(g) for g in (2.0, 2.0, 3.0)]
  got = updates_of(gx.acprop(1.0, b1=0.5, b2=0.5, eps=0.0, eps_root=0.0), gradients, jnp.asarray(0.0))
  # m before the steps: 0, 1, 1½; s after them: ½ · 2², ½ · 2 + ½ · 1²
  np.testing.assert_allclose(got, [-2.0, -2.0 / np.sqrt(2.0 / 0.5), -3.0 / np.sqrt(1.5 / 0.75)], rtol=1e-6)
