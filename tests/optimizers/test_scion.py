"""Scion: its authors' rule as a loop, each leaf in the norm of its layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

SHAPES = {
  "embed/embedding": (7, 4),
  "Dense_0/kernel": (4, 6),
  "Dense_0/bias": (6,),
  "Dense_1/kernel": (6, 3),
  "row/kernel": (1, 5),
  "column/kernel": (5, 1),
  "scale": (),
  "lm_head/kernel": (3, 7),
  "lm_head/bias": (7,),
}


def problem():
  rng = np.random.default_rng(0)
  params = {k: rng.normal(size=shape) for k, shape in SHAPES.items()}
  return params, {k: rng.normal(size=(50, *shape)) for k, shape in SHAPES.items()}


def after_fifty_steps(optimizer, params, grads):
  start = {k: jnp.asarray(p) for k, p in params.items()}
  body = lambda carry, g: (optimizer.step(g, carry[1], carry[0]), None)
  run = jax.jit(lambda: jax.lax.scan(body, (start, optimizer.init(start)), grads)[0][0])
  return run()


def spectral(g):
  """The authors' oracle for one of torch's weights, with its products in float64."""
  x = g / (np.linalg.norm(g) + 1e-7) if g.shape[0] <= g.shape[1] else g.T / (np.linalg.norm(g) + 1e-7)
  for _ in range(5):
    a = x @ x.T
    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
  x = x if g.shape[0] <= g.shape[1] else x.T
  return x * (g.shape[0] / g.shape[1]) ** 0.5


def signs(g):
  return np.sign(g) / g.shape[1]


def of_bias(g):
  return g / (np.sqrt(np.mean(g**2)) + 1e-8)


def scions(param, grads, oracle, rate, momentum, scale, unconstrained):
  """The authors' loop."""
  average = np.zeros_like(param)
  for g in grads:
    average = (1 - momentum) * average + momentum * g
    update = scale * oracle(average)
    if not unconstrained:
      param = param * (1 - rate)
    param = param - rate * update
  return param


@pytest.mark.parametrize(
  ("options", "settings"),
  [
    ({}, (0.1, 50.0, 3000.0, False)),
    ({"beta": 0.5, "radius": 2.0, "last_radius": 8.0, "weight_decay": 0.0}, (0.5, 2.0, 8.0, True)),
  ],
  ids=["constrained", "unconstrained"],
)
def test_it_is_the_authors_loop_for_fifty_steps(options, settings, float64):
  params, grads = problem()
  got = after_fifty_steps(gx.scion(0.002, **options), params, grads)
  momentum, radius, last_radius, unconstrained = settings
  for key, param in params.items():
    own, is_kernel = grads[key], key.endswith("kernel")
    if is_kernel:  # torch's weight is the transposed of Flax's kernel; its embedding is of the same shape
      param, own = param.T, np.swapaxes(own, 1, 2)
    last = key in ("embed/embedding", "lm_head/kernel")
    oracle = signs if last else spectral if is_kernel else of_bias
    wanted = scions(param, own, oracle, 0.002, momentum, last_radius if last else radius, unconstrained)
    scale = np.abs(wanted).max()  # of radii of 3000
    np.testing.assert_allclose(got[key], wanted.T if is_kernel else wanted, rtol=1e-12, atol=1e-12 * scale, err_msg=key)


def test_the_last_layer_and_embeddings_are_those_that_one_says():
  params = {"Dense_0": jnp.ones((4, 6)), "Dense_1": jnp.ones((6, 3)), "table": jnp.ones((5, 4))}
  grads = jax.tree.map(lambda p: jnp.asarray(np.random.default_rng(0).normal(size=p.shape), jnp.float32), params)
  optimizer = gx.scion(1.0, weight_decay=0.0, radius=1.0, last_radius=12.0, last="*Dense_1", embeddings="table")
  updates, _ = optimizer.update(grads, optimizer.init(params), params)
  np.testing.assert_allclose(updates["Dense_1"], -2 * np.sign(grads["Dense_1"]), rtol=1e-6)  # 12 / 6 inputs
  np.testing.assert_allclose(updates["table"], -3 * np.sign(grads["table"]), rtol=1e-6)  # 12 / 4 features
  values = jnp.linalg.svd(updates["Dense_0"], compute_uv=False) / np.sqrt(6 / 4)
  assert jnp.all((values > 0.67) & (values < 1.21))
  with pytest.raises(ValueError, match=r"'\*Dense_7' matches no leaf"):
    gx.scion(1.0, last="*Dense_7").init(params)


def test_constrained_it_stays_in_its_balls_and_unconstrained_it_does_not():
  params = {"w": jnp.zeros((4, 4)), "b": jnp.zeros(3)}
  grads = jax.tree.map(lambda p: jnp.asarray(np.random.default_rng(0).normal(size=p.shape), jnp.float32), params)

  def far(weight_decay):
    optimizer = gx.scion(0.2, radius=2.0, weight_decay=weight_decay)
    p, state, step = params, optimizer.init(params), jax.jit(optimizer.step)
    for _ in range(30):
      p, state = step(grads, state, p)
    return float(jnp.linalg.norm(p["w"], 2)), float(jnp.sqrt(jnp.mean(p["b"] ** 2)))

  spectral_norm, rms = far(1.0)
  assert spectral_norm < 2.0 * 1.21
  assert rms == pytest.approx(2.0, rel=1e-2)
  assert all(length > 10 for length in far(0.0))


def test_kernels_with_more_axes_are_matrices_by_a_view():
  params = {"conv": {"kernel": jnp.ones((3, 3, 2, 4))}}
  grads = jax.tree.map(lambda p: jnp.asarray(np.random.default_rng(0).normal(size=p.shape), jnp.float32), params)
  optimizer = gx.scion(1.0, radius=1.0, weight_decay=0.0, matrix_view="flax")
  updates, _ = optimizer.update(grads, optimizer.init(params), params)
  values = jnp.linalg.svd(updates["conv"]["kernel"].reshape(18, 4), compute_uv=False) / np.sqrt(4 / 18)
  assert jnp.all((values > 0.67) & (values < 1.21))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_zeros_and_gradients_of_rank_one_stay_finite(dtype):
  params = {"w": jnp.ones((4, 3), dtype), "head": jnp.ones((3, 2), dtype), "b": jnp.ones(2, dtype)}
  optimizer = gx.scion(0.01, radius=1.0, last_radius=2.0, weight_decay=0.0)
  step = jax.jit(optimizer.step)
  zeros = jax.tree.map(jnp.zeros_like, params)
  same, state = step(zeros, optimizer.init(params), params)
  jax.tree.map(np.testing.assert_array_equal, same, params)
  grads = {**zeros, "w": jnp.outer(jnp.arange(4.0), jnp.asarray([1.0, -2.0, 0.5])).astype(dtype)}
  new, _ = step(grads, state, params)
  assert np.all(np.isfinite(np.asarray(new["w"], np.float32)))
  assert np.sum(np.asarray(new["w"] - params["w"], np.float32) * np.asarray(grads["w"], np.float32)) < 0
