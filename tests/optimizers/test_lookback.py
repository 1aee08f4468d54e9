"""Optimizers that look at earlier gradients."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx


def adan_by_the_paper(p, gradient, steps, a=0.01, decays=(0.98, 0.92, 0.99), eps=1e-8, decay=0.1):
  """Algorithm 1 of Xie et al. 2022, with the betas of the authors' code, and their ``no_prox``."""
  b1, b2, b3 = decays
  m, e, n, last = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), None
  for t in range(1, steps + 1):
    g = gradient(p, t)
    d = np.zeros_like(g) if last is None else g - last
    m = b1 * m + (1 - b1) * g
    e = b2 * e + (1 - b2) * d
    n = b3 * n + (1 - b3) * (g + b2 * d) ** 2
    u = (m / (1 - b1**t) + b2 * e / (1 - b2**t)) / (np.sqrt(n / (1 - b3**t)) + eps)
    p = p - a * (u + decay * p)
    last = g
  return p


def laprop_by_the_paper(p, gradient, steps, a=0.01, b1=0.9, b2=0.999, eps=1e-15):
  """Algorithm 1 of Ziyin, Wang & Ueda 2020."""
  m, v = np.zeros_like(p), np.zeros_like(p)
  for t in range(1, steps + 1):
    g = gradient(p, t)
    v = b2 * v + (1 - b2) * g**2
    m = b1 * m + (1 - b1) * g / (np.sqrt(v / (1 - b2**t)) + eps)
    p = p - a * m / (1 - b1**t)
  return p


PAPERS = {
  "adan": (gx.adan(0.01, weight_decay=0.1), adan_by_the_paper, {}),
  "adan with other decays": (
    gx.adan(0.02, b1=0.9, b2=0.8, b3=0.95, eps=1e-3, weight_decay=0.0),
    adan_by_the_paper,
    {"a": 0.02, "decays": (0.9, 0.8, 0.95), "eps": 1e-3, "decay": 0.0},
  ),
  "laprop": (gx.laprop(0.01), laprop_by_the_paper, {}),
  "laprop with other decays": (
    gx.laprop(0.02, b1=0.8, b2=0.95, eps=1e-3),
    laprop_by_the_paper,
    {"a": 0.02, "b1": 0.8, "b2": 0.95, "eps": 1e-3},
  ),
}


@pytest.mark.parametrize("name", PAPERS)
def test_a_hundred_steps_are_those_of_the_paper(name, float64):
  optimizer, reference, options = PAPERS[name]
  start = np.random.default_rng(0).normal(size=(4, 3))
  gradient = lambda p, t: 3 * p + np.sin(5 * p + t)
  params = jnp.asarray(start)
  state = optimizer.init(params)
  for t in range(1, 101):
    params, state = optimizer.step(jnp.asarray(gradient(np.asarray(params), t)), state, params)
  np.testing.assert_allclose(params, reference(start, gradient, 100, **options), rtol=1e-12, atol=1e-12)


def test_optimism_ends_the_circles_of_two_players():
  game = lambda p: jnp.asarray([p[1], -p[0]])  # one descends on x · y, the other ascends
  ends = {}
  for name, optimizer in {"plain": gx.sgd(0.1), "optimistic": gx.optimistic_gradient_descent(0.1)}.items():
    params = jnp.asarray([1.0, 1.0])
    state = optimizer.init(params)
    for _ in range(300):
      params, state = optimizer.step(game(params), state, params)
    ends[name] = float(jnp.linalg.norm(params))
  assert ends["plain"] > 4
  assert ends["optimistic"] < 0.5


def test_a_slow_average_without_weight_is_adam():
  gradient = jnp.asarray([1.0, -2.0])
  for mine, adam in [
    (gx.ademamix(0.1, alpha=0.0), gx.adam(0.1)),
    (gx.adan(0.1, b2=0.0, b3=0.999, b1=0.9), gx.adam(0.1)),
  ]:
    states = mine.init(gradient), adam.init(gradient)
    for scale in (1.0, -0.3, 2.0):
      update, state = mine.update(scale * gradient, states[0], gradient)
      wanted, other = adam.update(scale * gradient, states[1], gradient)
      states = state, other
      np.testing.assert_allclose(update, wanted, rtol=1e-5)
