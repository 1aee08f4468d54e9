"""In Optax's wrappers, in Flax, in JAX's transformations: as its users would."""

import operator

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx, serialization
from flax.training.train_state import TrainState

import gradxform as gx

PARAMS = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3)}
LABELS = {"w": "matrix", "b": "vector"}


def loss(params):
  return sum(jnp.sum(jnp.square(leaf - 0.3)) for leaf in jax.tree.leaves(params))


def train(transform, steps=5):
  @jax.jit
  def step(params, state):
    updates, state = transform.update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state

  params, state = PARAMS, transform.init(PARAMS)
  for _ in range(steps):
    params, state = step(params, state)
  return params


MASK = {"w": True, "b": True}
INSIDE_OPTAX = {
  "chain": lambda adam: optax.chain(optax.clip(1e3), adam(0.01)),
  "named_chain": lambda adam: optax.named_chain(("clip", optax.clip(1e3)), ("adam", adam(0.01))),
  "masked": lambda adam: optax.masked(adam(0.01), MASK),
  "MultiSteps": lambda adam: optax.MultiSteps(adam(0.01), 2).gradient_transformation(),
  "inject_hyperparams": lambda adam: optax.inject_hyperparams(adam)(learning_rate=0.01),
  "inject_hyperparams of a schedule": lambda adam: optax.inject_hyperparams(adam)(
    learning_rate=optax.linear_schedule(0.01, 0.0, 10)
  ),
  "partition": lambda adam: optax.partition({"matrix": adam(0.01), "vector": adam(0.02)}, LABELS),
  "apply_if_finite": lambda adam: optax.apply_if_finite(adam(0.01), 3),
  "lookahead-free flatten": lambda adam: optax.flatten(adam(0.01)),
  "skip_not_finite": lambda adam: optax.MultiSteps(
    adam(0.01), 1, should_skip_update_fn=optax.skip_not_finite
  ).gradient_transformation(),
}


@pytest.mark.parametrize("wrapper", INSIDE_OPTAX)
def test_optax_wrappers_take_our_adam_as_their_own(wrapper):
  make = INSIDE_OPTAX[wrapper]
  chex.assert_trees_all_close(train(make(gx.adam)), train(make(optax.adam)), rtol=1e-5)


INSIDE_OURS = {
  "sgd": optax.sgd(0.1, momentum=0.9),
  "adam": optax.adam(0.01),
  "masked": optax.masked(optax.adam(0.01), {"w": True, "b": False}),
  "partition": optax.partition({"matrix": optax.adam(0.01), "vector": optax.sgd(0.1)}, LABELS),
  "inject_hyperparams": optax.inject_hyperparams(optax.adam)(learning_rate=0.01),
  "MultiSteps": optax.MultiSteps(optax.adam(0.01), 2),
  "adafactor": optax.adafactor(0.01),
  "lbfgs": optax.chain(optax.scale_by_lbfgs(), optax.scale(-0.1)),
}


@pytest.mark.parametrize("inner", INSIDE_OURS)
def test_optax_transforms_work_inside_our_chain(inner):
  transform = INSIDE_OURS[inner]
  ours = gx.chain(gx.scale(1.0), transform, gx.scale(1.0))
  reference = transform.gradient_transformation() if inner == "MultiSteps" else transform
  chex.assert_trees_all_close(train(ours), train(reference), rtol=1e-6)


def test_train_state_trains_and_serializes():
  model = nn.Dense(2)
  x, y = jnp.ones((4, 3)), jnp.zeros((4, 2))
  params = model.init(jax.random.key(0), x)["params"]
  ts = TrainState.create(apply_fn=model.apply, params=params, tx=gx.adam(0.01))

  @jax.jit
  def step(ts):
    grads = jax.grad(lambda p: jnp.mean(jnp.square(ts.apply_fn({"params": p}, x) - y)))(ts.params)
    return ts.apply_gradients(grads=grads)

  trained = step(step(ts))
  assert trained.opt_state["count"] == trained.step == 2
  restored = serialization.from_bytes(ts, serialization.to_bytes(trained))
  chex.assert_trees_all_equal(restored.opt_state, trained.opt_state)


