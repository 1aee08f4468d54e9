"""Gradient descent and its momenta, by hand on two numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

BY_HAND = [  # p = (1, 2), the gradient (1, -1) twice, rate 1/4, momentum 1/2
  (gx.sgd(0.25), [0.5, 2.5]),
  (gx.momentum(0.25, momentum=0.5), [1 - 0.25 - 0.375, 2 + 0.25 + 0.375]),
  (gx.nesterov(0.25, momentum=0.5), [1 - 0.375 - 0.4375, 2 + 0.375 + 0.4375]),
]


@pytest.mark.parametrize(("optimizer", "wanted"), BY_HAND, ids=lambda x: repr(x)[:30])
def test_two_steps(optimizer, wanted):
  params = jnp.asarray([1.0, 2.0])
  state = optimizer.init(params)
  for _ in range(2):
    params, state = optimizer.step(jnp.asarray([1.0, -1.0]), state, params)
  np.testing.assert_allclose(params, wanted)


def test_gradient_descent_prints_the_numbers_of_a_textbook(float64):
  # x² from 10, ten steps: Dive into Deep Learning, section 12.3.1.
  for rate, printed in [(0.2, 0.06046617599999997), (0.05, 3.4867844009999995), (1.1, 61.917364224000096)]:
    optimizer, x = gx.sgd(rate), jnp.asarray(10.0)
    state = optimizer.init(x)
    for _ in range(10):
      x, state = optimizer.step(2 * x, state, x)
    np.testing.assert_allclose(x, printed, rtol=1e-14)
