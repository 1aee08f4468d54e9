"""Filters, by hand: two steps each."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

STREAM = [jnp.asarray([4.0, -2.0]), jnp.asarray([1.0, 6.0])]

BY_HAND = [
  (gx.moving_average(0.75), [[1.0, -0.5], [1.0, 1.125]]),
  (gx.moving_average(0.75, initial=4.0), [[4.0, 2.5], [3.25, 3.375]]),
  (gx.scale_by_momentum(0.75), [[1.0, -0.5], [1.0, 1.125]]),
  (gx.trace(0.5), [[4.0, -2.0], [3.0, 5.0]]),
  (gx.running_sum(), [[4.0, -2.0], [5.0, 4.0]]),
  (gx.running_sum(0.5), [[4.5, -1.5], [5.5, 4.5]]),
  (gx.running_max(), [[4.0, 0.0], [4.0, 6.0]]),
  (gx.average_from_first(0.75), [[4.0, -2.0], [3.25, 0.0]]),
  (gx.additive_average(0.75, initial=2.0), [[3.0, 2.5], [2.75, 4.0]]),
  (gx.decayed_max(0.5), [[4.0, 2.0], [2.0, 6.0]]),
  (gx.decayed_max(0.5, 0.25), [[4.25, 2.25], [2.125, 6.25]]),
]


@pytest.mark.parametrize(("transform", "wanted"), BY_HAND, ids=lambda x: repr(x)[:40])
def test_by_hand(transform, wanted):
  state, got = transform.init(STREAM[0]), []
  for updates in STREAM:
    out, state = transform.update(updates, state)
    got.append(out)
  np.testing.assert_allclose(got, wanted)
  (slot,) = state[transform.name].values()
  np.testing.assert_array_equal(slot, got[-1])  # a filter emits what it keeps


def test_an_initial_value_may_be_a_schedule_read_at_the_start():
  transform = gx.moving_average(0.5, initial=lambda count: 2.0 + count)
  assert transform.init(1.0)["moving_average"]["moment"] == 2.0


def test_the_maximum_of_complex_updates_is_real():
  transform = gx.decayed_max(0.9)
  state = transform.init(jnp.asarray([3 + 4j]))
  _, state = transform.update(jnp.asarray([3 + 4j]), state)
  assert state["decayed_max"]["largest"].dtype == jnp.float32
  assert state["decayed_max"]["largest"] == 5.0


def test_a_difference_begins_with_nothing_and_keeps_the_last_update():
  transform = gx.difference()
  state, got = transform.init(STREAM[0]), []
  for updates in STREAM:
    out, state = transform.update(updates, state)
    got.append(out)
  np.testing.assert_allclose(got, [[0.0, 0.0], [-3.0, 8.0]])
  np.testing.assert_array_equal(state["difference"]["last"], STREAM[-1])


def test_every_kth_update_is_the_sum_since_the_one_before():
  transform, state, got = gx.apply_every(3), gx.apply_every(3).init(jnp.zeros(())), []
  for u in (1.0, 2.0, 3.0, 10.0, 20.0, 30.0):
    update, state = transform.update(jnp.asarray(u), state)
    got.append(float(update))
  assert got == [0, 0, 6, 0, 0, 60]
  with pytest.raises(ValueError, match=r"`apply_every\(k=...\)` must be at least 1, got 0"):
    gx.apply_every(0)
