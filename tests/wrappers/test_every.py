"""Transforms that run only every so often, and between emit what they emitted last."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

GRADIENTS = [1.0, -2.0, 0.5, 3.0, -1.0, 4.0, 2.0]


def emitted(transform, gradients=GRADIENTS, **extra):
  state, out = transform.init(jnp.zeros(())), []
  update = jax.jit(transform.update)
  for g in gradients:
    u, state = update(jnp.asarray(g), state, jnp.zeros(()), **extra)
    out.append(float(u))
  return out, state


@pytest.mark.parametrize("inner", [gx.scale(2.0), optax.scale(2.0)], ids=["ours", "optax"])
def test_what_is_emitted_at_every_third_step_is_held(inner):
  out, state = emitted(gx.every(inner, 3))
  assert out == [2.0, 2.0, 2.0, 6.0, 6.0, 6.0, 4.0]
  assert (int(state["count"]), int(state["every"]["inner"]["count"])) == (7, 3)


def test_the_inner_transform_counts_its_own_steps():
  corrected, _ = emitted(gx.every(gx.ema(0.9), 2))
  alone, _ = emitted(gx.ema(0.9), GRADIENTS[::2])
  np.testing.assert_allclose(corrected, np.repeat(alone, 2)[:7])
  scheduled, _ = emitted(gx.every(gx.scale(lambda count: 10.0**count), 3))
  assert scheduled == [1.0, 1.0, 1.0, 30.0, 30.0, 30.0, 200.0]


def test_a_filter_at_the_end_holds_what_it_emits_and_nothing_is_kept_twice():
  held, state = emitted(gx.every(gx.chain(gx.square(), gx.moving_average(0.5)), 2))
  assert held == [0.5, 0.5, 0.375, 0.375, 0.6875, 0.6875, 2.34375]
  assert list(state["every"]) == ["inner"]
  assert list(emitted(gx.every(gx.ema(0.5), 2))[1]["every"]) == ["emitted", "inner"]


def test_previous_emits_what_it_held_before_the_step():
  average = gx.every(gx.trace(1.0), 2)
  now, _ = emitted(average)
  assert emitted(gx.previous(average))[0] == [0.0, *now[:-1]]
  assert emitted(gx.previous(gx.every(gx.scale(1.0), 3)))[0] == [0.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0]
  assert emitted(gx.previous(gx.every(average, 2)))[0] == [0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_at_every_step_it_is_the_inner_transform():
  np.testing.assert_allclose(emitted(gx.every(gx.adam(0.1), 1))[0], emitted(gx.adam(0.1))[0], rtol=1e-6)


def test_what_is_dear_is_computed_at_its_own_steps_alone():
  calls = []
  count = lambda u: calls.append(float(u)) or np.asarray(u)
  dear = gx.elementwise("dear", lambda u: jax.pure_callback(count, jax.ShapeDtypeStruct(u.shape, u.dtype), u))
  emitted(gx.every(dear, 3))
  assert calls == [1.0, 3.0, 2.0]


def test_it_goes_by_the_pace_of_what_is_around_it():
  twice, _ = emitted(gx.every(gx.every(gx.scale(1.0), 2), 2))
  assert twice == [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0]


@pytest.mark.parametrize(("steps", "error"), [(0, ValueError), (2.0, TypeError)])
def test_a_number_of_steps_that_cannot_be_is_refused(steps, error):
  with pytest.raises(error, match=r"`every\(steps=...\)` must be "):
    gx.every(gx.scale(1.0), steps)


def test_it_may_wait_for_some_steps_first():
  transform = gx.every(gx.moving_average(0.5, initial=3.0), 2, first=3)
  state, seen = transform.init(jnp.zeros(())), []
  for u in range(1, 9):
    emitted, state = transform.update(jnp.asarray(float(u)), state)
    seen.append(float(emitted))
  assert seen == [3.0, 3.0, 3.0, 3.5, 3.5, 4.75, 4.75, 6.375]  # (3 + 4) / 2, then with 6, then with 8
  assert int(state["every"]["inner"]["count"]) == 3
