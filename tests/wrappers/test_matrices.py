"""Arrays as matrices: Flax's layers, fused projections by hand, Optax's dimension numbers."""

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from optax import contrib

import gradxform as gx

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.ones(3), "k": jnp.ones((2, 2, 2)), "none": None}
GRADS = jax.tree.map(lambda p: 2.0 * p, PARAMS)


def once(transform, **extra):
  return transform.update(GRADS, transform.init(PARAMS), PARAMS, **extra)[0]


class Model(nn.Module):
  """One layer of each kind."""

  @nn.compact
  def __call__(self, x):
    x = nn.Embed(7, 6)(x)
    x = nn.MultiHeadDotProductAttention(num_heads=2, name="attention")(x)
    x = nn.Conv(5, (3,))(nn.LayerNorm()(x))
    x = nn.Conv(4, (2, 2), name="patch")(x[..., None])[..., 0]
    mapped = {"in_axes": None, "out_axes": 0, "variable_axes": {"params": 0}, "split_rngs": {"params": True}}
    return nn.vmap(nn.Dense, axis_size=3, **mapped)(2, name="experts")(x), nn.Dense(2)(x)


def seen(params, matrix_view="flax"):
  """The shapes of the matrices, by path; what is none is not there."""
  transform = gx.route_matrices(gx.trace(0.9), others=gx.identity(), matrix_view=matrix_view)
  state = jax.eval_shape(transform.init, params)["route_matrices"]["matrices"]["trace"]["momentum"]
  leaves, treedef = jax.tree.flatten(state)
  return dict(zip(gx.tree.paths(treedef), (leaf.shape for leaf in leaves), strict=True))


ATTENTION = {"key": (6, 2 * 3), "out": (2 * 3, 6), "query": (6, 2 * 3), "value": (6, 2 * 3)}


def test_the_layers_of_flax_are_seen_as_they_multiply():
  params = jax.eval_shape(Model().init, jax.random.key(0), jnp.zeros((1, 5), int))["params"]
  assert seen(params) == {
    "Conv_0/kernel": (3 * 6, 5),
    "Dense_0/kernel": (5, 2),
    **{f"attention/{name}/kernel": shape for name, shape in ATTENTION.items()},
    "experts/kernel": (3, 5, 2),
    "patch/kernel": (2 * 2 * 1, 4),
  }


def test_the_layers_of_nnx_are_seen_so_too_with_their_variables_and_without():
  state = nnx.state(nnx.MultiHeadAttention(num_heads=2, in_features=6, decode=False, rngs=nnx.Rngs(0)), nnx.Param)
  assert seen(state) == {f"{name}/kernel/value": shape for name, shape in ATTENTION.items()}
  assert seen(nnx.to_pure_dict(state)) == {f"{name}/kernel": shape for name, shape in ATTENTION.items()}


def test_a_pattern_goes_before_the_views_of_flax_and_none_takes_a_leaf_away():
  params = {"qkv": {"kernel": jnp.ones((4, 6))}, "head": {"kernel": jnp.ones((4, 2))}, "w": jnp.ones((2, 2))}
  views = {"qkv/*": "d (3 h) -> 3 d h", "head/*": None, "*": "flax"}
  assert seen(params, views) == {"qkv/kernel": (3, 4, 2), "w": (2, 2)}
  assert seen(params, {"head/*": None}) == {"qkv/kernel": (4, 6), "w": (2, 2)}


