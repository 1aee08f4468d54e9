"""The average of the parameters."""

import jax.numpy as jnp
import pytest

import gradxform as gx


@pytest.mark.parametrize(("start", "averages"), [(0, [-1.0, -2.0, -2.5, -3.0]), (2, [-1.0, -2.0, -3.0, -4.0])])
def test_it_averages_where_the_steps_lead(start, averages):
  transform = gx.chain(gx.sgd(1.0), gx.average_iterates(start))
  params, state = jnp.zeros(2), transform.init(jnp.zeros(2))
  for wanted in averages:
    params, state = transform.step(jnp.ones(2), state, params)
    assert state["average_iterates"]["ax"].tolist() == [wanted, wanted]
  assert params.tolist() == [-4.0, -4.0]


def test_it_needs_the_parameters():
  transform = gx.average_iterates()
  with pytest.raises(ValueError, match="needs the parameters"):
    transform.update(1.0, transform.init(1.0))
