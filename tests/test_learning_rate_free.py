"""Methods without a learning rate to tune come near the best tuned one, on logistic regression of real data."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

import gradxform as gx

STEPS, DECAY, BATCH = 300, 1e-2, 64
CASES = ("the whole data", "mini-batches", "a first gradient of zero")
WITHIN = 1.1  # of the best tuned loss
RATES = np.geomspace(1e-3, 30.0, 24)
TUNED = {"sgd": gx.sgd, "adam": gx.adam}
UNTUNED = {
  "cocob": gx.cocob(),
  "dadapt_adamw": gx.dadapt_adamw(),
  "dog": gx.dog(),
  "dowg": gx.dowg(),
  "mechanize(adam)": gx.mechanize(gx.adam(1.0)),
  "mechanize(sgd)": gx.mechanize(gx.sgd(1.0)),
  "momo": gx.momo(),
  "momo_adam": gx.momo_adam(),
  "polyak_sgd": gx.polyak_sgd(),
  "prodigy": gx.prodigy(),
}


@functools.cache
def examples():
  """The features, each of mean 0 and deviation 1, and the labels −1 and 1."""
  x, y = load_breast_cancer(return_X_y=True)
  return jnp.asarray((x - x.mean(0)) / x.std(0), jnp.float32), jnp.asarray(2.0 * y - 1.0, jnp.float32)


@functools.cache
def weights():
  """The weight of each example at each step, and the factor of each gradient, for every case."""
  count = len(examples()[1])
  random = np.random.default_rng(0)
  some = np.zeros((STEPS, count), np.float32)
  for row in some:
    row[random.choice(count, BATCH, replace=False)] = 1
  every, kept = np.ones((STEPS, count), np.float32), np.ones(STEPS, np.float32)
  return jnp.array([every, some, every]), jnp.array([kept, kept, np.arange(STEPS) > 0], jnp.float32)


def loss_of(params, weight):
  x, y = examples()
  losses = jax.nn.softplus(-y * (x @ params["w"] + params["b"]))
  return jnp.sum(weight * losses) / jnp.sum(weight) + DECAY / 2 * jnp.sum(params["w"] ** 2)


def trained(optimizer, weight, kept):
  """The loss on the whole data after all steps, and everything that has to be finite."""

  def step(carry, given):
    (params, state), (weight, factor) = carry, given
    objective = functools.partial(loss_of, weight=weight)
    value, grads = jax.value_and_grad(objective)(params)
    grads = jax.tree.map(lambda g: factor * g, grads)
    params, state = optimizer.step(grads, state, params, value=value, value_fn=objective)
    return (params, state), params

  params = {"w": jnp.zeros(examples()[0].shape[1]), "b": jnp.zeros(())}
  (params, state), path = jax.lax.scan(step, (params, optimizer.init(params)), (weight, kept))
  return loss_of(params, jnp.ones_like(weight[0])), (path, state)


@functools.cache
def tuned():
  """The last loss with each learning rate in every case, ``[cases, rates]``, of each optimizer that is tuned."""

  def curve(make):
    of_rate = lambda rate, *case: trained(make(rate), *case)[0]
    both = jax.vmap(jax.vmap(of_rate, in_axes=(0, None, None)), in_axes=(None, 0, 0))
    return np.asarray(jax.jit(both)(jnp.asarray(RATES, jnp.float32), *weights()))

  return {name: curve(make) for name, make in TUNED.items()}


@functools.cache
def untuned(name):
  """The last loss in every case, and all that has to be finite."""
  loss, kept = jax.jit(jax.vmap(functools.partial(trained, UNTUNED[name])))(*weights())
  return np.asarray(loss), kept


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", TUNED)
def test_the_best_learning_rate_lies_within_the_sweep(name, case):
  losses = tuned()[name][CASES.index(case)]
  assert 0 < np.nanargmin(losses) < len(RATES) - 1
  assert losses[0] > WITHIN * np.nanmin(losses), "the sweep begins so low that tuning matters"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", UNTUNED)
def test_without_tuning_the_loss_comes_within_a_tenth_of_the_best_tuned_one(name, case):
  index = CASES.index(case)
  best = min(np.nanmin(losses[index]) for losses in tuned().values())
  assert untuned(name)[0][index] <= WITHIN * best


@pytest.mark.parametrize("name", UNTUNED)
def test_parameters_and_state_stay_finite_after_a_first_gradient_of_zero(name):
  path, state = untuned(name)[1]
  index = CASES.index("a first gradient of zero")
  for array in jax.tree.leaves((path, state)):
    assert np.isfinite(array[index]).all()
  first = jax.tree.map(lambda array: array[index, 0], path)
  assert all((np.abs(array) <= 1e-6).all() for array in jax.tree.leaves(first)), "nothing is known yet"
