"""Sophia, against Optax's with the same estimates of the curvature; Sophia-G, against its authors' loop."""

import itertools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import _sophia

import gradxform as gx
from gradxform import data

PARAMS = {"w": jnp.asarray([[1.0, -2.0], [0.5, 3.0]]), "b": jnp.asarray([0.3, -0.7, 0.2])}


def bowl(params):
  """An objective whose Hessian is not diagonal, and has negative elements in places."""
  return sum(jnp.sum(jnp.cos(2 * p) + p**4 / 4) for p in jax.tree.leaves(params)) + jnp.sum(params["w"]) ** 2


def convex(params):
  """One whose elements are all positive: where they are not, 1 / eps multiplies what is rounded away."""
  return bowl(params) + 2 * sum(jnp.sum(p**2) for p in jax.tree.leaves(params))


def exact_diagonal():
  """The diagonal of the Hessian as a transform of Optax's kind."""

  def update(updates, state, params=None, *, obj_fn, **extra):
    del updates, extra
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    return unravel(jnp.diag(jax.hessian(lambda x: obj_fn(unravel(x)))(flat))), state

  return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


OTHERS = {"b1": 0.8, "b2": 0.9, "eps": 1e-2, "gamma": 0.3, "weight_decay": 0.1, "update_interval": 3}


def trajectory(optimizer, objective, steps=100):
  def body(carry, _):
    params, state = carry
    grads, extra = jax.grad(objective)(params), {"obj_fn": objective, "value_fn": objective}
    updates, state = optimizer.update(grads, state, params, **extra)
    return (optax.apply_updates(params, updates), state), updates

  params = jax.tree.map(lambda p: p.astype(float), PARAMS)
  return jax.jit(lambda p: jax.lax.scan(body, (p, optimizer.init(p)), length=steps)[1])(params)


@pytest.mark.parametrize(("options", "objective"), [({}, convex), (OTHERS, bowl)], ids=["defaults", "options"])
@pytest.mark.parametrize("estimate", [gx.hessian_diagonal(), exact_diagonal()], ids=["ours", "optax's"])
def test_sophia_has_optaxs_numbers_for_the_same_estimates(options, objective, estimate, float64):
  ours = trajectory(gx.sophia(0.05, hessian_diagonal_fn=estimate, **options), objective)
  theirs = trajectory(optax.contrib.sophia(0.05, hessian_diagonal_fn=exact_diagonal(), **options), objective)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), ours, theirs)


def test_the_core_of_sophia_is_optaxs_with_its_bound(float64):
  options = {"eps": 1e-2, "gamma": 0.3, "clip_threshold": 0.5, "update_interval": 2}
  ours = trajectory(gx.scale_by_sophia(gx.hessian_diagonal(), **options), bowl, 20)
  theirs = trajectory(_sophia.scale_by_sophia(hessian_diagonal_fn=exact_diagonal(), **options), bowl, 20)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), ours, theirs)
  assert max(jnp.max(jnp.abs(u)) for u in jax.tree.leaves(ours)) == 0.5


def test_the_first_step_of_sophia_is_the_sign_of_the_gradient():
  optimizer = gx.sophia(0.1, weight_decay=0.0)
  extra = {"value_fn": bowl, "key": jax.random.key(0)}
  updates, state = optimizer.update(jax.grad(bowl)(PARAMS), optimizer.init(PARAMS), PARAMS, **extra)
  jax.tree.map(
    lambda u, g: np.testing.assert_allclose(u, -0.1 * np.sign(g), rtol=1e-6), updates, jax.grad(bowl)(PARAMS)
  )
  assert len(jax.tree.leaves(state)) == 2 + 2 * 2  # two counts; a momentum and a curvature of two leaves


def test_sophia_estimates_the_curvature_at_every_tenth_step_from_its_key():
  optimizer = gx.sophia(0.1)
  state, kept = optimizer.init(PARAMS), []
  step = jax.jit(lambda state, key: optimizer.step(PARAMS, state, PARAMS, value_fn=bowl, key=key)[1])
  for count in range(12):
    state = step(state, jax.random.key(count))
    kept.append(np.asarray(state["divide"]["by"]["every"]["inner"]["moving_average"]["moment"]["w"]))
  changes = [not np.array_equal(a, b) for a, b in itertools.pairwise(kept)]
  assert changes == [False] * 9 + [True, False]


def test_sophia_needs_the_objective_and_a_key():
  optimizer = gx.sophia(0.1)
  with pytest.raises(ValueError, match=r"`hutchinson_diagonal` needs the extra argument `key`"):
    optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS, value_fn=bowl)


INPUTS = np.random.default_rng(0).normal(size=(8, 3))
LABELS = np.array([0, 1, 2, 3, 3, 2, 1, 0])
CORE = {"b1": 0.9, "b2": 0.8, "gamma": 0.3, "update_interval": 3, "weight_decay": 0.2}


