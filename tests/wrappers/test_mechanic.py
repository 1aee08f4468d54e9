"""Mechanic, against its formulas in NumPy, and around any optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

START = np.asarray([1.0, -2.0])


def test_by_hand(float64):
  optimizer = gx.mechanize(gx.sgd(0.5), weight_decay=0.3, eps=1e-3, s_init=0.2, num_betas=2)
  param, betas = START, np.asarray([0.9, 0.99])
  m, v, r, s = np.zeros(2), np.zeros(2), np.zeros(2), np.full(2, 0.2)
  ours, state = jnp.asarray(START), optimizer.init(jnp.asarray(START))
  for g in map(np.asarray, ([1.0, 2.0], [3.0, -1.0], [-0.5, 1.0], [2.0, 2.0])):
    ours, state = optimizer.step(jnp.asarray(g), state, ours)
    before = (START - param) / (s.sum() + 1e-3)
    h = (g + 0.3 * s.sum() * np.linalg.norm(g) / (np.linalg.norm(param) + 1e-3) * param) @ before
    r = betas * r + np.clip(h, -m, m) * s
    m, v = np.maximum(betas * m, abs(h) + 1e-3), betas**2 * v + h**2
    s = (0.2 / 2 * m + np.maximum(r, 0)) / (np.sqrt(v) + 1e-3)
    param = START - s.sum() * (before + 0.5 * g)
    np.testing.assert_allclose(ours, param, rtol=1e-12)
  np.testing.assert_allclose(state["mechanize"]["scales"], s, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-2, 1e3])
@pytest.mark.parametrize("inner", [gx.sgd(1.0), gx.adam(1.0), optax.adam(1.0)], ids=["sgd", "adam", "optax"])
def test_it_finds_the_scale_of_the_steps(inner, scale):
  optimizer, target = gx.mechanize(inner), jnp.asarray([1.0, -2.0])

  def step(carry, _):
    params, state = carry
    return optimizer.step(scale * (params - target), state, params), None

  start = jnp.zeros(2)
  (params, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), None, length=3000)
  np.testing.assert_allclose(params, target, atol=0.1)


def test_the_inner_state_is_that_of_the_inner_optimizer():
  params = jnp.ones(2)
  state = gx.mechanize(gx.adam(1.0)).init(params)
  inner = {key: value for key, value in gx.adam(1.0).init(params).items() if key != "count"}
  assert jax.tree.structure(state["mechanize"]["inner"]) == jax.tree.structure(inner)
  assert "inner" not in gx.mechanize(gx.sgd(1.0)).init(params)["mechanize"]


def test_what_the_inner_optimizer_asks_for_is_passed_on():
  optimizer, params = gx.mechanize(gx.polyak_sgd()), jnp.ones(2)
  with pytest.raises(ValueError, match="`scale_by_polyak` needs the extra argument `value`"):
    optimizer.update(params, optimizer.init(params), params)
  updates, _ = optimizer.update(params, optimizer.init(params), params, value=1.0)
  assert np.all(updates < 0)


def test_the_scale_of_the_gradients_makes_no_difference_beside_that_of_the_inner_steps():
  optimizer, ends = gx.mechanize(gx.sign_sgd(1.0), s_init=0.01), []
  for scale in (1.0, 1024.0):
    params = jnp.asarray([1.0, -2.0])
    state = optimizer.init(params)
    for _ in range(20):
      params, state = optimizer.step(scale * params, state, params)
    ends.append(params)
  np.testing.assert_allclose(ends[0], ends[1], rtol=1e-3)
  assert np.all(np.abs(ends[0]) < [0.9, 1.9])


def test_what_is_no_transform_is_refused():
  with pytest.raises(TypeError, match=r"`mechanize\(inner=...\)` must be a gradient transformation.* Call it first"):
    gx.mechanize(gx.adam)
  with pytest.raises(ValueError, match=r"`mechanize\(num_betas=...\)` must be at least 1"):
    gx.mechanize(gx.adam(1.0), num_betas=0)
