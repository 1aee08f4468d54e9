"""Shampoo as in Meta's code and SPlus as in its authors', as loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

SHAPES = {"square": (4, 4), "tall": (5, 3), "row": (1, 4), "cube": (2, 3, 4), "vector": (3,), "number": ()}


def after_fifty_steps(optimizer, params, grads):
  start = {k: jnp.asarray(p) for k, p in params.items()}
  body = lambda carry, g: (optimizer.step(g, carry[1], carry[0]), None)
  run = jax.jit(lambda: jax.lax.scan(body, (start, optimizer.init(start)), grads)[0][0])
  return run()


def inverse_root(a, order):
  values, vectors = np.linalg.eigh(a)
  return vectors * (values - min(values.min(), 0.0) + 1e-12) ** (-1 / order) @ vectors.T


def shampoos(param, grads, *, rate=0.01, b1=0.9, b2=None, decay=0.0, every=10, start=None, norm="adam"):
  """Meta's loop for one array that is not cut, but for a vector, whose elements stand alone here."""
  start = every if start is None else start
  whole = param.reshape(param.shape or (1,))
  diagonal = whole.ndim == 1
  factors = [np.zeros(n) if diagonal else np.zeros((n, n)) for n in whole.shape]
  roots, m, v = list(factors), np.zeros_like(whole), np.zeros_like(whole)
  for t, g in enumerate(grads.reshape(len(grads), *whole.shape), 1):
    for axis, n in enumerate(whole.shape):
      flat = np.moveaxis(g, axis, 0).reshape(n, -1)
      square = g**2 if diagonal else flat @ flat.T
      factors[axis] = factors[axis] + square if b2 is None else b2 * factors[axis] + (1 - b2) * square
    m, v = b1 * m + (1 - b1) * g, 0.999 * v + 0.001 * g**2
    filtered = m / (1 - b1**t)
    step = filtered / (np.sqrt(v / (1 - 0.999**t)) + 1e-8) if norm == "adam" else filtered
    if t == start or (t > start and t % every == 0):
      corrected = [f / (1 if b2 is None else 1 - b2**t) for f in factors]
      roots = [(f + 1e-12) ** -0.5 if diagonal else inverse_root(f, 2 * whole.ndim) for f in corrected]
    direction = step
    if t >= start:
      direction = filtered
      for axis, root in enumerate(roots):
        times = root * direction if diagonal else np.tensordot(root, direction, (1, axis))
        direction = np.moveaxis(times, 0, axis)
      direction = direction * np.linalg.norm(step) / np.linalg.norm(direction)
    whole = whole - rate * (direction + decay * whole)
  return whole.reshape(param.shape)


