"""Every optimizer reaches a minimum: of a parabola and of Rosenbrock's valley, real and complex, in float32.

The cases are those by which Optax tests its own. A population of learning rates descends in one
program: at least one of them must arrive.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import WITHOUT_A_MODEL, example
from test_laws import REFUSE_COMPLEX

import gradxform as gx

RATES = jnp.asarray([3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4])
STEPS = 10_000
NEAR = 3e-2

# What has come half the way at least, but is not there yet after 10,000 steps: steps of a constant
# length, plain descent along a flat valley, and what divides by the sum of all it has seen.
SLOW_IN_THE_VALLEY = {
  "real": {"cocob", "optimistic_gradient_descent", "sign_sgd"},
  "complex": {
    "adadelta",
    "adafactor",
    "dog",
    "dowg",
    "fromage",
    "noisy_sgd",
    "optimistic_gradient_descent",
    "sgd",
    "sign_sgd",
    "signum",
  },
}


# Where gradients are steady, the divisor of ACProp, their surprise, falls to nothing but its eps. Scion's balls are
# around 0, and its steps of a constant length, the radius.
SETTINGS = {"acprop": {"eps": 1e-3}, "scion": {"radius": 1.0, "weight_decay": 0.0}}


def parabola(dtype):
  end = jnp.asarray([1.0, -1.0, 1.0], dtype) * unit(dtype)
  return jnp.asarray([-1.0, 10.0, 1.0], dtype), end, lambda p: jnp.sum(jnp.square(jnp.abs(p - end)))


def rosenbrock(dtype):
  a = unit(dtype)
  fn = lambda p: jnp.square(jnp.abs(a - p[0])) + 100 * jnp.square(jnp.abs(p[1] - p[0] * p[0]))
  return jnp.zeros(2, dtype), jnp.stack([a, a * a]), fn


def unit(dtype):
  return jnp.asarray(1 + 1j if dtype == jnp.complex64 else 1, dtype)


def last_point(optimizer, start, fn):
  def step(carry, key):
    point, state = carry
    value, slope = jax.value_and_grad(fn)(point)
    ascent = jnp.conj(slope)  # as JAX has it, and as searches along a line ask for it, the gradient is conjugated
    return optimizer.step(ascent, state, point, value=value, grad=slope, value_fn=fn, key=key), None

  keys = jax.random.split(jax.random.key(0), STEPS)
  return jax.lax.scan(step, (start, optimizer.init(start)), keys)[0][0]


@pytest.mark.parametrize("surface", [parabola, rosenbrock])
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("name", WITHOUT_A_MODEL)
def test_some_rate_reaches_the_minimum(name, field, surface):
  if field == "complex" and name in REFUSE_COMPLEX:
    pytest.skip("refuses complex parameters, which a law tests")
  start, end, fn = surface(jnp.complex64 if field == "complex" else jnp.float32)
  factory = getattr(gx, name)
  if "learning_rate" in factory.signature.parameters:
    own = SETTINGS.get(name, {})
    points = jax.jit(jax.vmap(lambda rate: last_point(factory(rate, **own), start, fn)))(RATES)
  else:
    points = jax.jit(lambda: last_point(example(name), start, fn))()[None]
  distances = np.max(np.abs(points - end), axis=1)
  slow = surface is rosenbrock and name in SLOW_IN_THE_VALLEY[field]
  assert np.nanmin(distances) < (0.5 * np.max(np.abs(start - end)) if slow else NEAR)
