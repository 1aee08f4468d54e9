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


def classifier(weights=None):
  """The logits of a softmax regression on some examples, linear in the parameters."""
  x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)))

  def logits_fn(params):
    logits = x @ params["w"] + params["b"]
    return logits if weights is None else (logits, weights)

  return logits_fn


def mean_estimate(logits_fn, params, draws=4000):
  transform = gx.gauss_newton_bartlett()
  state = transform.init(params)

  def estimate(key):
    return transform.update(params, state, params, logits_fn=logits_fn, key=key)[0]

  estimates = jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(0), draws))
  assert all(np.all(leaf >= 0) for leaf in jax.tree.leaves(estimates))
  return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), estimates)


@pytest.mark.parametrize("weights", [None, np.array([1, 1, 0, 1, 0, 1])], ids=["all", "padded"])
def test_labels_drawn_by_the_model_show_its_curvature_whatever_the_true_ones_are(weights, float64):
  rng = np.random.default_rng(1)
  params = {"w": jnp.asarray(rng.normal(size=(3, 4))), "b": jnp.asarray(rng.normal(size=4))}
  labels, counts = jnp.asarray([0, 3, 1, 1, 2, 0]), jnp.ones(6) if weights is None else jnp.asarray(weights)

  def loss(params):  # of a model that is linear the Hessian is the Gauss–Newton matrix, and does not depend on labels
    losses = -jnp.take_along_axis(jax.nn.log_softmax(classifier()(params)), labels[:, None], axis=1)[:, 0]
    return jnp.sum(losses * counts) / jnp.sum(counts)

  exact = gx.hessian_diagonal()
  wanted, _ = exact.update(params, exact.init(params), params, value_fn=loss)
  got = mean_estimate(classifier(weights), params)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0.15), got, wanted)


def test_a_group_estimates_the_curvature_of_its_own_parameters():
  params = {"w": jnp.ones((3, 4)), "b": jnp.zeros(4)}
  extra = {"logits_fn": classifier(), "key": jax.random.key(3)}
  alone, groups = gx.gauss_newton_bartlett(), gx.partition({"w": gx.gauss_newton_bartlett(), "*": gx.identity()})
  got, _ = groups.update(params, groups.init(params), params, **extra)
  of_first = {**extra, "key": jax.random.fold_in(extra["key"], 0)}  # each group draws its own labels
  wanted, _ = alone.update(params, alone.init(params), params, **of_first)
  np.testing.assert_allclose(got["w"], wanted["w"], rtol=1e-6)


def test_labels_are_drawn_only_for_a_model_and_a_key():
  transform = gx.gauss_newton_bartlett()
  with pytest.raises(ValueError, match=r"needs the extra argument `logits_fn`: pass `logits_fn=lambda params: f"):
    transform.update(jnp.ones(2), transform.init(jnp.ones(2)), jnp.ones(2), key=jax.random.key(0))
  with pytest.raises(ValueError, match="must not read the parameters"):
    gx.in_low_rank(transform)


def test_a_batch_that_is_padding_alone_shows_no_curvature():
  params = {"w": jnp.ones((3, 4))}
  transform = gx.gauss_newton_bartlett()
  extra = {"logits_fn": lambda params: (jnp.ones((5, 3)) @ params["w"], jnp.zeros(5)), "key": jax.random.key(0)}
  estimate, _ = transform.update(params, transform.init(params), params, **extra)
  np.testing.assert_array_equal(estimate["w"], 0)
