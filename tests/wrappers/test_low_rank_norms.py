"""Matrices scaled as their coordinates are, and what a basis leaves out, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

PARAMS = {"tall": jnp.zeros((5, 3)), "wide": jnp.zeros((3, 5)), "bias": jnp.zeros(4)}


def gradients(step=0):
  rng = np.random.default_rng(step)
  return {name: jnp.asarray(rng.normal(size=p.shape)) for name, p in PARAMS.items()}


def wide(tree):
  return jax.tree.map(lambda p: p.astype(float), tree)


def lengths(x, axis):
  return np.linalg.norm(x, axis=axis, keepdims=True)


@pytest.mark.parametrize("inner", [gx.sign(), optax.scale_by_sign()], ids=["ours", "optax's"])
@pytest.mark.parametrize("per", ["line", "matrix"])
def test_each_line_or_matrix_is_scaled_as_its_coordinates_are(inner, per, float64):
  transform = gx.rescale_in_low_rank(inner, 2, per=per, projection="singular", side="shorter")
  grads = gradients()
  updates, _ = transform.update(grads, transform.init(wide(PARAMS)))
  for name in ("tall", "wide"):
    g = np.asarray(grads[name])
    g = g if name == "wide" else g.T
    low = np.linalg.svd(g)[0][:, :2].T @ g
    axis = 0 if per == "line" else (0, 1)
    wanted = g * lengths(np.sign(low), axis) / (lengths(low, axis) + 1e-8)
    np.testing.assert_allclose(updates[name], wanted if name == "wide" else wanted.T, rtol=1e-10)
  np.testing.assert_array_equal(updates["bias"], np.sign(grads["bias"]))


@pytest.mark.parametrize(
  "make",
  [
    lambda: gx.rescale_in_low_rank(gx.scale_by_rms(), 1, projection="singular"),
    lambda: gx.in_low_rank_and_rest(gx.scale_by_rms(), gx.limit_norm_growth(), 1),
  ],
  ids=["rescaled", "rest"],
)
def test_a_stack_is_its_matrices_each_by_itself(make, float64):
  transform, state, alone = make(), make().init(jnp.zeros((2, 3, 4))), [make().init(jnp.zeros((3, 4)))] * 2
  for step in range(3):
    stack = jnp.asarray(np.random.default_rng(step).normal(size=(2, 3, 4)))
    updates, state = transform.update(stack, state)
    for index in range(2):
      wanted, alone[index] = transform.update(stack[index], alone[index])
      np.testing.assert_allclose(updates[index], wanted, rtol=1e-10)


def test_the_longer_side_may_be_the_shortened_one_and_eps_bounds_what_is_small(float64):
  g = gradients()["wide"]
  transform = gx.rescale_in_low_rank(gx.sign(), 2, side="longer", projection="singular", eps=1e6)
  u, _ = transform.update(g, transform.init(jnp.zeros((3, 5))))
  np.testing.assert_allclose(u, np.sqrt(2) * g / 1e6, rtol=1e-4)  # a number for each row


def test_with_the_rest_an_inner_transform_that_changes_nothing_changes_nothing(float64):
  transform = gx.in_low_rank_and_rest(gx.identity(), gx.identity(), 1, eps=1e-30)
  grads = gradients()
  updates, _ = transform.update(grads, transform.init(wide(PARAMS)))
  jax.tree.map(lambda u, g: np.testing.assert_allclose(u, g, rtol=1e-10, atol=1e-12), updates, grads)


def test_the_rest_is_what_the_basis_leaves_out_and_has_a_transform_and_a_state_of_its_own(float64):
  rest = gx.chain(gx.scale(10.0), gx.trace(0.5))
  transform = gx.in_low_rank_and_rest(gx.scale(2.0), rest, 1, 2, 3.0)
  state, kept = transform.init(wide(PARAMS)), 0.0
  basis = np.empty(0)
  for step in range(5):
    grads = gradients(step)
    updates, state = transform.update(grads, state)
    g = np.asarray(grads["wide"])
    if step % 2 == 0:
      basis = np.linalg.svd(g)[0][:, :1]
    along = basis @ basis.T @ g
    kept = 0.5 * kept + 10 * 2 * (g - along)
    np.testing.assert_allclose(updates["wide"], 3 * 2 * along + kept, rtol=1e-6)
    np.testing.assert_allclose(updates["bias"], 2 * grads["bias"], rtol=1e-12)
  entry = state["in_low_rank_and_rest"]
  assert set(entry) == {"projector", "rest"}  # the inner one keeps nothing
  np.testing.assert_array_equal(entry["rest"]["trace"]["momentum"]["bias"], 0)
  np.testing.assert_allclose(entry["rest"]["trace"]["momentum"]["wide"], kept, rtol=1e-6)


def test_the_rest_may_read_the_parameters_and_the_inner_transform_may_not():
  params = jax.tree.map(jnp.ones_like, PARAMS)
  transform = gx.in_low_rank_and_rest(gx.identity(), gx.add_decayed_weights(0.5), 3)
  updates, _ = transform.update(jax.tree.map(jnp.zeros_like, params), transform.init(params), params)
  np.testing.assert_allclose(updates["wide"], 0.5)
  np.testing.assert_allclose(updates["bias"], 0.0)
  for make in (gx.rescale_in_low_rank, lambda inner: gx.in_low_rank_and_rest(inner, gx.identity())):
    with pytest.raises(ValueError, match="must not read the parameters, which are no coordinates"):
      make(gx.adamw(0.1))


def test_the_layout_says_what_is_of_which_matrix():
  transform = gx.scale_by_fira(2)
  layout = gx.layout(transform, PARAMS)["in_low_rank_and_rest"]
  assert layout["projector"]["wide"].shape == (3, 2)
  assert layout["rest"]["limit_norm_growth"]["norm"]["wide"].shape == (1, 1)
  assert layout["rest"]["limit_norm_growth"]["norm"]["wide"].parameter == "wide"
  moments = gx.layout(gx.scale_by_apollo(2), PARAMS)["rescale_in_low_rank"]["inner"]["divide"]["numerator"]
  assert moments["scale_by_momentum"]["moment"]["tall"].shape == (5, 2)


@pytest.mark.parametrize(
  ("make", "name", "value", "error", "wanted"),
  [
    (gx.rescale_in_low_rank, "per", "column", ValueError, "one of 'line', 'matrix'"),
    (gx.rescale_in_low_rank, "eps", 0.0, ValueError, "greater than 0"),
    (lambda inner, **kw: gx.in_low_rank_and_rest(inner, **{"rest": gx.identity(), **kw}), "rest", 1, TypeError, "a g"),
    (lambda inner, **kw: gx.in_low_rank_and_rest(inner, gx.identity(), **kw), "eps", -1.0, ValueError, "greater"),
    (lambda inner, **kw: gx.scale_by_apollo(**kw), "scale", -1.0, ValueError, "finite and at least 0"),
  ],
)
def test_arguments_that_cannot_be_are_refused(make, name, value, error, wanted):
  with pytest.raises(error, match=rf"{name}=...\)` must be {wanted}"):
    make(gx.identity(), **{name: value})
