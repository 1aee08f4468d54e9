"""PSGD-Kron, as its core with decay and rate, and on a problem that is ill-conditioned along both axes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradxform as gx


def test_it_is_its_core_with_decay_and_a_rate(float64):
  rng = np.random.default_rng(0)
  params = {"w": jnp.asarray(rng.normal(size=(3, 2))), "b": jnp.asarray(rng.normal(size=2))}
  options = {"b1": 0.8, "preconditioner_update_probability": 0.5, "preconditioner_lr": 0.3, "max_rms": 0.7, "key": 5}
  core = gx.scale_by_kron(**options, max_size_triangular=2)
  whole = gx.kron(0.1, weight_decay=0.2, **options, max_size_triangular=2)
  state_of_core, state = core.init(params), whole.init(params)
  update, move = jax.jit(core.update), jax.jit(whole.step)
  assert jax.tree.structure(state_of_core) == jax.tree.structure(state)
  for step in range(6):
    grads = jax.tree.map(lambda p, step=step: jnp.sin(p + step), params)
    direction, state_of_core = update(grads, state_of_core)
    new, state = move(grads, state, params)
    for name, p in params.items():
      np.testing.assert_allclose(new[name], p - 0.1 * (direction[name] + 0.2 * p), rtol=1e-14)
    params = new


def test_it_needs_no_extra_arguments_inside_optax():
  params = {"w": jnp.ones((3, 2))}
  optimizer = optax.chain(optax.clip(1.0), gx.kron(0.1))
  updates, _ = jax.jit(optimizer.update)(params, optimizer.init(params), params)
  assert np.all(np.isfinite(updates["w"]))


def test_it_descends_where_both_axes_are_ill_conditioned():
  rng = np.random.default_rng(0)
  left = jnp.asarray(np.diag(np.logspace(-2, 0, 6)) @ rng.normal(size=(6, 6)), jnp.float32)
  right = jnp.asarray(rng.normal(size=(5, 5)) @ np.diag(np.logspace(-1.5, 0, 5)), jnp.float32)
  target = left @ jnp.asarray(rng.normal(size=(6, 5)), jnp.float32) @ right

  def loss(w):
    return jnp.sum(jnp.square(left @ w @ right - target))

  def after(optimizer):
    def body(carry, _):
      w, state = carry
      return optimizer.step(jax.grad(loss)(w), state, w), None

    w = jnp.zeros((6, 5))
    return loss(jax.lax.scan(body, (w, optimizer.init(w)), length=600)[0][0])

  rate = optax.linear_schedule(0.03, 0.0, 600)
  assert after(gx.kron(rate)) < 1e-5 < 1e-3 < after(gx.adam(rate))


def test_views_give_each_matrix_its_own_factors():
  params = {"qkv": jnp.ones((4, 6)), "b": jnp.ones(3)}
  state = gx.kron(0.1, matrix_view={"qkv": "d (3 h) -> 3 d h"}).init(params)
  shapes = jax.tree.map(jnp.shape, state["as_matrices"]["whiten"]["factors"])
  assert shapes == {"qkv": ((3, 4, 4), (3, 2, 2)), "b": ((3,),)}
