"""Transforms for some of the leaves: by hand, against Optax's, and what others broke at."""

import functools
import re

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.ones(3), "k": jnp.ones((2, 2, 2)), "none": None}
GRADS = jax.tree.map(lambda p: 2.0 * p, PARAMS)
FAST_TO_COMPILE = {"xla_backend_optimization_level": 0}


def once(transform, **extra):
  return transform.update(GRADS, transform.init(PARAMS), PARAMS, **extra)[0]


# Against Optax's wrappers, around Optax's transforms and around ours.

NETWORK = {
  "embed": {"table": (5, 2)},
  "body": [{"kernel": (2, 3), "bias": (3,)}, {"kernel": (3, 2), "bias": (2,)}],
  "head": {"kernel": (2, 4), "scale": ()},
}


def network():
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda shape: jnp.asarray(rng.normal(size=shape)), NETWORK, is_leaf=lambda x: isinstance(x, tuple)
  )


def flags(*patterns):
  names = gx.tree.paths(jax.tree.structure(network()))
  return jax.tree.structure(network()).unflatten([any(re.match(p, name) for p in patterns) for name in names])


def labels(tree):
  return jax.tree.map(lambda leaf: "matrices" if leaf.ndim > 1 else "rest", tree)


ADAMW = (gx.adamw(0.05, weight_decay=0.1), optax.adamw(0.05, weight_decay=0.1))
CLIPPED = (
  gx.chain(gx.clip_by_global_norm(0.5), gx.momentum(0.1)),
  optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1, 0.9)),
)

PAIRS = {
  "masked": (
    lambda a, b: gx.masked(a, where="body/*"), lambda a, b: optax.masked(a, flags("body/.*")),
  ),
  "masked by flags": (
    lambda a, b: gx.masked(a, where=flags("head.*")), lambda a, b: optax.masked(a, flags("head.*")),
  ),
  "masked by a function": (
    lambda a, b: gx.masked(a, where=lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)),
    lambda a, b: optax.masked(a, lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)),
  ),
  "partition": (
    lambda a, b: gx.partition({gx.at_least_2d: a, "*": b}),
    lambda a, b: optax.partition({"matrices": a, "rest": b}, labels),
  ),
  "partition by names": (
    lambda a, b: gx.partition({"rest": b, "matrices": a}, by=lambda path, x: "matrices" if x.ndim > 1 else "rest"),
    lambda a, b: optax.partition({"matrices": a, "rest": b}, labels),
  ),
  "freeze": (
    lambda a, b: gx.chain(a, gx.freeze(("embed/*", gx.is_bias))),
    lambda a, b: optax.chain(a, optax.freeze(flags("embed/.*", ".*bias"))),
  ),
  "train_only": (
    lambda a, b: gx.train_only(a, where="head/*"),
    lambda a, b: optax.selective_transform(a, freeze_mask=flags("embed.*", "body.*")),
  ),
}  # fmt: skip


@functools.cache
def trajectory(kind, side, ours):
  a, b = (pair[0 if ours else 1] for pair in (ADAMW, CLIPPED))
  transform = PAIRS[kind][side](a, b)

  def body(carry, _):
    params, state = carry
    grads = jax.tree.map(lambda p: 3 * p + jnp.sin(5 * p), params)
    updates, state = transform.update(grads, state, params)
    return (jax.tree.map(lambda p, u: p + 0.1 * jnp.tanh(u), params, updates), state), updates

  start = network()
  run = lambda: jax.lax.scan(body, (start, transform.init(start)), None, length=20)[1]
  return jax.jit(run, compiler_options=FAST_TO_COMPILE)()


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("inner", ["ours", "optax's"])
def test_it_agrees_with_optaxs_around_ours_and_optaxs_transforms(kind, inner, float64):
  wanted = trajectory(kind, 1, False)
  mine = trajectory(kind, 0, inner == "ours")
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15), mine, wanted)


def test_optaxs_wrapper_around_ours_agrees_too(float64):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15),
    trajectory("partition", 1, True),
    trajectory("partition", 0, True),
  )