def test_train_state_takes_a_transform_with_array_hyperparameters():
  ts = TrainState.create(apply_fn=None, params=PARAMS, tx=gx.adam(jnp.float32(0.01)))
  stepped = jax.jit(lambda ts: ts.apply_gradients(grads=PARAMS))(ts)
  assert stepped.step == 1


def test_nnx_optimizer_trains():
  model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, gx.adam(0.01), wrt=nnx.Param)
  twin = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
  reference = nnx.Optimizer(twin, optax.adam(0.01), wrt=nnx.Param)

  @nnx.jit
  def step(model, optimizer):
    grads = nnx.grad(lambda m: jnp.sum(jnp.square(m(jnp.ones((1, 2))))))(model)
    optimizer.update(model, grads)

  for _ in range(3):
    step(model, optimizer)
    step(twin, reference)
  assert optimizer.opt_state["count"][...] == 3
  np.testing.assert_allclose(model.kernel[...], twin.kernel[...], rtol=1e-5)


def _linear_under_nnx(transform, steps=2):
  model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, transform, wrt=nnx.Param)
  return model, optimizer, lambda: [optimizer.update(model, nnx.grad(nnx_loss)(model)) for _ in range(steps)]


def nnx_loss(model):
  return jnp.sum(jnp.square(model(jnp.ones((1, 2)))))


def test_what_is_adjustable_can_be_set_in_an_nnx_optimizer():
  model, optimizer, train = _linear_under_nnx(gx.adjustable(gx.sgd(0.1)))
  train()
  before = model.kernel[...]
  state = gx.set_hyperparameters(optimizer.opt_state, {"learning_rate": 0.0})
  assert jax.tree.structure(state) == jax.tree.structure(optimizer.opt_state)
  optimizer.opt_state = nnx.data(state)
  train()
  np.testing.assert_array_equal(model.kernel[...], before)


def test_what_is_measured_can_be_read_in_an_nnx_optimizer():
  model, optimizer, train = _linear_under_nnx(gx.monitor(gx.sgd(0.0), metrics="parameter_norm"))
  train()
  norms = gx.metrics(optimizer.opt_state)
  assert all(isinstance(norm, jax.Array) for norm in norms.values())
  np.testing.assert_allclose(norms["parameter_norm"], jnp.linalg.norm(model.kernel[...]), rtol=1e-6)
  gx.watch(optimizer.opt_state)


@pytest.mark.parametrize("wrap", [gx.average_parameters, gx.schedule_free, gx.lookahead])
def test_other_parameters_are_read_of_an_nnx_optimizer_as_pure_trees(wrap):
  model, optimizer, train = _linear_under_nnx(wrap(gx.sgd(0.1)))
  train()
  state, params = nnx.as_pure(optimizer.opt_state), nnx.as_pure(nnx.state(model, nnx.Param))
  read = gx.averaged if wrap is gx.average_parameters else gx.evaluation_params
  nnx.update(model, expected := read(state, params))
  assert isinstance(model.kernel, nnx.Param)
  np.testing.assert_array_equal(model.kernel[...], expected["kernel"])


def test_a_population_trains_in_one_program_as_its_members_do_alone():
  compiled = 0

  def run(optimizer):
    nonlocal compiled
    compiled += 1
    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(10):
      params, state = optimizer.step(jax.grad(loss)(params), state, params)
    return params

  rates = jnp.logspace(-4, -1, 8)
  population = jax.vmap(gx.adam)(rates)
  together = jax.jit(jax.vmap(run))(population)
  assert compiled == 1
  for index, rate in enumerate(rates.tolist()):
    one_of_them = jax.tree.map(operator.itemgetter(index), together)
    chex.assert_trees_all_close(one_of_them, run(gx.adam(rate)), rtol=2e-6)


def test_another_learning_rate_compiles_nothing_new():
  step = jax.jit(lambda optimizer, grads, state, params: optimizer.step(grads, state, params))
  optimizer = gx.chain(gx.clip_by_global_norm(1.0), gx.adam(1e-3))
  state = optimizer.init(PARAMS)
  before, _ = step(optimizer, PARAMS, state, PARAMS)
  after, _ = step(gx.replace(optimizer, {"*learning_rate": 1e-4}), PARAMS, state, PARAMS)
  assert step._cache_size() == 1
  ratio = (PARAMS["b"] - before["b"]) / (PARAMS["b"] - after["b"])
  np.testing.assert_allclose(ratio, 10.0, rtol=1e-2)


