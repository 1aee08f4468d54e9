"""Laws: what holds for everything that is exported."""

import copy
import functools
import operator
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from examples import (
  EXPORTED,
  example,
  extras,
  given,
  grads_like,
  params_like,
  run,
  run_of,
  scheduled,
  signature_of,
  step,
  update,
)

import gradxform as gx
from gradxform.parts import Scope

every = pytest.mark.parametrize("name", EXPORTED)
every_with_numbers = pytest.mark.parametrize("name", [n for n in EXPORTED if jax.tree.leaves(example(n))])

PRECISIONS = [("bfloat16", "float32"), ("float32", "bfloat16"), ("float16", "float16")]


@every
@pytest.mark.parametrize(("grads_dtype", "params_dtype"), PRECISIONS)
def test_updates_and_state_keep_structure_shapes_and_dtypes(name, grads_dtype, params_dtype, strict):
  transform, params = example(name), params_like(params_dtype)
  state = transform.init(params)
  before = signature_of(state)
  compiled = jax.jit(functools.partial(update, transform))
  for index in range(2):
    grads = grads_like(params, index, grads_dtype)
    updates, state = compiled(grads, state, params)
    assert signature_of(updates) == signature_of(grads)
    assert signature_of(state) == before
  assert compiled._cache_size() == 1
  slots = [leaf.dtype for leaf in jax.tree.leaves(state) if leaf.ndim]
  assert all(dtype == jnp.float32 for dtype in slots)


@every
def test_compiled_equals_eager(name, strict):
  transform, params = example(name), params_like()
  compiled, last = run_of(name)
  state = transform.init(params)
  for index, wanted in enumerate(compiled):
    updates, state = update(transform, grads_like(params, index), state, params)
    assert signature_of(updates) == signature_of(wanted) == signature_of(params)
    chex.assert_trees_all_close(updates, wanted, rtol=amplified(name, 2e-6), atol=amplified(name, 1e-6))
  chex.assert_trees_all_close(state, last, rtol=amplified(name, 2e-6), atol=amplified(name, 1e-6))


@every
def test_step_is_update_and_apply(name):
  transform, params = example(name), params_like()
  grads, state = grads_like(params, 0), transform.init(params)
  updates, state_of_update = update(transform, grads, state, params)
  stepped, state_of_step = step(transform, grads, state, params)
  chex.assert_trees_all_close(stepped, gx.apply_updates(params, updates), rtol=1e-6)
  chex.assert_trees_all_equal(state_of_step, state_of_update)


@every
@pytest.mark.parametrize("params", [{}, {"a": None}, None, (), jnp.ones(()), 1.0, jnp.zeros((0, 3)), np.ones(2)])
def test_odd_trees_pass_through(name, params):
  transform = example(name)
  state = transform.init(params)
  updates, new = update(transform, params, state, params)
  assert jax.tree.structure(updates) == jax.tree.structure(params)
  assert signature_of(new) == signature_of(state)
  assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(updates))


@every
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_zero_gradients_stay_finite(name, dtype):
  transform, params = example(name), params_like(dtype)
  state = transform.init(params)
  updates, state = update(transform, jax.tree.map(jnp.zeros_like, params), state, params)
  assert all(np.all(np.isfinite(np.asarray(leaf, np.float32))) for leaf in jax.tree.leaves((updates, state)))


@every_with_numbers
def test_a_schedule_may_stand_where_a_number_is(name):
  numbers, _ = run_of(name)
  schedules, state = run(scheduled(name), params_like())
  chex.assert_trees_all_close(schedules, numbers, rtol=amplified(name, 1e-5), atol=amplified(name, 1e-6))
  assert state["count"] == 3


@every_with_numbers
def test_a_population_equals_its_single_runs(name):
  params = params_like()
  transform = example(name)
  population = jax.tree.map(lambda leaf: jnp.asarray([leaf, 0.9 * leaf]), transform)

  def train(t):
    q, state = params, t.init(params)
    for index in range(2):
      q, state = step(t, grads_like(params, index), state, q)
    return q

  together = jax.jit(jax.vmap(train))(population)
  for index in range(2):
    member = operator.itemgetter(index)
    single = train(jax.tree.map(float, jax.tree.map(member, population)))
    chex.assert_trees_all_close(jax.tree.map(member, together), single, rtol=1e-4, atol=1e-5)


