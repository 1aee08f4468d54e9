"""Newton's direction and the diagonal of the Hessian, on functions whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

C = 0.15 * np.pi


def descend(direction, fn, start, steps, rate=1.0, **extra):
  optimizer = gx.chain(direction, gx.scale_by_learning_rate(rate))
  x, state = jnp.asarray(start), optimizer.init(jnp.asarray(start))
  step = jax.jit(lambda x, state: optimizer.step(jax.grad(fn)(x), state, x, value_fn=fn, **extra))
  for _ in range(steps):
    x, state = step(x, state)
  return x


NEWTON_OF_A_TEXTBOOK = [  # Dive into Deep Learning, section 12.3.3.1
  (lambda x: jnp.cosh(0.5 * x), 1.0, 0.0),
  (lambda x: x * jnp.cos(C * x), 1.0, 26.83413291324767),
  (lambda x: x * jnp.cos(C * x), 0.5, 7.269860168684531),
]


@pytest.mark.parametrize(("fn", "rate", "printed"), NEWTON_OF_A_TEXTBOOK)
def test_newton_prints_the_numbers_of_a_textbook(fn, rate, printed, float64):
  x = descend(gx.precondition_by_hessian(), fn, 10.0, 10, rate)
  np.testing.assert_allclose(x, printed, rtol=1e-12, atol=1e-12)


def coupled(p):
  return 2 * p["a"][0] ** 2 + p["a"][0] * p["b"] + 3 * p["b"] ** 2 + p["a"][1] ** 2


def test_newton_solves_a_quadratic_on_a_tree_at_once(float64):
  start = {"a": jnp.asarray([1.0, -2.0]), "b": jnp.asarray(3.0)}
  transform = gx.chain(gx.precondition_by_hessian(), gx.scale(-1.0))
  grads = jax.grad(coupled)(start)
  end, _ = transform.step(grads, transform.init(start), start, value_fn=coupled)
  jax.tree.map(lambda leaf: np.testing.assert_allclose(leaf, 0, atol=1e-14), end)


def test_damping_shortens_the_step_and_makes_an_indefinite_one_descend(float64):
  saddle, start = (lambda x: x[0] ** 2 - x[1] ** 2), jnp.asarray([1.0, 1.0])
  grads = jax.grad(saddle)(start)

  def direction(damping):
    transform = gx.precondition_by_hessian(damping)
    return transform.update(grads, transform.init(start), start, value_fn=saddle)[0]

  np.testing.assert_allclose(direction(0.0), [1.0, 1.0])
  np.testing.assert_allclose(direction(4.0), [2 / 6, -2 / 2])
  assert jnp.vdot(direction(0.0), grads) == 0 < jnp.vdot(direction(4.0), grads)


def test_the_diagonal_is_exact_and_its_estimate_right_on_average(float64):
  start, key = {"a": jnp.asarray([1.0, -2.0]), "b": jnp.asarray(3.0)}, jax.random.key(0)
  grads = jax.grad(coupled)(start)
  exact = gx.hessian_diagonal()
  updates, _ = exact.update(grads, exact.init(start), start, value_fn=coupled)
  np.testing.assert_allclose(jax.tree.leaves(updates)[0], [4.0, 2.0])
  np.testing.assert_allclose(updates["b"], 6.0)
  estimate = gx.hutchinson_diagonal(4000)
  guessed, _ = estimate.update(grads, estimate.init(start), start, value_fn=coupled, key=key)
  np.testing.assert_allclose(guessed["a"], [4.0, 2.0], atol=0.1)
  np.testing.assert_allclose(guessed["b"], 6.0, atol=0.1)


def test_preconditioning_shrinks_every_coordinate_alike(float64):
  bowl, start = (lambda x: 0.1 * x[0] ** 2 + 2 * x[1] ** 2), jnp.asarray([-4.0, -6.0])
  end = descend(gx.precondition_by_hessian_diagonal(), bowl, start, 20, rate=0.4)
  np.testing.assert_allclose(end, 0.6**20 * start, rtol=1e-12)
  diagonal = gx.precondition_by_hessian_diagonal(gx.hutchinson_diagonal())  # exact where H is diagonal
  np.testing.assert_allclose(descend(diagonal, bowl, start, 20, 0.4, key=jax.random.key(1)), end, rtol=1e-12)
