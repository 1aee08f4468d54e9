"""Optimizers that need no learning rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

FREE = {
  "cocob": gx.cocob(),
  "dadapt_adamw": gx.dadapt_adamw(),
  "dog": gx.dog(init_step=1e-3),
  "dowg": gx.dowg(),
  "prodigy": gx.prodigy(),
}


@pytest.mark.parametrize("scale", [1e-2, 1e3])
@pytest.mark.parametrize("name", FREE)
def test_it_finds_the_scale_of_the_problem_by_itself(name, scale):
  optimizer, target = FREE[name], jnp.asarray([1.0, -2.0])

  def step(carry, _):
    params, state = carry
    return optimizer.step(scale * (params - target), state, params), None

  start = jnp.zeros(2)
  (params, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), None, length=2000)
  np.testing.assert_allclose(params, target, atol=0.05)