# A loop that ends when it has found its step has no derivative backwards.
SEARCH_IN_A_LOOP = {
  "backtracking_line_search",
  "bfgs",
  "lbfgs",
  "nonlinear_cg",
  "steepest_descent",
  "zoom_line_search",
}


@pytest.mark.parametrize("name", [n for n in EXPORTED if jax.tree.leaves(example(n)) and n not in SEARCH_IN_A_LOOP])
def test_derivative_with_respect_to_the_transform_is_finite(name):
  params, transform = params_like(), example(name)

  def train(t):
    q, state = params, t.init(params)
    for index in range(2):
      grads = jax.tree.map(lambda g: g.at[..., :1].set(0) if g.ndim else g, grads_like(params, index))
      q, state = step(t, grads, state, q)
    return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(q))

  derivative = jax.grad(train)(transform)
  assert isinstance(derivative, gx.Transform)
  assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(derivative))


# What takes the gradients of examples has to stand first, and says so: tests/transforms/test_privacy.py.
@pytest.mark.parametrize("name", [n for n in EXPORTED if not example(n).part.takes_examples])
def test_works_inside_and_around_optax(name):
  params, transform = params_like(), example(name)
  alone, _ = run_of(name)
  inside, _ = run(optax.chain(optax.identity(), transform), params)
  around, _ = run(gx.chain(optax.identity(), transform), params)
  chex.assert_trees_all_close(inside, alone, rtol=1e-6, atol=1e-7)
  chex.assert_trees_all_close(around, alone, rtol=1e-6, atol=1e-7)


@every
def test_is_an_optax_transform(name):
  transform = example(name)
  assert isinstance(transform, optax.GradientTransformationExtraArgs)
  init, update_fn = transform
  params = params_like()
  grads = grads_like(params, 0)
  updates, _ = update_fn(given(transform, grads), init(params), params, **extras(params, grads))
  assert jax.tree.structure(updates) == jax.tree.structure(params)


@every
def test_prints_as_python_that_makes_it_again(name):
  transform = example(name)
  again = eval(repr(transform), vars(gx).copy())
  assert again == transform
  assert hash(again) == hash(transform)
  assert repr(again) == repr(transform)


@every
def test_its_expansion_has_the_same_state_and_numbers(name):
  transform = example(name)
  expansion = eval(gx.explain(transform), vars(gx).copy())
  updates, _ = run_of(name)
  chex.assert_trees_all_close(run(expansion, params_like())[0], updates, rtol=1e-6, atol=1e-7)


@every
def test_survives_pickle_and_copies(name):
  transform = example(name)
  for again in (pickle.loads(pickle.dumps(transform)), copy.copy(transform), copy.deepcopy(transform)):
    assert again == transform


@every
def test_unknown_extra_arguments_are_ignored(name):
  transform, params = example(name), params_like()
  grads, state = grads_like(params, 0), transform.init(params)
  known = extras(params, grads)
  with_extra, _ = transform.update(given(transform, grads), state, params, **known, unheard_of={"x": 2.0})
  chex.assert_trees_all_equal(with_extra, update(transform, grads, state, params)[0])


@every
def test_hyperparameters_can_be_read_and_replaced(name):
  transform = example(name)
  values = gx.hyperparameters(transform)
  assert gx.replace(transform, values) == transform
  assert len(set(values)) == len(values)
  for path, value in values.items():
    if isinstance(value, float):
      changed = gx.replace(transform, {path: value / 2})
      assert gx.hyperparameters(changed)[path] == value / 2
      assert jax.tree.structure(changed) == jax.tree.structure(transform)


@every
def test_state_has_one_count_and_a_layout(name):
  params, transform = params_like(), example(name)
  _, state = run_of(name)
  (root, count), *others = optax.tree.get_all_with_path(state, "count")
  assert (len(root), int(count)) == (1, 3)
  assert all(path[-2].key == "inner" for path, _ in others)  # a wrapper's inner transform at a pace of its own
  layout = gx.layout(transform, params)
  assert jax.tree.structure(layout) == jax.tree.structure(state)
  shapes = {"/".join(("layer", k)): v.shape for k, v in params["layer"].items()}
  for leaf, array in zip(jax.tree.leaves(layout), jax.tree.leaves(state), strict=True):
    assert (leaf.shape, leaf.dtype) == (array.shape, array.dtype)
    assert (leaf.kind == "scalar") == (leaf.parameter is None)
    assert leaf.kind != "factor" or is_a_factor(leaf.shape, shapes[leaf.parameter])
    assert leaf.kind == "factor" or leaf.parameter is None or shapes[leaf.parameter] == leaf.shape


