"""Transform and named: what they promise beside the laws."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx
from gradxform._checks import is_zero
from gradxform.core import Switched, named_in

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}


def test_named_gives_a_name_and_leaves_to_an_expression_of_ones_own():
  @gx.named
  def slow_sgd(learning_rate, momentum=0.9, *, repeats: int = 2):
    """My own."""
    return gx.chain(*[gx.trace(momentum)] * repeats, gx.scale_by_learning_rate(learning_rate))

  transform = slow_sgd(0.1)
  assert repr(transform) == "slow_sgd(learning_rate=0.1, momentum=0.9, repeats=2)"
  assert jax.tree.leaves(transform) == [0.1, 0.9]
  assert sorted(transform.init(PARAMS)) == ["count", "trace", "trace_2"]
  assert gx.replace(transform, {"repeats": 3}).init(PARAMS).keys() >= {"trace_3"}
  assert slow_sgd.__doc__ == "My own."
  assert list(inspect.signature(slow_sgd).parameters) == ["learning_rate", "momentum", "repeats"]


def test_a_number_0_may_switch_a_part_off_and_is_structure_then():
  @gx.named
  def maybe(rate=0.1, momentum: Switched = 0.0):
    return gx.sgd(rate) if is_zero(momentum) else gx.momentum(rate, momentum=momentum)

  assert jax.tree.leaves(maybe()) == [0.1]
  assert maybe(momentum=0) == maybe(momentum=0.0) == maybe()
  assert jax.tree.leaves(gx.replace(maybe(), {"momentum": 0.9})) == [0.1, 0.9]
  state = maybe().init(1.0)
  _, after = jax.jit(lambda t, state: t.update(1.0, state))(maybe(), state)
  assert jax.tree.structure(after) == jax.tree.structure(state)


def test_a_namespace_stands_before_the_name_and_drops_what_it_ignores():
  @named_in("elsewhere", ignored=("verbose",))
  def descent(lr=0.1):
    return gx.sgd(lr)

  assert repr(gx.chain(descent(0.2, verbose=True))) == "chain(elsewhere.descent(lr=0.2))"
  assert descent(verbose=False) == descent()
  with pytest.raises(TypeError, match="Its arguments are: lr"):
    descent(quiet=True)


def test_named_may_return_a_transform_of_optax():
  @gx.named
  def theirs(learning_rate):
    return optax.sgd(learning_rate, momentum=0.9)

  state = theirs(0.1).init(PARAMS)
  updates, _ = theirs(0.1).update(PARAMS, state)
  np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)
  assert sorted(state) == ["count", "theirs"]


def test_the_state_prints_and_is_made_of_plain_dicts():
  state = gx.adam(1e-3).init({"w": jnp.zeros(1)})
  assert str(state).replace("\n", "") == (
    "{'count': Array(0, dtype=int32), 'scale_by_adam': {'numerator': {'scale_by_momentum': {'moment': "
    "{'w': Array([0.], dtype=float32)}}}, 'by': {'moving_average': {'moment': {'w': Array([0.], dtype=float32)}}}}}"
  )


def test_init_works_on_shapes_alone():
  shapes = jax.eval_shape(gx.adam(1e-3).init, PARAMS)
  assert jax.tree.structure(shapes) == jax.tree.structure(gx.adam(1e-3).init(PARAMS))


def test_update_does_not_need_parameters_that_nobody_reads():
  transform = gx.adam(1e-3)
  without, _ = transform.update(PARAMS, transform.init(PARAMS))
  with_them, _ = transform.update(PARAMS, transform.init(PARAMS), PARAMS)
  jax.tree.map(np.testing.assert_array_equal, without, with_them)


def test_updates_run_in_a_scan():
  transform = gx.adam(1e-2)

  def body(carry, _):
    params, state = carry
    return transform.step(params, state, params), None

  (params, state), _ = jax.lax.scan(body, (PARAMS, transform.init(PARAMS)), None, length=10)
  assert state["count"] == 10
  assert np.all(params["w"] < 1)


def test_optax_maps_over_the_parameters_in_our_state():
  state = gx.adam(1e-3).init(PARAMS)
  marked = optax.tree.map_params(gx.adam(1e-3), lambda _: "like a parameter", state, transform_non_params=lambda _: 0)
  assert marked["count"] == 0
  assert marked["scale_by_adam"]["by"]["moving_average"]["moment"] == dict.fromkeys("bw", "like a parameter")


def test_a_state_of_another_count_dtype_or_none_is_refused():
  with pytest.raises(ValueError, match=r"the state must have the entries \['count'\], got \['NoneType'\]"):
    gx.sgd(0.1).update(PARAMS, None)


def test_numpy_parameters_are_taken_as_arrays():
  params = {"w": np.ones((2, 3), np.float64)}
  transform = gx.adam(1e-3)
  updates, state = transform.update(params, transform.init(params), params)
  assert updates["w"].dtype == jnp.float32
  stepped, _ = transform.step(params, state, params)
  assert isinstance(stepped["w"], jax.Array)


def test_parameters_without_a_gradient_are_left_alone():
  params = {"w": jnp.ones(2), "steps": jnp.arange(2), "frozen": jnp.ones(1)}
  grads = {"w": jnp.ones(2), "steps": None, "frozen": optax.MaskedNode()}
  for transform in (gx.adam(0.1), gx.adamw(0.1)):
    state = transform.init({"w": params["w"], "steps": None, "frozen": optax.MaskedNode()})
    updates, _ = transform.update(grads, state, params)
    assert (updates["steps"], updates["frozen"]) == (None, optax.MaskedNode())
    stepped, _ = transform.step(grads, state, params)
    assert stepped["steps"] is params["steps"]
    assert stepped["frozen"] is params["frozen"]
    assert np.all(stepped["w"] < 1)


def test_parameters_that_nobody_reads_may_be_anything():
  fast_and_slow = optax.LookaheadParams.init_synced(PARAMS)
  grads = jax.tree.map(jnp.ones_like, PARAMS)
  ours = optax.chain(gx.clip(1.0), optax.lookahead(gx.adam(0.05), 3, 0.5))
  theirs = optax.chain(optax.clip(1.0), optax.lookahead(optax.adam(0.05), 3, 0.5))
  wanted, _ = theirs.update(grads, theirs.init(fast_and_slow), fast_and_slow)
  got, _ = ours.update(grads, ours.init(fast_and_slow), fast_and_slow)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, wanted)


@pytest.mark.parametrize("name", ["adam", "adamax", "nadam"])
def test_derivatives_at_a_decay_of_zero_are_those_of_the_limit(name, float64):
  make = getattr(gx, name)

  def run(b1):
    optimizer, params = make(0.1, b1=b1), jnp.asarray([1.0, -2.0])
    state = optimizer.init(params)
    for _ in range(4):
      params, state = optimizer.step(jnp.sin(3 * params), state, params)
    return jnp.sum(params**2)

  ahead = (-3 * run(0.0) + 4 * run(1e-5) - run(2e-5)) / 2e-5
  np.testing.assert_allclose(jax.grad(run)(0.0), ahead, rtol=1e-5)


def test_derivatives_of_clips_and_grafts_are_finite_where_a_norm_is_zero():
  silent = {"w": jnp.zeros(3), "b": jnp.ones(2)}
  for transform in (
    gx.chain(gx.clip_by_global_norm(0.5), gx.sgd(0.1)),
    gx.graft(gx.sgd(0.1), magnitude=gx.adam(0.1)),
    gx.chain(gx.clip_by_block_rms(0.5), gx.adam(0.1)),
  ):

    def run(t):
      params, state = silent, t.init(silent)
      for grads in (jax.tree.map(jnp.zeros_like, silent), silent):
        params, state = t.step(grads, state, params)
      return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))

    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(jax.grad(run)(transform)))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(jax.hessian(run)(transform)))


def test_eager_vmap_and_grad_compile_nothing_for_themselves(monkeypatch):
  params = [jnp.ones((2, 3))] * 4
  optimizer = gx.adam(0.1)
  state = optimizer.init(params)
  staged = []
  monkeypatch.setattr(jax, "jit", lambda function, **kwargs: staged.append(function) or function)
  jax.vmap(lambda scale: optimizer.update([scale * p for p in params], state)[0])(jnp.ones(2))
  jax.grad(lambda scale: sum(u.sum() for u in optimizer.update([scale * p for p in params], state)[0]))(1.0)
  assert staged == []


def test_optax_maps_over_the_parameters_in_states_of_its_own_that_lie_in_ours():
  transform = gx.chain(optax.trace(0.9), gx.trace(0.9))
  marked = optax.tree.map_params(transform, lambda _: "p", transform.init(PARAMS))
  assert marked["trace"].trace == marked["trace_2"]["momentum"] == dict.fromkeys("bw", "p")