def test_what_is_no_matrix_is_seen_as_a_vector_where_nothing_else_takes_it(float64):
  params = {"table": {"embedding": jnp.ones((9, 4))}, "query": {"bias": jnp.ones((2, 3))}, "w": jnp.ones((4, 5))}
  grads = jax.tree.map(lambda p: p * jnp.arange(1.0, 1 + p.size).reshape(p.shape), params)
  plain = gx.adam(0.1, b1=0.95, b2=0.95)  # that SOAP is for vectors, but for where eps stands
  for views in ("flax", {"*embedding": None, "query/*": None}):
    optimizer = gx.soap(0.1, weight_decay=0.0, eps=0.0, matrix_view=views)
    state = optimizer.init(params)
    bases = {leaf.shape for leaf in jax.tree.leaves(state) if leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1]}
    assert bases == {(4, 4), (5, 5)}
    _, state = optimizer.step(grads, state, params)  # sets up bases
    stepped, _ = optimizer.step(grads, state, params)
    wanted, _ = plain.step(grads, plain.init(params), params)
    np.testing.assert_allclose(stepped["table"]["embedding"], wanted["table"]["embedding"], rtol=1e-7)
    np.testing.assert_allclose(stepped["query"]["bias"], wanted["query"]["bias"], rtol=1e-7)


SHAPES = {"query": (4, 2, 3), "out": (2, 3, 4), "conv": (2, 2, 3, 5), "stack": (3, 4, 2), "w": (4, 5), "b": (4,)}
VIEWS = {
  "query": "d n h -> d (n h)",
  "out": "n h d -> (n h) d",
  "conv": "... i o -> (... i) o",
  "stack": "n i o -> n i o",
}
NUMBERS = {
  "query": contrib.MuonDimensionNumbers(0, (1, 2)),
  "out": contrib.MuonDimensionNumbers((0, 1), 2),
  "conv": contrib.MuonDimensionNumbers((0, 1, 2), 3),
  "stack": contrib.MuonDimensionNumbers(1, 2),
  "w": contrib.MuonDimensionNumbers(),
  "b": None,
}


def arrays(shapes, seed=0):
  rng = np.random.default_rng(seed)
  return {name: jnp.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}


def test_muon_with_views_is_optaxs_with_its_dimension_numbers(float64):
  ours = gx.muon(0.1, weight_decay=0.01, matrix_view=VIEWS)
  theirs = contrib.muon(0.1, weight_decay=0.01, muon_weight_dimension_numbers=NUMBERS)
  mine = yours = arrays(SHAPES)
  state, reference = ours.init(mine), theirs.init(yours)
  update, wanted = jax.jit(ours.update), jax.jit(theirs.update)
  for seed in range(1, 5):
    updates, state = update(arrays(SHAPES, seed), state, mine)
    expected, reference = wanted(arrays(SHAPES, seed), reference, yours)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12), updates, expected)
    mine, yours = gx.apply_updates(mine, updates), optax.apply_updates(yours, expected)


@pytest.mark.parametrize("optimizer", [gx.muon, gx.normuon, gx.adamuon])
def test_a_fused_projection_is_as_three_that_are_not(optimizer, float64):
  parts, fused = optimizer(0.1), optimizer(0.1, matrix_view={"qkv": "d (3 h) -> 3 d h"})
  apart = arrays(dict.fromkeys("qkv", (4, 2)))
  join = lambda tree: {"qkv": jnp.concatenate([tree["q"], tree["k"], tree["v"]], axis=1)}
  own, state, together = parts.init(apart), fused.init(join(apart)), join(apart)
  for seed in range(1, 4):
    grads = arrays(dict.fromkeys("qkv", (4, 2)), seed)
    apart, own = parts.step(grads, own, apart)
    together, state = fused.step(join(grads), state, together)
  np.testing.assert_allclose(together["qkv"], join(apart)["qkv"], rtol=0, atol=1e-12)


TURNED = {gx.is_matrix: "rows columns -> columns rows"}


def test_parameters_extra_arguments_and_the_objective_are_seen_as_matrices():
  objective = lambda p: jnp.sum(p["w"][0] ** 2 * p["b"]) + jnp.sum(p["k"])
  curved = once(gx.as_matrices(gx.hessian_diagonal(), TURNED), value_fn=objective)
  np.testing.assert_allclose(curved["w"], [[2.0] * 3, [0.0] * 3])
  decayed = once(gx.as_matrices(gx.chain(gx.centralize(), gx.add_decayed_weights(0.5)), TURNED))
  np.testing.assert_allclose(decayed["w"], 0.5)
  away = gx.per_array("away", lambda u, *, target: u - target)
  np.testing.assert_array_equal(once(gx.as_matrices(away, TURNED), target=GRADS)["w"], 0.0)