def is_a_factor(shape, parameter):
  """A number, arrays of some steps, means along some axes, slices along each, a basis, values, blocks, rows of one."""
  means = len(shape) == len(parameter) and all(a in (1, b) for a, b in zip(shape, parameter, strict=True))
  in_a_basis = len(shape) == len(parameter) == 2 and max(shape) <= max(parameter)
  of_axes = 0 < len(shape) < 4 and shape[-1] == shape[-2:][0] <= max(parameter, default=1)
  return shape in ((), (*shape[:1], *parameter), (sum(parameter),), (*parameter, 1)) or means or in_a_basis or of_axes


@every
def test_its_scope_is_what_it_sees(name):
  transform = example(name)
  params = {"a": params_like()["layer"]["w"], "b": params_like()["layer"]["b"]}
  whole, _ = run(transform, params)
  if transform.scope == Scope.ELEMENTWISE:  # any slice of the array gives that slice of the answer
    state, part = transform.init({"a": params["a"][1:, :2]}), None
    for index in range(3):
      grads = {"a": grads_like(params, index)["a"][1:, :2]}
      part, state = update(transform, grads, state, {"a": params["a"][1:, :2]})
    chex.assert_trees_all_close(part["a"], whole[-1]["a"][1:, :2], rtol=1e-5, atol=1e-6)
  if transform.scope < Scope.WHOLE_TREE:  # other leaves make no difference
    state, alone = transform.init({"a": params["a"]}), None
    for index in range(3):
      alone, state = update(transform, {"a": grads_like(params, index)["a"]}, state, {"a": params["a"]})
    chex.assert_trees_all_close(alone["a"], whole[-1]["a"], rtol=amplified(name, 1e-6), atol=amplified(name, 1e-7))


# Their polynomial multiplies small singular values, and what was rounded away, by 3.4 at each step, and a compiled
# product of stacks rounds in another order than an eager one.
AMPLIFY_ROUNDING = {
  "adamuon", "muon", "normuon", "orthogonalize", "scale_by_adamuon", "scale_by_muon", "scale_by_normuon",
  "scion",
}  # fmt: skip


def amplified(name, tolerance):
  """The tolerance, times 3.4⁵ / 10 for those whose polynomial amplifies what was rounded away."""
  return 48 * tolerance if name in AMPLIFY_ROUNDING else tolerance


@every
def test_a_nan_stays_where_the_scope_allows(name):
  transform, params = example(name), params_like()
  state = transform.init(params)
  grads = grads_like(params, 0)
  grads["layer"]["w"] = grads["layer"]["w"].at[0, 0].set(jnp.nan)
  clean = update(transform, grads_like(params, 0), state, params)[0]["layer"]
  updates = update(transform, grads, state, params)[0]["layer"]
  if transform.scope == Scope.ELEMENTWISE:
    np.testing.assert_array_equal(updates["w"].ravel()[1:], clean["w"].ravel()[1:])
  if transform.scope < Scope.WHOLE_TREE:
    np.testing.assert_array_equal(updates["b"], clean["b"])
  elif name not in STOP_AT_NAN | IGNORE_THEIR_INPUT | KEEP_LEAVES_APART | SPREAD_A_STEP_LATER:
    assert np.all(np.isnan(updates["b"]))
  ignores = transform.part.delayed or name in IGNORE_THEIR_INPUT
  assert ignores or np.isnan(updates["w"][0, 0])


