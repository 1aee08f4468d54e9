"""Dion: its authors' rule as a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

SHAPES = {"wide": (3, 5), "tall": (6, 2), "square": (4, 4), "row": (1, 4), "column": (4, 1), "bias": (5,)}


def problem(seed=0):
  rng = np.random.default_rng(seed)
  params = {k: rng.normal(size=shape) for k, shape in SHAPES.items()}
  return params, {k: rng.normal(size=(50, *shape)) for k, shape in SHAPES.items()}


def after_fifty_steps(optimizer, params, grads):
  start = {k: jnp.asarray(p) for k, p in params.items()}
  body = lambda carry, g: (optimizer.step(g, carry[1], carry[0]), None)
  run = jax.jit(lambda: jax.lax.scan(body, (start, optimizer.init(start)), grads)[0][0])
  return run()


def adamws(param, grads, rate, decay):
  first, second = np.zeros_like(param), np.zeros_like(param)
  for t, g in enumerate(grads, 1):
    first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
    direction = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    param = param - rate * (direction + decay * param)
  return param


def dions(param, grads, basis, rate, mu, decay):
  """The authors' plain code for one matrix whose rows are outputs."""
  momentum, q = np.zeros_like(param), basis
  for g in grads:
    momentum = momentum + g
    p, _ = np.linalg.qr(momentum @ q)
    r = momentum.T @ p
    momentum = momentum - (1 - mu) * p @ r.T
    q = r / (np.linalg.norm(r, axis=0, keepdims=True) + 1e-8)
    fan_out, fan_in = param.shape
    param = param * (1 - rate * decay) - rate * (fan_out / fan_in) ** 0.5 * p @ q.T
  return param


@pytest.mark.parametrize("options", [{}, {"rank": 2, "decay": 0.8, "weight_decay": 0.1}], ids=["defaults", "options"])
def test_dion_is_its_authors_loop_for_fifty_steps(options, float64):
  params, grads = problem()
  optimizer = gx.dion(0.01, **options)
  got = after_fifty_steps(optimizer, params, grads)
  bases = optimizer.init(jax.tree.map(jnp.asarray, params))["dion"]["matrices"]["scale_by_dion"]["basis"]
  decay = options.get("weight_decay", 0.01)
  for key, param in params.items():
    if param.ndim != 2:
      wanted = adamws(param, grads[key], 0.01, decay)
    else:  # an output is a row there, and a column here
      basis, mu = np.asarray(bases[key]), options.get("decay", 0.95)
      wanted = dions(param.T, np.swapaxes(grads[key], 1, 2), basis, 0.01, mu, decay).T
    np.testing.assert_allclose(got[key], wanted, rtol=1e-12, atol=1e-12, err_msg=key)