def test_what_comes_down_to_a_number_is_spread_again():
  norms = once(gx.as_matrices(gx.matrix_norm(), {"k": "n i o -> n i o", "w": "i (3 o) -> 3 i o"}))
  np.testing.assert_allclose(norms["w"], np.sqrt(8.0), rtol=1e-6)
  assert norms["w"].shape == (2, 3) and norms["k"].shape == (2, 2, 2)


def test_a_shared_value_is_seen_as_a_matrix_where_it_is_one():
  body = gx.as_matrices(gx.subtract(gx.identity(), gx.shared("m")), TURNED)
  np.testing.assert_allclose(once(gx.share(body, m=gx.moving_average(0.75)))["w"], 0.75 * GRADS["w"])
  scaled = gx.as_matrices(gx.multiply(gx.identity(), gx.shared("norm")), TURNED)
  np.testing.assert_allclose(once(gx.share(scaled, norm=gx.matrix_norm()))["w"], 2 * np.sqrt(24.0), rtol=1e-6)


def test_a_guard_inside_leaves_parameters_to_the_bit():
  transform = gx.as_matrices(gx.skip_nonfinite(gx.adam(0.1)), TURNED)
  params = {"w": jnp.asarray([[-0.0, 1.0]])}
  held, _ = transform.step({"w": jnp.asarray([[jnp.nan, 1.0]])}, transform.init(params), params)
  assert np.signbit(held["w"][0, 0]) and held["w"][0, 1] == 1.0


def test_a_population_may_have_views():
  population = jax.vmap(lambda rate: gx.muon(rate, matrix_view=TURNED))(jnp.asarray([0.1, 0.2]))
  updates = jax.vmap(lambda t: once(t)["w"])(population)
  np.testing.assert_allclose(updates[1], 2 * updates[0], rtol=1e-6)


@pytest.mark.parametrize(
  ("views", "kind", "message"),
  [
    ("keras", TypeError, "`muon(matrix_view=...)` must be 'flax', or a dict with patterns"),
    ({}, TypeError, "`muon(matrix_view=...)` must be 'flax', or a dict with patterns"),
    ({"w": 3}, TypeError, "`muon(matrix_view['w']=...)` must be a pattern such as 'd (3 h) -> 3 d h'"),
    ({3: "flax"}, TypeError, "3 selects no leaves"),
    ({"w": "d h"}, ValueError, "`muon(matrix_view['w']=...)` must be a pattern with two sides"),
    ({"x": "d h -> h d"}, ValueError, "'x' matches no leaf; the paths are 'b', 'k', 'w'"),
    ({"k": "d h -> h d"}, ValueError, "'d h -> h d' does not fit 'k' of shape (2, 2, 2): it is for 2 axes"),
  ],
)
def test_what_is_no_view_is_refused(views, kind, message):
  with pytest.raises(kind, match=re.escape(message)):
    gx.muon(0.1, matrix_view=views).init(PARAMS)


def test_each_leaf_gets_its_own_transform_and_no_other_state():
  transform = gx.route_matrices(gx.trace(0.9), others=gx.scale(-1.0))
  state = transform.init(PARAMS)
  assert list(state["route_matrices"]) == ["matrices"]
  assert [leaf.shape for leaf in jax.tree.leaves(state["route_matrices"])] == [(2, 3)]
  updates, _ = transform.update(GRADS, state, PARAMS)
  np.testing.assert_array_equal(updates["w"], GRADS["w"])
  np.testing.assert_array_equal(updates["b"], -GRADS["b"])
  np.testing.assert_array_equal(updates["k"], -GRADS["k"])