# What breaks elsewhere.


def test_a_global_norm_is_of_its_own_leaves_inside_and_of_all_outside():
  clip, groups = gx.clip_by_global_norm(1.0), {"w": gx.identity(), "*": gx.identity()}
  inside = once(gx.partition({**groups, "w": clip}))
  np.testing.assert_allclose(jnp.linalg.norm(inside["w"]), 1.0, rtol=1e-6)
  np.testing.assert_array_equal(inside["b"], GRADS["b"])
  outside = once(gx.chain(clip, gx.partition(groups)))
  np.testing.assert_allclose(gx.tree.global_norm(outside), 1.0, rtol=1e-6)
  both = once(gx.chain(gx.partition(groups), clip))
  np.testing.assert_allclose(both["b"], outside["b"], rtol=1e-6)


def bowl(p):
  return jnp.sum((p["w"] - 2) ** 2 * jnp.arange(1.0, 7).reshape(2, 3)) + jnp.sum(p["w"]) * p["b"][0]


@pytest.mark.parametrize("inner", [gx.lbfgs(), optax.lbfgs()], ids=["ours", "optax's"])
def test_lbfgs_inside_a_partition_takes_the_steps_that_it_takes_alone(inner, float64):
  start = {"w": jnp.zeros((2, 3)), "b": jnp.ones(2)}
  rest = {"b": start["b"]}
  alone = gx.chain(inner)

  def steps(transform, value_fn, params):
    def body(carry, _):
      params, state = carry
      value, grads = jax.value_and_grad(value_fn)(params)
      params, state = transform.step(grads, state, params, value=value, grad=grads, value_fn=value_fn)
      return (params, state), params

    run = lambda: jax.lax.scan(body, (params, transform.init(params)), None, length=4)[1]
    return jax.jit(run, compiler_options=FAST_TO_COMPILE)()

  within = steps(gx.partition({"w": inner, "*": gx.freeze()}), bowl, start)
  wanted = steps(alone, lambda p: bowl({**p, **rest}), {"w": start["w"]})
  np.testing.assert_allclose(within["w"], wanted["w"], rtol=1e-12)
  assert abs(within["w"][-1] - within["w"][0]).max() > 0.1
  np.testing.assert_array_equal(within["b"][-1], start["b"])


@pytest.mark.parametrize("sharp", [gx.sharpness_aware, gx.adaptive_sharpness_aware])
def test_steps_that_know_of_sharpness_see_the_objective_of_their_own_leaves(sharp, float64):
  params = {"w": jnp.full((2, 3), 0.5), "b": jnp.full(2, 3.0)}
  alone, within = sharp(gx.sgd(0.1)), gx.partition({"w": sharp(gx.sgd(0.1)), "*": gx.sgd(0.2)})
  grads = jax.grad(bowl)(params)
  updates, _ = within.update(grads, within.init(params), params, grad_fn=jax.grad(bowl))
  rest, own = {"b": params["b"]}, {"w": params["w"]}
  of_own = jax.grad(lambda p: bowl({**p, **rest}))
  wanted, _ = alone.update({"w": grads["w"]}, alone.init(own), own, grad_fn=of_own)
  np.testing.assert_allclose(updates["w"], wanted["w"], rtol=1e-12)
  assert not np.allclose(updates["w"], -0.1 * grads["w"], rtol=1e-3)
  np.testing.assert_allclose(updates["b"], -0.2 * grads["b"], rtol=1e-12)


def test_parameters_of_flax_are_selected_as_they_are_printed():
  model = linen.Sequential([linen.Dense(3), linen.LayerNorm(), linen.Dense(2)])
  params = jax.jit(model.init)(jax.random.key(0), jnp.ones(4))
  decay = gx.masked(gx.add_decayed_weights(0.5), where=gx.all_of("params/*", gx.at_least_2d))
  groups = {"params/layers_2/*": gx.sgd(1.0), re.compile(r"params/layers_\d/(scale|bias)"): gx.freeze(), "*": decay}
  transform = gx.partition(groups)
  updates, _ = transform.update(params, transform.init(params), params)
  layers, given = updates["params"], params["params"]
  np.testing.assert_array_equal(layers["layers_2"]["kernel"], -given["layers_2"]["kernel"])
  np.testing.assert_allclose(layers["layers_0"]["kernel"], 1.5 * given["layers_0"]["kernel"])
  assert not np.any(layers["layers_1"]["scale"])