# A line search does not go along a direction that does not descend: its step is 0, of NaN still NaN.
STOP_AT_NAN = {
  "backtracking_line_search",
  "bfgs",
  "conjugate_directions",
  "exact_line_search",
  "lbfgs",
  "nonlinear_cg",
  "precondition_by_hessian_diagonal",
  "steepest_descent",
  "zoom_line_search",
}
SKIP_NAN = {"dynamic_loss_scale", "skip_nonfinite", "skip_spikes"}
IGNORE_THEIR_INPUT = SKIP_NAN | {
  "accumulate",  # at the first of two calls
  "begin_with",
  "displacement",
  "gauss_newton_bartlett",
  "hessian_diagonal",
  "hutchinson_diagonal",
  "kl_shampoo",  # as the next
  "in_eigenbasis",  # the first call sets up the bases alone
  "rectify",
  "scale_by_kl_shampoo",
  "scale_by_soap",
  "set_to_zero",
  "soap",
  "zero_nans",
}
# They see the whole tree for noise, a count or a measure alone, to make another tree of it, or to set hyperparameters.
KEEP_LEAVES_APART = {
  "adam_mini",
  "adamuon",
  "add_noise",
  "adjustable",
  "apollo",
  "apollo_mini",
  "as_matrices",
  "came",
  "dion",
  "every",
  "fira",
  "freeze",
  "galore",
  "gradient_at",
  "in_eigenbasis",
  "in_exact_eigenbasis",
  "in_low_rank",
  "in_low_rank_and_rest",
  "kl_shampoo",
  "kron",
  "masked",
  "monitor",
  "muon",
  "noisy_sgd",
  "normuon",
  "partition",
  "rescale_in_low_rank",
  "precondition_by_factors",
  "route_matrices",
  "scale_by_adam_mini",
  "scale_by_apollo",
  "scale_by_fira",
  "scale_by_galore",
  "scale_by_shampoo",
  "scale_by_kron",
  "scale_by_soap",
  "scale_by_sophia",
  "scale_by_splus",
  "scale_by_sophia_g",
  "scaled",
  "shampoo",
  "scion",
  "soap",
  "sophia",
  "splus",
  "sophia_g",
  "split_real_and_imaginary",
  "train_only",
  "whiten",
}
SPREAD_A_STEP_LATER = {"dadapt_adamw", "scale_by_dadapt"}  # the step is of the estimate from before it
NEED_AN_ORDER = {
  "add_cautiously_decayed_weights",
  "additive_average",
  "arctan2",
  "at_least",
  "clip",
  "clip_by_count",
  "covered_sum",
  "factored_moving_average",
  "keep_params_nonnegative",
  "running_max",
  "scale_by_cocob",
  "scale_by_rprop",
  "where_positive",
}
REFUSE_COMPLEX = {
  **{name: name for name in NEED_AN_ORDER},
  "adam_atan2": "arctan2",
  "adopt": "clip_by_count",
  "scale_by_adopt": "clip_by_count",
  "cocob": "scale_by_cocob",
  "rprop": "scale_by_rprop",
  "hessian_diagonal": "hessian_diagonal",
  "hutchinson_diagonal": "hutchinson_diagonal",
  "scale_by_sophia": "hutchinson_diagonal",
  "sophia": "hutchinson_diagonal",
  "gauss_newton_bartlett": "gauss_newton_bartlett",
  "scale_by_sophia_g": "clip",
  "sophia_g": "clip",
  "cautious": "where_positive",
  "precondition_by_hessian_diagonal": "hessian_diagonal",
  "precondition_by_hessian": "precondition_by_hessian",
  "newton": "precondition_by_hessian",
  "damped_newton": "precondition_by_hessian",
  "scale_by_bfgs": "scale_by_bfgs",
  "bfgs": "scale_by_bfgs",
}


@every
def test_complex_leaves_work_or_are_refused(name):
  transform, params = example(name), params_like(jnp.complex64)
  state = transform.init(params)
  if name in REFUSE_COMPLEX:
    with pytest.raises(TypeError, match=f"`{REFUSE_COMPLEX[name]}` is not defined for complex updates"):
      update(transform, grads_like(params, 0), state, params)
    return
  updates, new = update(transform, grads_like(params, 0), state, params)
  assert signature_of(updates) == signature_of(params)
  assert signature_of(new) == signature_of(state)
  assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((updates, new)))


@every
@pytest.mark.parametrize("leaf", [jnp.arange(3), jnp.array([True]), 1, True, jax.random.key(0)])
def test_leaves_that_are_no_floats_are_refused_by_path(name, leaf):
  transform = example(name)
  with pytest.raises(TypeError, match=r"parameter 'dense/steps' has dtype .* Keep other leaves out"):
    transform.init({"dense": {"steps": leaf}})


def test_everything_exported_has_an_example_and_is_public():
  for name in EXPORTED:
    assert isinstance(example(name), gx.Transform), name
    assert name in vars(gx), name
