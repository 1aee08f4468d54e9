"""Every optimizer inside what an Optax user puts around it, and on parameters spread over devices."""

import functools
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from examples import example, extras, grads_like, params_like, update
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import gradxform as gx
from gradxform import optimizers

every_optimizer = pytest.mark.parametrize("name", optimizers.__all__)


@every_optimizer
def test_multi_steps_makes_one_step_on_the_mean_of_two_gradients(name):
  params, transform = params_like(), example(name)
  first, second = (grads_like(params, index) for index in range(2))
  mean = jax.tree.map(lambda a, b: (a + b) / 2, first, second)
  given = extras(params, mean)
  multi = optax.MultiSteps(transform, 2)
  step = jax.jit(functools.partial(multi.update, **given))
  held, state = step(first, multi.init(params), params)
  updates, state = step(second, state, params)
  wanted, _ = transform.update(mean, transform.init(params), params, **given)
  chex.assert_trees_all_equal(held, jax.tree.map(jnp.zeros_like, params))
  chex.assert_trees_all_close(updates, wanted, rtol=1e-5, atol=1e-6)
  assert state.gradient_step == 1


@every_optimizer
def test_inject_hyperparams_keeps_its_numbers_in_the_state(name):
  factory, params = getattr(gx, name), params_like()
  parameters = inspect.signature(factory).parameters
  given = {"learning_rate": 0.1} if "learning_rate" in parameters else {}
  structure = [key for key, p in parameters.items() if p.annotation is int or isinstance(p.default, (str, type(None)))]
  injected = optax.inject_hyperparams(factory, static_args=structure)(**given)
  state = injected.init(params)
  numbers = {path for path, value in gx.hyperparameters(factory(**given)).items() if isinstance(value, float)}
  assert numbers <= set(state.hyperparams)
  grads = grads_like(params, 0)
  updates, _ = injected.update(grads, state, params, **extras(params, grads))
  wanted, _ = update(factory(**given), grads, factory(**given).init(params), params)
  chex.assert_trees_all_close(updates, wanted, rtol=1e-4, atol=1e-6)


# Of a matrix of rank 3 its sign in a basis of 8 vectors has five rows of what was rounded.
SEES_ROUNDING = {"splus"}


@every_optimizer
def test_sharded_parameters_have_a_sharded_state_and_the_same_numbers(name):
  transform = example(name)
  mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
  rows = NamedSharding(mesh, PartitionSpec("data"))
  rng = np.random.default_rng(0)
  params = {key: rng.normal(size=shape).astype(np.float32) for key, shape in {"w": (8, 3), "b": (16,)}.items()}
  grads = {key: rng.normal(size=leaf.shape).astype(np.float32) for key, leaf in params.items()}

  @jax.jit
  def two_steps(params, grads):
    state = transform.init(params)
    for _ in range(2):
      params, state = transform.step(grads, state, params, **extras(params, grads))
    return params, state

  alone, _ = two_steps(params, grads)
  spread, state = two_steps(jax.device_put(params, rows), jax.device_put(grads, rows))
  compared = ["b"] if name in SEES_ROUNDING else ["b", "w"]
  for key in compared:
    np.testing.assert_allclose(jax.device_get(spread[key]), alone[key], rtol=2e-5, atol=1e-6)
  assert spread["w"].sharding.is_equivalent_to(rows, 2)
  for leaf, what in zip(jax.tree.leaves(state), jax.tree.leaves(gx.layout(transform, params)), strict=True):
    assert len(leaf.sharding.device_set) == 8
    if what.kind == "slot":
      assert leaf.sharding.shard_shape(leaf.shape)[0] == leaf.shape[0] // 8


def test_products_over_the_tree_work_on_a_mesh_of_explicit_axes():
  mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Explicit,))
  x = jax.device_put(np.arange(16, dtype=np.float32), NamedSharding(mesh, PartitionSpec("data")))
  assert jax.jit(gx.tree.vdot)({"a": x}, {"a": x}) == 1240
  assert jax.jit(gx.tree.global_norm)({"a": x}) == pytest.approx(1240**0.5)
  params, state = x, gx.momo(1.0).init(x)
  params, _ = jax.jit(gx.momo(1.0).step)(x, state, params, value=jnp.float32(1240.0))
  np.testing.assert_allclose(params, np.zeros(16), atol=1e-5)
