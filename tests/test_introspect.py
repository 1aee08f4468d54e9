"""Reading and rewriting expressions."""

import jax
import jax.numpy as jnp
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradxform as gx

PARAMS = {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}
TWO = gx.chain(gx.clip_by_global_norm(1.0), gx.adam(1e-3), gx.scale(0.5), tail=gx.chain(gx.scale(2.0), gx.scale(3.0)))


def test_hyperparameters_are_addressed_as_the_state_is():
  assert gx.hyperparameters(gx.adam(1e-3)) == {"learning_rate": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
  assert list(gx.hyperparameters(TWO)) == [
    "clip_by_global_norm.max_norm",
    "adam.learning_rate", "adam.b1", "adam.b2", "adam.eps",
    "scale.step_size",
    "tail.scale.step_size", "tail.scale_2.step_size",
  ]  # fmt: skip
  quotient = gx.divide(gx.chain(gx.moving_average(0.9)), by=gx.root(0.1))
  assert list(gx.hyperparameters(quotient)) == [
    "numerator.moving_average.decay", "numerator.moving_average.initial", "by.root.eps", "by.root.eps_root",
  ]  # fmt: skip
  shared = gx.share(gx.shared("m"), m=gx.trace(0.9))
  assert gx.hyperparameters(shared) == {"m.trace.decay": 0.9}
  assert gx.hyperparameters(gx.chain(optax.adam(1e-3))) == {}


def test_two_of_a_name_have_two_addresses():
  twice = gx.chain(gx.chain(head=gx.trace(0.9)), head=gx.trace(0.5))
  assert gx.hyperparameters(twice) == {"head.trace.decay": 0.9, "head_2.trace.decay": 0.5}
  assert gx.hyperparameters(gx.replace(twice, {"head_2.*": 0.1}))["head.trace.decay"] == 0.9
  same = gx.chain(gx.trace(0.9), trace=gx.trace(0.5))
  assert gx.hyperparameters(same) == {"trace.decay": 0.9, "trace_2.trace.decay": 0.5}


def test_with_a_state_schedules_are_read_at_its_count():
  transform = gx.adam(optax.linear_schedule(1.0, 0.0, 10))
  state = transform.init(PARAMS)
  for _ in range(3):
    _, state = transform.update(PARAMS, state)
  assert callable(gx.hyperparameters(transform)["learning_rate"])
  assert float(gx.hyperparameters(transform, state)["learning_rate"]) == pytest.approx(0.7)


def test_the_numbers_of_a_tuple_have_their_own_addresses():
  @gx.named
  def both(steps=(0.1, 0.2), names=("a", None)):
    return gx.chain(gx.scale(steps[0]), gx.trace(steps[1]))

  inside = gx.chain(both(), gx.scale(1.0))
  assert gx.hyperparameters(inside) == {"both.steps.0": 0.1, "both.steps.1": 0.2, "scale.step_size": 1.0}
  assert gx.replace(both(), {"steps.1": 0.5}) == both(steps=(0.1, 0.5))
  with pytest.raises(ValueError, match=r"`both\(steps\[1\]=...\)` must be in \[0, 1\], got 2.0"):
    gx.replace(both(), {"steps.1": 2.0})


def test_replace_takes_globs():
  changed = gx.replace(TWO, {"*learning_rate": 3e-4, "tail.*": 7.0})
  values = gx.hyperparameters(changed)
  assert values["adam.learning_rate"] == 3e-4
  assert values["tail.scale.step_size"] == values["tail.scale_2.step_size"] == 7.0
  assert values["scale.step_size"] == 0.5
  assert gx.hyperparameters(TWO)["adam.learning_rate"] == 1e-3


def test_replace_may_put_a_schedule_where_a_number_was():
  scheduled = gx.replace(gx.adam(1e-3), {"learning_rate": optax.constant_schedule(1e-4)})
  assert jax.tree.structure(scheduled.init(PARAMS)) == jax.tree.structure(gx.adam(1e-3).init(PARAMS))


def test_replace_changes_a_whole_population():
  population = jax.vmap(gx.adam)(jnp.asarray([0.1, 0.2]))
  other = gx.replace(population, {"b1": jnp.asarray([0.5, 0.6])})
  assert gx.hyperparameters(other)["b1"].tolist() == pytest.approx([0.5, 0.6])


def test_replace_refuses_what_matches_nothing_or_is_out_of_range():
  with pytest.raises(
    ValueError, match=r"`replace\(values=...\)`: 'lr' matches no hyperparameter. They are: 'learning_rate',"
  ):
    gx.replace(gx.adam(1e-3), {"lr": 1.0})
  with pytest.raises(ValueError, match=r"`adam\(b1=...\)` must be in \[0, 1\), got 2.0"):
    gx.replace(TWO, {"*b1": 2.0})
  with pytest.raises(ValueError, match="They are: none"):
    gx.replace(gx.sign(), {"*": 1.0})


names = st.sampled_from(list(gx.hyperparameters(TWO)))


@settings(max_examples=50, deadline=None)
@given(names, st.integers(0, 30), st.floats(0.01, 0.9))
def test_a_glob_made_from_a_path_changes_that_path(path, cut, value):
  cut = min(cut, len(path))
  for pattern in (path, path[:cut] + "*", "*" + path[cut:], path[:cut] + "?" * (len(path) - cut)):
    assert gx.hyperparameters(gx.replace(TWO, {pattern: value}))[path] == value


def test_explain_expands_to_primitives_within_88_columns():
  text = gx.explain(gx.chain(gx.clip_by_global_norm(1.0), gx.adamw(1e-3)))
  assert text.startswith("chain(\n  clip_by_global_norm(max_norm=1.0),\n  divide(\n")
  assert "  scale_by_learning_rate(learning_rate=0.001),\n)" in text
  assert max(map(len, text.splitlines())) <= 88
  assert "adam" not in text


def test_explain_takes_only_ours():
  with pytest.raises(TypeError, match=r"`explain\(t=...\)` must be a transform of gradxform"):
    gx.explain(optax.adam(1e-3))
  with pytest.raises(TypeError, match=r"`hyperparameters\(t=...\)` must be a transform of gradxform"):
    gx.hyperparameters(optax.adam(1e-3))


def test_formula_is_the_block_of_the_docstring():
  assert gx.formula(gx.sgd) == "p ← p − a · g"
  assert gx.formula(gx.adam).splitlines()[0].startswith("m ← b1 · m")
  assert gx.formula(len) == ""


def test_layout_names_the_parameter_of_each_slot():
  layout = gx.layout(gx.adam(1e-3), PARAMS)
  moment = layout["scale_by_adam"]["by"]["moving_average"]["moment"]
  assert moment["dense"]["bias"] == gx.StateLeaf("slot", "dense/bias", (3,), jnp.dtype("float32"))
  assert layout["count"].kind == "scalar"
  shapes = jax.eval_shape(lambda: PARAMS)
  assert jax.tree.leaves(gx.layout(gx.adam(1e-3), shapes)) == jax.tree.leaves(layout)


def test_layout_of_parameters_that_are_one_array_or_low_precision():
  layout = gx.layout(gx.momentum(0.1), jnp.ones(2, jnp.bfloat16))
  assert layout["trace"]["momentum"] == gx.StateLeaf("slot", "", (2,), jnp.dtype("float32"))