def slopes(params, labels):
  """The gradient of the mean cross entropy of a softmax regression."""
  logits = INPUTS @ params["w"] + params["b"]
  odds = np.exp(logits - logits.max(axis=1, keepdims=True))
  residuals = (odds / odds.sum(axis=1, keepdims=True) - np.eye(4)[labels]) / len(labels)
  return {"w": INPUTS.T @ residuals, "b": residuals.sum(axis=0)}


def sophia_gs(params, steps, *, rate, b1=0.965, b2=0.99, gamma=0.04, weight_decay=0.1, update_interval=10):
  """The authors' `SophiaG`, `step` and `update_hessian`, on labels drawn with the key of each step."""
  moment, curvature = ({name: np.zeros_like(p) for name, p in params.items()} for _ in range(2))
  for count in range(steps):
    if count and count % update_interval == 0:
      logits = jnp.asarray(INPUTS @ params["w"] + params["b"])
      drawn = slopes(params, np.asarray(jax.random.categorical(jax.random.key(count), logits)))
      curvature = {name: b2 * h + (1 - b2) * drawn[name] ** 2 for name, h in curvature.items()}
    grads = slopes(params, LABELS)
    for name, p in params.items():
      moment[name] = b1 * moment[name] + (1 - b1) * grads[name]
      ratio = np.abs(moment[name]) / (gamma * len(INPUTS) * curvature[name] + 1e-15)
      params[name] = p * (1 - rate * weight_decay) - rate * np.sign(moment[name]) * np.minimum(ratio, 1)
    yield {name: p.copy() for name, p in params.items()}


@pytest.mark.parametrize("options", [{}, CORE], ids=["defaults", "options"])
def test_sophia_g_is_its_authors_loop_for_fifty_steps(options, float64):
  rng = np.random.default_rng(1)
  start = {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
  optimizer = gx.sophia_g(0.02, **options)
  params = jax.tree.map(jnp.asarray, start)
  inputs = jnp.asarray(INPUTS)

  @jax.jit
  def step(grads, state, params, key):
    return optimizer.step(grads, state, params, logits_fn=lambda p: inputs @ p["w"] + p["b"], key=key)

  state = optimizer.init(params)
  for count, wanted in enumerate(sophia_gs(dict(start), 50, rate=0.02, **options)):
    grads = slopes(jax.tree.map(np.asarray, params), LABELS)
    params, state = step(grads, state, params, jax.random.key(count))
    for name, p in wanted.items():
      np.testing.assert_allclose(params[name], p, rtol=1e-12, atol=1e-12, err_msg=f"{name} at {count}")


def test_the_core_of_sophia_g_takes_another_estimate_and_is_the_sign_before_the_first():
  core = gx.scale_by_sophia_g(gx.chain(gx.hessian_diagonal(), gx.absolute()), 2, b1=0.5, b2=0.5, gamma=4.0)
  params = jnp.asarray([1.0, -3.0, 0.5])
  curvatures = jnp.asarray([1.0, 2.0, 8.0])
  update = jax.jit(lambda state: core.update(params, state, params, value_fn=lambda p: jnp.sum(curvatures * p**2) / 2))
  state, seen = core.init(params), []
  for _ in range(3):
    updates, state = update(state)
    seen.append(updates)
  np.testing.assert_array_equal(seen[:2], 2 * [[1, -1, 1]])
  np.testing.assert_allclose(seen[2], [0.875 / 2, -2.625 / 4, 0.4375 / 16], rtol=1e-6)


def test_sophia_g_trains_a_softmax_regression_on_the_digits():
  digits = data.load("digits")
  x, y = jnp.asarray(digits.train_x), jnp.asarray(digits.train_y)
  params = {"w": jnp.zeros((x.shape[1], 10)), "b": jnp.zeros(10)}

  def loss(params):
    return optax.losses.softmax_cross_entropy_with_integer_labels(x @ params["w"] + params["b"], y).mean()

  optimizer = gx.sophia_g(0.01, weight_decay=0.0)

  def body(carry, key):
    params, state = carry
    extra = {"logits_fn": lambda p: x @ p["w"] + p["b"], "key": key}
    return optimizer.step(jax.grad(loss)(params), state, params, **extra), None

  keys = jax.random.split(jax.random.key(0), 100)
  (end, state), _ = jax.lax.scan(body, (params, optimizer.init(params)), keys)
  assert loss(end) < 0.1 < 2.3 < loss(params)
  assert np.mean(np.argmax(digits.test_x @ end["w"] + end["b"], axis=1) == digits.test_y) > 0.94
  assert int(state["divide"]["by"]["every"]["inner"]["count"]) == 9  # estimates in a hundred steps
