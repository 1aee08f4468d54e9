"""What five wrappers mean, around and inside of transforms of other kinds: each against a loop by hand.

The loops know nothing of what they wrap: it is a transform with a state of its own, or another loop.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

SHAPES = {"tall": (4, 3), "square": (3, 3), "vector": (3,)}
STEPS, FLOOR, B1 = 6, 0.4, 0.8


def gradients(step):
  rng = np.random.default_rng(step)
  return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


class Alone:
  """A transform that is wrapped, with its own state, which begins at the first update that it sees."""

  def __init__(self, transform):
    self.transform, self.state = transform, None

  def __call__(self, grads, params=None):
    self.state = self.transform.init(grads) if self.state is None else self.state
    out, self.state = self.transform.update(jax.tree.map(jnp.asarray, grads), self.state, params)
    return jax.tree.map(np.asarray, out)


class InEigenbasis:
  """Turn, let the inner one step, turn back; the bases are those of before, from the first gradient."""

  def __init__(self, inner):
    self.inner, self.bases = inner, {}

  def __call__(self, grads, params=None):
    if not self.bases:
      squares = {k: (g @ g.T, g.T @ g) for k, g in grads.items() if g.ndim == 2}
      self.bases = {k: [np.linalg.eigh(square)[1][:, ::-1] for square in both] for k, both in squares.items()}
      return {k: np.zeros_like(g) for k, g in grads.items()}
    turned = {k: self.bases[k][0].T @ g @ self.bases[k][1] if k in self.bases else g for k, g in grads.items()}
    out = self.inner(turned)
    return {k: self.bases[k][0] @ u @ self.bases[k][1].T if k in self.bases else u for k, u in out.items()}


class InLowRank:
  """Take the coordinates in two singular vectors of the first gradient, let the inner one step, and take it back."""

  def __init__(self, inner):
    self.inner, self.bases = inner, {}

  def __call__(self, grads, params=None):
    if not self.bases:
      self.bases = {k: np.linalg.svd(g)[0][:, :2] for k, g in grads.items() if g.ndim == 2}
    out = self.inner({k: self.bases[k].T @ g if k in self.bases else g for k, g in grads.items()})
    return {k: 0.5 * self.bases[k] @ u if k in self.bases else u for k, u in out.items()}


class Cautious:
  """Leave out what has not the sign of the gradient, and enlarge the rest."""

  def __init__(self, inner):
    self.inner = inner

  def __call__(self, grads, params=None):
    out = {}
    for k, u in self.inner(grads).items():
      agrees = u * grads[k] > 0
      out[k] = np.where(agrees, u, 0) / max(np.mean(agrees), FLOOR)
    return out


class Grafted:
  """The direction of the inner one, and the norm of a momentum."""

  def __init__(self, inner):
    self.inner, self.trace = inner, dict.fromkeys(SHAPES, 0.0)

  def __call__(self, grads, params=None):
    self.trace = {k: 0.9 * self.trace[k] + g for k, g in grads.items()}
    out = self.inner(grads)
    lengths = {k: np.linalg.norm(u) for k, u in out.items()}
    return {k: u * np.linalg.norm(self.trace[k]) / lengths[k] if lengths[k] else 0 * u for k, u in out.items()}


class ScheduleFree:
  """z goes along with the inner one, x is the mean of the z, and the parameters are between them."""

  def __init__(self, inner):
    self.inner, self.t, self.z, self.x = inner, 0, None, None

  def __call__(self, grads, params):
    if self.z is None:
      self.z, self.x = params, params
    self.t += 1
    self.z = {k: self.z[k] - 0.1 * u for k, u in self.inner(grads).items()}
    self.x = {k: x + (self.z[k] - x) / self.t for k, x in self.x.items()}
    return {k: (1 - B1) * self.z[k] + B1 * self.x[k] - p for k, p in params.items()}


WRAPPERS = {
  "in_eigenbasis": (lambda inner: gx.in_eigenbasis(inner, 0.5, 100), InEigenbasis),
  "in_low_rank": (lambda inner: gx.in_low_rank(inner, 2, 100, 0.5), InLowRank),
  "cautious": (lambda inner: gx.cautious(inner, by=gx.identity(), floor=FLOOR), Cautious),
  "graft": (lambda inner: gx.graft(inner, magnitude=gx.trace(0.9)), Grafted),
  "schedule_free": (lambda inner: gx.schedule_free(gx.chain(inner, gx.scale(-0.1)), B1), ScheduleFree),
}
# Of one scope each, and one of Optax's. All follow a change of sign, which bases leave open.
INNER = {
  "the sign of a momentum": gx.scale_by_lion(),
  "orthogonalized": gx.scale_by_muon(),
  "divided by rows and columns": gx.scale_by_factored_rms(min_dim_size_to_factor=2),
  "clipped together": gx.chain(gx.trace(0.9), gx.clip_by_global_norm(0.5)),
  "optax's adam": optax.scale_by_adam(),
}


def assert_same(transform, by_hand, grads_of=gradients, steps=STEPS):
  """The updates are those of the loop, at parameters that go along."""
  params = {k: 2 * g for k, g in gradients(99).items()}
  state, update = transform.init(params), jax.jit(transform.update)
  for step in range(steps):
    grads = grads_of(step)
    updates, state = update(grads, state, params)
    wanted = by_hand(grads, params)
    for k in SHAPES:
      np.testing.assert_allclose(updates[k], wanted[k], rtol=1e-9, atol=1e-11, err_msg=f"{k} at {step}")
    params = {k: p + wanted[k] for k, p in params.items()}


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("name", WRAPPERS)
def test_around_a_transform_of_any_kind(name, inner, float64):
  wrap, by_hand = WRAPPERS[name]
  assert_same(wrap(INNER[inner]), by_hand(Alone(INNER[inner])))


class Accumulated:
  """Every second step, with the mean of the gradients."""

  def __init__(self, inner):
    self.inner, self.kept = inner, []

  def __call__(self, grads, params):
    self.kept.append(grads)
    if len(self.kept) % 2:
      return {k: 0 * g for k, g in grads.items()}
    return self.inner({k: (self.kept[-2][k] + g) / 2 for k, g in grads.items()}, params)


class Clipped:
  """Gradients of norm 0.5 at most."""

  def __init__(self, inner):
    self.inner = inner

  def __call__(self, grads, params):
    length = np.sqrt(sum(np.sum(g * g) for g in grads.values()))
    return self.inner({k: g * min(1.0, 0.5 / length) for k, g in grads.items()}, params)


class Guarded:
  """No step where a gradient is not finite."""

  def __init__(self, inner):
    self.inner = inner

  def __call__(self, grads, params):
    if all(np.all(np.isfinite(g)) for g in grads.values()):
      return self.inner(grads, params)
    return {k: np.zeros_like(g) for k, g in grads.items()}


class Routed:
  """Matrices to the inner one, a vector to the sign of its gradient."""

  def __init__(self, inner):
    self.inner = inner

  def __call__(self, grads, params):
    own = [{k: x for k, x in tree.items() if x.ndim == 2} for tree in (grads, params)]
    return {**self.inner(*own), "vector": -np.sign(grads["vector"])}


OUTER = {
  "accumulated": (lambda t: gx.accumulate(t, 2), Accumulated),
  "in optax's chain": (lambda t: optax.chain(optax.clip_by_global_norm(0.5), t), Clipped),
  "guarded": (gx.skip_nonfinite, Guarded),
  "routed": (lambda t: gx.route_matrices(t, others=gx.chain(gx.sign(), gx.scale(-1.0))), Routed),
}


def with_a_gap(step):
  grads = gradients(step)
  return {**grads, "tall": np.where(grads["tall"] > 1, np.nan, grads["tall"])} if step in (0, 3) else grads


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("name", WRAPPERS)
def test_inside_of_a_transform_of_any_kind(name, outer, float64):
  (wrap, by_hand), (around, around_by_hand) = WRAPPERS[name], OUTER[outer]
  inner = gx.scale_by_lion()
  grads_of = with_a_gap if outer == "guarded" else gradients
  assert_same(around(wrap(inner)), around_by_hand(by_hand(Alone(inner))), grads_of)


def runs(transform, shapes, steps=STEPS):
  """The gradients and the updates of some steps, as arrays of all steps."""
  rng = np.random.default_rng(0)
  grads = [{k: jnp.asarray(rng.normal(size=shape)) for k, shape in shapes.items()} for _ in range(steps)]
  params = jax.tree.map(jnp.ones_like, grads[0])
  state, update, out = transform.init(params), jax.jit(transform.update), []
  for g in grads:
    updates, state = update(g, state, params)
    out.append(updates)
  return [{k: np.stack([tree[k] for tree in trees]) for k in shapes} for trees in (grads, out)]


EQUIVARIANT = ["orthogonalized", "clipped together"]  # of a turned matrix they give the turned result


@pytest.mark.parametrize("inner", EQUIVARIANT)
def test_full_rank_around_what_turns_along_changes_nothing(inner, float64):
  shapes = {"a": (3, 3), "b": (5, 5), "vector": (4,)}
  _, wanted = runs(INNER[inner], shapes)
  _, got = runs(gx.in_low_rank(INNER[inner], 5, 100), shapes)
  for k in shapes:
    np.testing.assert_allclose(got[k], wanted[k], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", [gx.muon(0.1), gx.soap(0.1), gx.adamw(0.1, weight_decay=3.0), optax.adam(0.1)])
def test_nothing_of_a_cautious_step_goes_against_the_descent(optimizer):
  grads, plain = runs(optimizer, SHAPES)
  grads, updates = runs(gx.cautious(optimizer, floor=FLOOR), SHAPES)
  for k, u in updates.items():
    assert np.all(u * grads[k] <= 0)
    assert np.any(plain[k] * grads[k] > 0)  # which without it would


@pytest.mark.parametrize("magnitude", [gx.scale_by_adam(), optax.trace(0.9), gx.scale_by_soap()])
def test_a_grafted_step_has_the_direction_of_one_and_of_each_leaf_the_norm_of_another(magnitude, float64):
  direction = INNER["orthogonalized"]
  _, directions = runs(direction, SHAPES)
  _, magnitudes = runs(magnitude, SHAPES)
  _, updates = runs(gx.graft(direction, magnitude=magnitude), SHAPES)
  for k in SHAPES:
    for u, d, m in zip(updates[k], directions[k], magnitudes[k], strict=True):
      np.testing.assert_allclose(np.linalg.norm(u), np.linalg.norm(m), rtol=1e-9)
      np.testing.assert_allclose(u, d * np.linalg.norm(m) / np.linalg.norm(d), rtol=1e-9, atol=1e-12)