def test_the_derivative_by_the_optimizer_agrees_with_finite_differences(float64):
  start = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), PARAMS)

  @jax.jit
  def loss_after_training(optimizer):
    params, state = start, optimizer.init(start)
    for _ in range(10):
      params, state = optimizer.step(jax.grad(loss)(params), state, params)
    return loss(params)

  optimizer = gx.adam(0.01, b1=0.8, b2=0.95, eps=1e-2)
  derivative = gx.hyperparameters(jax.grad(loss_after_training)(optimizer))
  for name, value in gx.hyperparameters(optimizer).items():
    h = 1e-5 * value
    up, down = (loss_after_training(gx.replace(optimizer, {name: value + s * h})) for s in (1, -1))
    np.testing.assert_allclose(derivative[name], (up - down) / (2 * h), rtol=1e-6)


def test_a_transform_is_a_static_argument_too():
  step = jax.jit(lambda optimizer, params: optimizer.step(params, optimizer.init(params), params)[0], static_argnums=0)
  step(gx.adam(1e-3), PARAMS)
  step(gx.adam(1e-3), PARAMS)
  assert step._cache_size() == 1


def test_the_state_has_the_sharding_of_its_parameters():
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
  sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
  params = jax.device_put(jnp.ones(4), sharding)
  moment = gx.momentum(0.1).init(params)["trace"]["momentum"]
  assert moment.sharding == sharding


@pytest.mark.parametrize("leaves", [1, 100])
@pytest.mark.parametrize(
  "name", ["sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "adamax", "nadam", "amsgrad"]
)
def test_a_compiled_step_moves_no_more_bytes_than_optaxs(name, leaves):
  params = [jax.ShapeDtypeStruct((1024,), jnp.float32)] * leaves
  rate = {"learning_rate": 1e-3}

  def bytes_moved(transform):
    def step(grads, state, params):
      updates, state = transform.update(grads, state, params)
      return optax.apply_updates(params, updates), state

    state = jax.eval_shape(transform.init, params)
    compiled = jax.jit(step).lower(params, state, params).compile()
    return compiled.cost_analysis()["bytes accessed"]

  theirs = getattr(optax, name)(**rate)
  has_count = "count" in str(jax.tree.structure(theirs.init(params)))
  count = 0 if has_count else 24  # read, written, and a tuple to return it in
  assert bytes_moved(getattr(gx, name)(**rate)) <= bytes_moved(theirs) + count


def test_many_leaves_of_one_shape_are_traced_once():
  params = [jnp.ones((3, 3))] * 50 + [jnp.ones(3)] * 50
  transform = gx.adam(1e-3)
  jaxpr = jax.make_jaxpr(transform.update)(params, transform.init(params), params)
  calls = [eqn for eqn in jaxpr.eqns if "jaxpr" in eqn.params and eqn.params["name"] == "leaf"]
  assert len(calls) == 100
  assert len({id(eqn.params["jaxpr"]) for eqn in calls}) == 2


class Convolved(nnx.Module):
  def __init__(self):
    self.linear, self.conv = nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Conv(2, 1, (2,), rngs=nnx.Rngs(1))


@pytest.mark.parametrize("matrix_view", [None, "flax"])
@pytest.mark.parametrize("optimizer", [gx.galore, gx.kron, gx.shampoo, gx.soap, gx.splus])
def test_what_has_factors_for_each_axis_trains_under_nnx_from_step_to_step_inside_of_others_too(optimizer, matrix_view):
  # After its first step nnx.Optimizer gives back other containers of what belongs to one parameter.
  transform = optax.MultiSteps(optax.chain(optax.clip(1.0), optimizer(0.01, matrix_view=matrix_view)), 2)

  def structures():
    model = Convolved()
    optimizer, seen = nnx.Optimizer(model, transform, wrt=nnx.Param), []
    for _ in range(3):
      optimizer.update(model, nnx.state(model, nnx.Param))
      seen.append(jax.tree.structure(nnx.as_pure(optimizer.opt_state)))
    assert seen[0] == seen[1] == seen[2]
    return jnp.zeros(())

  nnx.eval_shape(structures)