SETTINGS = {
  "defaults": ({}, {}),
  "averages": (
    {"b1": 0.8, "b2": 0.9, "weight_decay": 0.1, "precondition_frequency": 6},
    {"b1": 0.8, "b2": 0.9, "decay": 0.1, "every": 6},
  ),
  "grafted to SGD": (
    {"magnitude": gx.shared("momentum"), "precondition_frequency": 4, "start_preconditioning_step": 7},
    {"norm": "sgd", "every": 4, "start": 7},
  ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_shampoo_is_metas_loop_for_fifty_steps(name, float64):
  options, settings = SETTINGS[name]
  rng = np.random.default_rng(0)
  params = {k: rng.normal(size=shape) for k, shape in SHAPES.items()}
  grads = {k: rng.normal(size=(50, *shape)) for k, shape in SHAPES.items()}
  got = after_fifty_steps(gx.shampoo(0.01, **options), params, grads)
  for key, param in params.items():
    wanted = shampoos(param, grads[key], **settings)
    np.testing.assert_allclose(got[key], wanted, rtol=1e-12, atol=1e-12, err_msg=key)


def test_until_it_has_roots_it_is_adam_and_then_as_long_as_adam(float64):
  params = {"w": jnp.zeros((4, 3))}
  optimizer, adam = gx.shampoo(0.1, precondition_frequency=3), gx.adam(0.1)
  state, plain = optimizer.init(params), adam.init(params)
  for step in range(4):
    g = {"w": jnp.asarray(np.random.default_rng(step).normal(size=(4, 3)))}
    u, state = optimizer.update(g, state, params)
    wanted, plain = adam.update(g, plain, params)
    np.testing.assert_allclose(jnp.linalg.norm(u["w"]), jnp.linalg.norm(wanted["w"]), rtol=1e-12)
    assert np.allclose(u["w"], wanted["w"], rtol=1e-12) == (step < 2)


def test_a_momentum_is_kept_once():
  state = gx.shampoo(0.1).init({"w": jnp.zeros((4, 3))})
  assert sum(leaf.shape == (4, 3) for leaf in jax.tree.leaves(state)) == 2  # with that of Adam's squares


def test_zero_gradients_leave_parameters_as_they_are():
  params = {"w": jnp.ones((4, 3)), "b": jnp.ones(3, jnp.bfloat16)}
  optimizer, moved = gx.shampoo(0.1, precondition_frequency=2), params
  state = optimizer.init(params)
  for _ in range(4):
    moved, state = optimizer.step(jax.tree.map(jnp.zeros_like, params), state, moved)
  jax.tree.map(np.testing.assert_array_equal, moved, params)


class Splus:
  """The authors' loop for one array: a basis of its own first, eigenvectors after the first and every k-th step."""

  def __init__(self, p, rate, b1=0.9, b2=0.999, ema=0.999, decay=1e-2, every=100):
    self.p, self.rate, self.b1, self.b2, self.decay, self.every = np.array(p), rate, b1, b2, decay, every
    self.ema, self.average, self.t, self.m = ema, np.zeros_like(self.p), 0, np.zeros_like(self.p)
    self.sides = [np.zeros((n, n)) for n in p.shape] if p.ndim == 2 else []
    self.bases = [np.eye(n) for n in p.shape] if p.ndim == 2 else []
    self.scale = 2 / sum(p.shape) if p.ndim == 2 else 1e-3

  def step(self, g):
    self.t += 1
    self.m = self.b1 * self.m + (1 - self.b1) * g
    u = self.m
    if self.bases:
      left, right = self.bases
      u = left @ np.sign(left.T @ self.m @ right) @ right.T
      self.sides = [self.b2 * s + (1 - self.b2) * x @ x.T for s, x in zip(self.sides, (g, g.T), strict=True)]
    else:
      u = np.sign(u)
    self.p = self.p - self.rate * self.scale * (u + self.decay * self.p)
    self.average = self.ema * self.average + (1 - self.ema) * self.p

  def refresh(self, bases):
    """Vectors of a multiple eigenvalue, such as 0, are not determined: those that were taken, if they are some."""
    for q, side in zip(bases, self.sides, strict=True):
      values = np.linalg.eigvalsh(side)[::-1]  # the order of the vectors makes no difference
      np.testing.assert_allclose(q.T @ q, np.eye(len(q)), atol=1e-12)
      np.testing.assert_allclose(q.T @ side @ q, np.diag(values), atol=1e-12)
    self.bases = bases


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 6), (4,), (), (2, 3, 2)])
@pytest.mark.parametrize(
  ("options", "settings"),
  [
    ({}, {}),
    (
      {"b1": 0.8, "b2": 0.9, "ema_rate": 0.9, "weight_decay": 0.2, "inverse_every": 7},
      {"b1": 0.8, "b2": 0.9, "ema": 0.9, "decay": 0.2, "every": 7},
    ),
  ],
  ids=["defaults", "options"],
)
def test_splus_is_its_authors_loop_for_fifty_steps(shape, options, settings, float64):
  rng = np.random.default_rng(0)
  params = jnp.asarray(rng.normal(size=shape))
  optimizer, reference = gx.splus(0.1, **options), Splus(params, 0.1, **settings)
  state, step = optimizer.init(params), jax.jit(optimizer.step)
  for _ in range(50):
    g = rng.normal(size=shape) + 0.3 * np.asarray(params)
    params, state = step(jnp.asarray(g), state, params)
    reference.step(g)
    if len(shape) == 2 and (reference.t == 1 or reference.t % reference.every == 0):
      basis = state["route_matrices"]["matrices"]["scale_by_splus"]["body"]["in_exact_eigenbasis"]["basis"]
      reference.refresh([np.asarray(q) for q in jax.tree.leaves(basis)])
    np.testing.assert_allclose(params, reference.p, rtol=0, atol=1e-12)
  corrected = reference.average / (1 - reference.ema**50)
  np.testing.assert_allclose(gx.averaged(state), corrected, rtol=0, atol=1e-12)


