"""The cores of the adaptive optimizers: first steps by hand, and what they are invariant to."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

ONE = jnp.ones(())

FIRST_UPDATES = [  # for a gradient of 1 without eps
  (gx.scale_by_rss(0.0, 0.0), 1.0),
  (gx.scale_by_rss(3.0, 0.0), 0.5),
  (gx.scale_by_rms(0.75, 0.0), 2.0),
  (gx.scale_by_stddev(0.75, 0.0), 1 / np.sqrt(0.25 - 0.0625)),
  (gx.scale_by_adadelta(0.9, 1e-6), 1e-3 / np.sqrt(0.1 + 1e-6)),
  (gx.scale_by_adam(eps=0.0), 1.0),
  (gx.scale_by_nadam(0.9, eps=0.0), 1 + 0.9 / 1.9),
  (gx.scale_by_amsgrad(eps=0.0), 1.0),
  (gx.scale_by_adamax(eps=0.0), 1.0),
]


@pytest.mark.parametrize(("transform", "wanted"), FIRST_UPDATES, ids=lambda x: repr(x)[:40])
def test_the_first_update_by_hand(transform, wanted):
  np.testing.assert_allclose(transform.update(ONE, transform.init(ONE))[0], wanted, rtol=1e-6)


INVARIANT = [
  gx.scale_by_rss(0.0, 0.0),
  gx.scale_by_rms(eps=0.0),
  gx.scale_by_adam(eps=0.0),
  gx.scale_by_nadam(eps=0.0),
  gx.scale_by_amsgrad(eps=0.0),
  gx.scale_by_adamax(eps=0.0),
]


@pytest.mark.parametrize("transform", INVARIANT, ids=lambda t: t.name)
def test_without_eps_the_scale_of_the_gradient_makes_no_difference(transform):
  rng = np.random.default_rng(0)
  small, large = transform.init(jnp.ones(3)), transform.init(jnp.ones(3))
  for _ in range(5):
    gradient = jnp.asarray(rng.normal(size=3), jnp.float32)
    update, small = transform.update(gradient, small)
    scaled, large = transform.update(1024 * gradient, large)
    np.testing.assert_allclose(scaled, update, rtol=1e-5)


def test_a_variance_that_rounding_makes_negative_gives_no_nan():
  transform = gx.scale_by_stddev(0.9, 1e-8)
  state = transform.init(jnp.ones(4))
  for _ in range(200):  # the variance of a constant stream tends to zero
    update, state = transform.update(jnp.full(4, 12345.678), state)
  assert np.all(np.isfinite(update))


def test_the_second_moment_that_amsgrad_divides_by_never_falls():
  transform = gx.scale_by_amsgrad(b2=0.5)
  state, last = transform.init(ONE), 0.0
  for gradient in [3.0, 0.1, 0.1, 5.0, 0.0]:
    _, state = transform.update(jnp.float32(gradient), state)
    largest = float(state["scale_by_amsgrad"]["by"]["running_max"]["largest"])
    assert largest >= last
    last = largest