def test_shared_values_and_the_objective_are_those_of_its_own_leaves():
  body = gx.route_matrices(gx.subtract(gx.identity(), gx.shared("m")), others=gx.shared("m"))
  updates = once(gx.share(body, m=gx.moving_average(0.75)))
  np.testing.assert_allclose(updates["w"], 0.75 * GRADS["w"])
  np.testing.assert_allclose(updates["b"], 0.25 * GRADS["b"])
  objective = lambda p: jnp.sum(p["b"][0] * p["w"] ** 2) + jnp.sum(p["k"])
  curved = gx.route_matrices(gx.hessian_diagonal(), others=gx.identity())
  np.testing.assert_allclose(once(curved, value_fn=objective)["w"], 2.0)


def test_it_nests_and_works_without_matrices():
  inner = gx.route_matrices(gx.trace(0.9), others=gx.scale(3.0))
  nested = once(gx.route_matrices(inner, others=inner))
  np.testing.assert_array_equal(nested["w"], GRADS["w"])
  np.testing.assert_array_equal(nested["b"], 3 * GRADS["b"])
  alone = inner.init({"b": jnp.ones(3)})
  np.testing.assert_array_equal(inner.update({"b": jnp.ones(3)}, alone)[0]["b"], 3.0)


def test_each_group_has_noise_of_its_own_key():
  noise = gx.hutchinson_diagonal()
  transform = gx.route_matrices(noise, others=noise)
  params = {"w": jnp.ones((3, 5)), "b": jnp.ones(15)}
  coupled = lambda p: jnp.sum(p["w"]) ** 2 + jnp.sum(p["b"]) ** 2
  updates, _ = transform.update(params, transform.init(params), params, value_fn=coupled, key=jax.random.key(0))
  assert np.all(updates["w"] != 0) and np.all(updates["b"] != 0)
  assert not np.array_equal(updates["w"].ravel(), updates["b"])


def test_what_is_no_transform_is_refused():
  with pytest.raises(TypeError, match=r"`route_matrices\(others=...\)` must be a gradient transformation"):
    gx.route_matrices(gx.identity(), others=gx.trace)


DRAWN = {"apollo", "apollo_mini", "dion", "kron"}  # each matrix has random numbers of its own
VIEWED = [
  "adamuon",
  "apollo",
  "apollo_mini",
  "dion",
  "fira",
  "galore",
  "kl_shampoo",
  "kron",
  "muon",
  "normuon",
  "scion",
  "shampoo",
  "soap",
  "splus",
]


@pytest.mark.parametrize("name", VIEWED)
def test_every_optimizer_of_matrices_takes_views_and_treats_matrices_of_a_stack_alike(name, float64):
  """Twice the same matrix in a fused projection moves as the matrix does alone, where no chance is in it."""
  options = {"rank": 2} if name in ("apollo", "fira", "galore") else {}
  optimizer = functools.partial(getattr(gx, name), 0.1, **options)
  fused, alone = optimizer(matrix_view={"w": "d (2 h) -> 2 d h"}), optimizer(matrix_view={"w": "d h -> d h"})
  rng = np.random.default_rng(0)
  one = {"w": jnp.asarray(rng.normal(size=(4, 3)))}
  two = {"w": jnp.concatenate([one["w"]] * 2, axis=1)}
  own, both = alone.init(one), fused.init(two)
  for _ in range(3):
    g = jnp.asarray(rng.normal(size=(4, 3)))
    one, own = alone.step({"w": g}, own, one)
    two, both = fused.step({"w": jnp.concatenate([g, g], axis=1)}, both, two)
  if name in DRAWN:
    assert np.isfinite(two["w"]).all() and not np.allclose(two["w"][:, :3], two["w"][:, 3:])
  else:
    np.testing.assert_allclose(two["w"], jnp.concatenate([one["w"]] * 2, axis=1), rtol=0, atol=1e-10)


def test_these_are_all_that_have_matrices_in_the_last_two_axes():
  assert [
    name for name in sorted(gx.optimizers.__all__) if "matrix_view" in getattr(gx, name).signature.parameters
  ] == VIEWED