@pytest.mark.parametrize(
  "wrap",
  [
    lambda t: gx.partition({"w": t, "*": t}),
    lambda t: gx.partition({"w": t, "*": gx.freeze()}),
    lambda t: gx.masked(t, where=("w", "b")),
    lambda t: gx.train_only(gx.masked(t, where="w"), where="*"),
  ],
)
def test_averages_are_read_through_it_and_what_has_none_is_as_in_the_parameters(wrap):
  params = {"w": jnp.ones(2), "b": jnp.ones(3)}
  transform = wrap(gx.average_parameters(gx.sgd(0.5), 0.5))
  moved, state = transform.step(params, transform.init(params), params)
  average = gx.averaged(state, moved)
  assert jax.tree.structure(average) == jax.tree.structure(params)
  np.testing.assert_allclose(average["w"], moved["w"])
  np.testing.assert_allclose(average["b"], moved["b"])


# The expressions.


def test_groups_print_expand_and_are_addressed_by_their_patterns():
  rate = optax.constant_schedule(0.5)
  groups = {"body/*": gx.chain(gx.clip(1.0), gx.sgd(0.1)), re.compile("head/.*"): gx.sgd(rate), gx.is_bias: gx.sign()}
  transform = gx.chain(gx.partition(groups), gx.scaled({"*/w": 2, "*": rate}))
  values = gx.hyperparameters(transform, {"count": 0})
  assert values == {
    "partition.body/*.clip.max_delta": 1.0,
    "partition.body/*.sgd.learning_rate": 0.1,
    "partition.head/.*.sgd.learning_rate": 0.5,
    "scaled.*/w": 2.0,
    "scaled.*": 0.5,
  }
  assert jax.tree.leaves(transform) == [1.0, 0.1, 2.0]
  assert gx.explain(gx.partition({"*": gx.momentum(0.1)})) == (
    "partition({'*': chain(trace(decay=0.9), scale_by_learning_rate(learning_rate=0.1))})"
  )


def test_a_path_with_the_characters_of_a_glob_stands_for_itself():
  transform = gx.scaled({"a": 1.0, "*": 2.0, "[ab]": 3.0})
  replaced = gx.replace(transform, {"*": 5.0})
  assert gx.hyperparameters(replaced) == {"a": 1.0, "*": 5.0, "[ab]": 3.0}
  assert gx.hyperparameters(gx.replace(transform, {"[ab]": 6.0})) == {"a": 1.0, "*": 2.0, "[ab]": 6.0}
  assert gx.hyperparameters(gx.replace(transform, {"?*": 7.0})) == {"a": 7.0, "*": 7.0, "[ab]": 7.0}
  with pytest.raises(ValueError, match=r"'b' matches no hyperparameter"):
    gx.replace(transform, {"b": 1.0})


def test_the_order_of_the_groups_is_kept_and_makes_another_transform():
  first, second = gx.sgd(0.1), gx.sign()
  transform = gx.partition({"z": first, "a": second})
  assert list(transform.arguments["groups"]) == ["z", "a"]
  assert transform != gx.partition({"a": second, "z": first})
  assert jax.tree.map(lambda x: x, transform) == transform


def test_the_state_has_an_entry_for_each_group_that_keeps_something():
  transform = gx.partition({"w": gx.trace(0.9), gx.is_bias: gx.scale(2.0), "*": gx.adam(0.1)})
  state = transform.init(PARAMS)
  assert list(state["partition"]) == ["w", "*"]
  assert [leaf.shape for leaf in jax.tree.leaves(state["partition"]["w"])] == [(2, 3)]
  assert list(gx.masked(gx.trace(0.9), where="w").init(PARAMS)["masked"]) == ["inner"]
  named = gx.named(lambda learning_rate: gx.partition({"*": gx.adam(learning_rate)}))(0.1)
  assert list(named.init(PARAMS)) == ["count", "partition"]


