"""Low precision: what is computed and kept in float32, and rounded once."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

import gradxform as gx

DECAYS = [0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999]


@pytest.mark.parametrize("decay", DECAYS)
def test_bias_correction_is_within_3e_7_of_the_exact_value(decay):
  counts = np.unique(np.concatenate([np.arange(1, 2001), np.logspace(0, 5, 500).astype(int)]))
  transform = gx.bias_correction(decay)

  def corrected(t):
    return transform.update(jnp.float32(1.0), {"count": t - 1})[0]

  got = np.asarray(jax.jit(jax.vmap(corrected))(jnp.asarray(counts, jnp.int32)), np.float64)
  exact = np.array([-math.expm1(t * math.log(decay)) for t in counts.tolist()])
  assert counts[-1] == 100_000
  assert np.max(np.abs(1 / got / exact - 1)) < 3e-7


def test_optaxs_form_would_not_pass():
  decay, t = 0.999, np.float32(2.0)
  naive = 1 - np.float32(decay) ** t
  assert abs(naive / -math.expm1(2 * math.log(decay)) - 1) > 1e-5


def test_a_second_moment_of_bfloat16_parameters_decays_as_it_should():
  params = jnp.zeros(8, jnp.bfloat16)
  transform = gx.adam(1e-3)
  ones, zeros = jnp.ones_like(params), jnp.zeros_like(params)

  def many(state, grads, steps):
    return jax.lax.scan(lambda s, _: (transform.update(grads, s, params)[1], None), state, None, length=steps)[0]

  moment = lambda state: state["scale_by_adam"]["by"]["moving_average"]["moment"]
  state = jax.jit(many, static_argnums=2)(transform.init(params), ones, 2_000)
  assert moment(state).dtype == jnp.float32
  assert_allclose(moment(state), 1 - 0.999**2_000, rtol=1e-4)  # 0.865; kept in bfloat16 it stalls at 0.5
  state = jax.jit(many, static_argnums=2)(state, zeros, 10_000)
  assert_allclose(moment(state), (1 - 0.999**2_000) * 0.999**10_000, rtol=1e-3)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_step_rounds_the_parameters_once(dtype):
  rng = np.random.default_rng(0)
  params = jnp.asarray(rng.normal(size=1000), dtype)
  grads = jnp.asarray(rng.normal(size=1000), dtype)
  transform = gx.adam(0.01)
  stepped, _ = transform.step(grads, transform.init(params), params)
  exact, _ = transform.update(grads.astype(jnp.float32), transform.init(params), params.astype(jnp.float32))
  once = (params.astype(jnp.float32) + exact).astype(dtype)
  np.testing.assert_array_equal(stepped, once)
  twice = params + exact.astype(dtype)  # what rounding the update first would give
  assert np.any(np.asarray(twice) != np.asarray(once))


def test_the_public_update_is_rounded_once():
  # Two stages that cancel: rounded between them, 1 + 1/512 would be lost in bfloat16.
  transform = gx.chain(gx.scale(1 + 1 / 512), gx.add(gx.identity(), gx.scale(-1.0), gx.scale(1 / 512)))
  value = jnp.asarray(1.0, jnp.bfloat16)
  update, _ = transform.update(value, transform.init(value))
  assert update == jnp.asarray((1 + 1 / 512) / 512, jnp.bfloat16)


def test_the_global_norm_of_many_bfloat16_leaves_is_right():
  leaves = [jnp.ones((), jnp.bfloat16)] * 1000
  assert_allclose(gx.tree.global_norm(leaves), math.sqrt(1000), rtol=1e-6)
  clip = gx.clip_by_global_norm(1.0)
  updates, _ = clip.update(leaves, clip.init(leaves))
  assert_allclose(np.asarray(updates, np.float32), 1 / math.sqrt(1000), rtol=4e-3)


def test_optax_transforms_inside_see_float32_and_their_state_keeps_its_dtype():
  params = jnp.ones(4, jnp.bfloat16)
  transform = gx.chain(optax.scale_by_adam(), gx.scale(-0.1))
  state = transform.init(params)
  updates, new = jax.jit(transform.update)(params, state, params)
  assert updates.dtype == jnp.bfloat16
  assert new["scale_by_adam"].nu.dtype == state["scale_by_adam"].nu.dtype == jnp.float32


def test_gradients_of_another_precision_than_the_parameters_are_computed_in_the_wider(float64):
  params = jnp.asarray([1.0, 2.0], jnp.float64)
  transform = gx.add_decayed_weights(1e-10)
  stepped, _ = transform.step(jnp.zeros(2, jnp.float32), transform.init(params), params)
  assert stepped.dtype == jnp.float64
  assert_allclose(stepped, params * (1 + 1e-10), rtol=1e-15)


def test_the_count_saturates():
  transform = gx.adam(1e-3)
  params = jnp.ones(2)
  state = transform.init(params) | {"count": jnp.asarray(np.iinfo(np.int32).max, jnp.int32)}
  updates, state = transform.update(params, state, params)
  assert state["count"] == np.iinfo(np.int32).max
  assert np.all(np.isfinite(updates))


@pytest.mark.parametrize("decay", [0.9, 0.999, 0.9999, 0.1, 0.0])
@pytest.mark.parametrize("make", [gx.moving_average, lambda decay: gx.moving_average(jnp.float32(decay))])
def test_the_average_of_a_constant_is_that_constant_in_float32(decay, make):
  average, constant = make(decay), jnp.float32(1 / 3)
  state = average.init(constant)
  state = {**state, "moving_average": {"moment": constant}}
  for _ in range(20):
    got, state = average.update(constant, state)
  np.testing.assert_allclose(got, constant, rtol=3e-7)


def test_without_memory_a_small_update_after_a_large_one_is_kept():
  average = gx.moving_average(0.0)
  state = average.init(jnp.float32(0))
  for update in (1e10, 1e-3):
    got, state = average.update(jnp.float32(update), state)
  assert got == jnp.float32(1e-3)