class KlShampoo:
  """The authors' loop for one matrix, in one precision."""

  def __init__(self, p, rate, b1=0.9, b2=0.98, eps=1e-8, decay=0.01, every=10):
    self.p, self.rate, self.b1, self.b2, self.eps = np.array(p), rate, b1, b2, eps
    self.decay, self.every, self.t, self.m = decay, every, 0, np.zeros_like(self.p)
    self.squares, self.bases = [np.zeros((n, n)) for n in p.shape], []
    self.inverse_roots = [np.full(n, 1 / np.sqrt(0.1)) for n in p.shape]

  def gather(self, index, square):
    mixed = (1 - self.b2) / (self.p.size / self.p.shape[index])
    self.squares[index] = self.b2 * self.squares[index] + mixed * square

  def begin(self, g, bases):
    """Vectors of a multiple eigenvalue, such as 0, are not determined: those that were taken, if they are some."""
    self.gather(0, g @ g.T)
    self.gather(1, g.T @ g)
    for q, square in zip(bases, self.squares, strict=True):
      np.testing.assert_allclose(q.T @ q, np.eye(len(q)), atol=1e-12)
      np.testing.assert_allclose(q.T @ square @ q, np.diag(np.linalg.eigvalsh(square)[::-1]), atol=1e-12)
    self.bases = bases

  def step(self, g):
    self.t += 1
    self.m = self.b1 * self.m + (1 - self.b1) * g
    left, right = self.bases
    inverse = np.outer(*self.inverse_roots)
    inverse = inverse / (1 + inverse * self.eps)
    u = left @ (left.T @ self.m @ right * inverse) @ right.T
    half = (right.T @ g.T) * self.inverse_roots[1][:, None]
    self.gather(0, half.T @ half)
    half = (left.T @ g) * self.inverse_roots[0][:, None]
    self.gather(1, half.T @ half)
    inside = left.T @ g @ right
    diagonals = [
      np.mean((inside * self.inverse_roots[1][None]) ** 2, axis=1),
      np.mean((inside * self.inverse_roots[0][:, None]) ** 2, axis=0),
    ]
    for i, diagonal in enumerate(diagonals):
      values = self.b2 / self.inverse_roots[i] ** 2 + (1 - self.b2) * diagonal
      self.inverse_roots[i] = np.minimum(1 / np.sqrt(values), max(10, min(len(values), 4000)))
    if self.t % self.every == 0:
      self.bases = [np.linalg.qr(s @ q)[0] for s, q in zip(self.squares, self.bases, strict=True)]
    self.p = self.p - self.rate * u
    self.p = self.p - self.rate * self.decay * self.p


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 6), (1, 4), (4, 1)])
@pytest.mark.parametrize(
  ("options", "settings"),
  [
    ({}, {}),
    (
      {"b1": 0.8, "b2": 0.9, "eps": 0.01, "weight_decay": 0.2, "precondition_frequency": 7},
      {"b1": 0.8, "b2": 0.9, "eps": 0.01, "decay": 0.2, "every": 7},
    ),
  ],
  ids=["defaults", "options"],
)
def test_kl_shampoo_is_its_authors_loop_for_fifty_steps(shape, options, settings, float64):
  rng = np.random.default_rng(0)
  params = jnp.asarray(rng.normal(size=shape))
  optimizer, reference = gx.kl_shampoo(0.01, **options), KlShampoo(params, 0.01, **settings)
  state, step = optimizer.init(params), jax.jit(optimizer.step)
  for count in range(51):
    g = rng.normal(size=shape) + 0.3 * np.asarray(params)
    params, state = step(jnp.asarray(g), state, params)
    if count:
      reference.step(g)
    else:
      kept = state["kl_shampoo"]["matrices"]["scale_by_kl_shampoo"]
      reference.begin(g, [np.asarray(kept["left_basis"]), np.asarray(kept["right_basis"])])
    np.testing.assert_allclose(params, reference.p, rtol=0, atol=1e-12)


def test_what_is_no_matrix_goes_to_others_and_views_are_matrices_too():
  params = {"b": jnp.zeros(3), "stack": jnp.zeros((2, 3, 3)), "w": jnp.zeros((3, 3))}
  for optimizer in (
    gx.kl_shampoo(0.1, others=gx.sgd(0.5), matrix_view={"stack": "l i o -> l i o", "w": None}),
    gx.splus(0.1, others=gx.sgd(0.5), matrix_view={"stack": "l i o -> l i o", "w": None}),
  ):
    state, moved = optimizer.init(params), params
    for _ in range(2):
      moved, state = optimizer.step(jax.tree.map(jnp.ones_like, params), state, moved)
    np.testing.assert_array_equal(moved["b"], -1.0)
    np.testing.assert_array_equal(moved["w"], -1.0)
    assert np.all((moved["stack"] < 0) & (moved["stack"] > -1))