def test_rates_by_layer_are_numbers_arrays_or_schedules():
  rate = lambda count: 0.5 * (count + 1)
  transform = gx.chain(gx.sgd(1.0), gx.scaled({"w": 10, "b": jnp.float32(0.1), "k": rate}))
  updates, state = transform.update(GRADS, transform.init(PARAMS), PARAMS)
  np.testing.assert_allclose([updates[n].ravel()[0] for n in "wbk"], [-20, -0.2, -1.0], rtol=1e-6)
  np.testing.assert_allclose(transform.update(GRADS, state)[0]["k"], -2.0)
  population = jax.vmap(lambda c: gx.scaled({"w": c}).update(GRADS, {"count": jnp.int32(0)})[0])(jnp.arange(3.0))
  np.testing.assert_allclose(population["w"][2], 4.0)
  np.testing.assert_allclose(population["b"], 2.0)


def test_a_derivative_with_respect_to_a_partition_is_one_for_each_group():
  def loss(transform):
    params, _ = transform.step(GRADS, transform.init(PARAMS), PARAMS)
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params))

  derivative = jax.grad(loss)(gx.partition({"w": gx.sgd(0.1), "*": gx.sgd(0.2)}))
  assert gx.hyperparameters(derivative) == {"w.sgd.learning_rate": -12.0, "*.sgd.learning_rate": -22.0}


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: gx.partition([("w", gx.sign())]), r"`partition\(groups=...\)` must be a dict by patterns"),
    (lambda: gx.partition({}), r"`partition\(groups=...\)` must be a dict by patterns, with one at least"),
    (lambda: gx.partition({"w": gx.sign}), r"`partition\(groups\['w'\]=...\)` must be a gradient transformation"),
    (lambda: gx.partition({3: gx.sign()}), r"`partition`: 3 selects no leaves; a pattern is a glob"),
    (lambda: gx.partition({"w": gx.sign()}, by="w"), r"`partition\(by=...\)` must be a function of \(path, array\)"),
    (lambda: gx.masked(3, where="w"), r"`masked\(inner=...\)` must be a gradient transformation"),
    (lambda: gx.train_only(gx.adam, where="w"), r"`train_only\(inner=...\)` must be a gradient transformation"),
    (lambda: gx.scaled({"w": "x"}), r"`scaled\(factors\['w'\]=...\)` must be a number, a scalar array or a schedule"),
    (lambda: gx.scaled(2.0), r"`scaled\(factors=...\)` must be a dict by patterns"),
  ],
)
def test_what_cannot_be_is_refused(make, message):
  with pytest.raises(TypeError, match=message):
    make()


@pytest.mark.parametrize("around", [gx.average_parameters, gx.lookahead])
@pytest.mark.parametrize("zero", [-0.0, complex(-0.0, -0.0)])
def test_frozen_parameters_stay_to_the_bit_inside_of_what_reads_their_updates(around, zero):
  params = {"held": jnp.asarray([zero]), "free": jnp.ones(1)}
  transform = around(gx.partition({"held": gx.freeze(), "*": gx.sgd(0.1)}))
  state = transform.init(params)
  stepped, _ = transform.step(params, state, params)
  added = gx.apply_updates(params, transform.update(params, state, params)[0])
  for held in (stepped["held"], added["held"]):
    assert np.signbit(held.real).all() and (np.signbit(held.imag).all() or not np.iscomplexobj(held))


def test_the_function_that_names_groups_is_no_hyperparameter():
  transform = gx.partition({"all": gx.sgd(0.1)}, by=lambda path, x: "all")
  assert gx.hyperparameters(transform, transform.init(PARAMS)) == {"all.sgd.learning_rate": 0.1}
  assert gx.replace(transform, {"*": 0.5}).arguments["by"] is transform.arguments["by"]
