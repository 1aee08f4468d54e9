"""Muon and its kin, and SOAP: by hand, and their authors' rules as loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

PARAMS = {"kernel": jnp.zeros((2, 8)), "bias": jnp.zeros(8), "stack": jnp.zeros((2, 2, 2))}


def test_matrices_move_by_about_orthogonal_steps_and_all_else_as_adam():
  grads = {k: jnp.asarray(np.random.default_rng(0).normal(size=p.shape), jnp.float32) for k, p in PARAMS.items()}
  optimizer, others = gx.muon(0.1), gx.nadam(0.1)
  new, state = optimizer.step(grads, optimizer.init(PARAMS), PARAMS)
  values = jnp.linalg.svd(new["kernel"], compute_uv=False)
  assert jnp.all((values > 2 * 0.067) & (values < 2 * 0.121))  # √(8 / 2) = 2
  adam, _ = others.step(grads, others.init(PARAMS), PARAMS)
  np.testing.assert_allclose(new["bias"], adam["bias"], rtol=1e-6)
  np.testing.assert_allclose(new["stack"], adam["stack"], rtol=1e-6)
  kept = state["muon"]  # one momentum of the matrix, two moments of all else
  assert [leaf.shape for leaf in jax.tree.leaves(kept["matrices"])] == [(2, 8)]
  assert sorted(leaf.shape for leaf in jax.tree.leaves(kept["others"])) == [(2, 2, 2), (2, 2, 2), (8,), (8,)]


def test_each_kind_of_leaf_has_its_own_weight_decay():
  params = jax.tree.map(jnp.ones_like, PARAMS)
  zeros = jax.tree.map(jnp.zeros_like, PARAMS)
  optimizer = gx.muon(0.5, weight_decay=0.2, adam_weight_decay=0.4)
  new, _ = optimizer.step(zeros, optimizer.init(params), params)
  np.testing.assert_allclose(new["kernel"], 0.9, rtol=1e-6)
  np.testing.assert_allclose(new["bias"], 0.8, rtol=1e-6)


def orthogonal(x):
  """Jordan's five steps, of one matrix."""
  x = x / (np.linalg.norm(x) + 1e-7)
  wide = x if x.shape[0] <= x.shape[1] else x.T
  for _ in range(5):
    gram = wide @ wide.T
    wide = 3.4445 * wide + (-4.7750 * gram + 2.0315 * gram @ gram) @ wide
  return wide if x.shape[0] <= x.shape[1] else wide.T


def normuons(param, grads, rate, beta, b2, decay):
  """The authors' loop for one matrix whose neurons are rows, with their products in float64."""
  momentum, second = np.zeros_like(param), np.zeros((len(param), 1))
  for g in grads:
    momentum = momentum + (1 - beta) * (g - momentum)
    update = orthogonal(g + beta * (momentum - g))
    norm = np.linalg.norm(update)
    second = second + (1 - b2) * (np.mean(update * update, axis=-1, keepdims=True) - second)
    update = update / (np.sqrt(second) + 1e-10)
    update = update * norm / (np.linalg.norm(update) + 1e-10) * max(1, param.shape[0] / param.shape[1]) ** 0.5
    param = param * (1 - rate * decay) - rate * update
  return param


def adamuons(param, grads, rate, beta, b2, decay):
  """Algorithm 1 of AdaMuon for one matrix."""
  momentum, second = np.zeros_like(param), np.zeros_like(param)
  for g in grads:
    momentum = beta * momentum + g
    update = orthogonal(np.sign(momentum))
    second = b2 * second + (1 - b2) * update * update
    update = update / (np.sqrt(second) + 1e-8)
    update = update * 0.2 * param.size**0.5 / (np.linalg.norm(update) + 1e-8)
    param = param - rate * (update + decay * param)
  return param


def adamws(param, grads, rate, decay):
  first, second = np.zeros_like(param), np.zeros_like(param)
  for t, g in enumerate(grads, 1):
    first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
    direction = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    param = param - rate * (direction + decay * param)
  return param


def after_fifty_steps(optimizer, params, grads):
  start = {k: jnp.asarray(p) for k, p in params.items()}
  body = lambda carry, g: (optimizer.step(g, carry[1], carry[0]), None)
  run = jax.jit(lambda: jax.lax.scan(body, (start, optimizer.init(start)), grads)[0][0])
  return run()


SHAPES = {
  "wide": (3, 5),
  "tall": (6, 2),
  "square": (4, 4),
  "row": (1, 4),
  "column": (4, 1),
  "bias": (5,),
  "w": (2, 3, 2),
}
KIN = {
  "normuon": lambda rate, **options: gx.normuon(rate, **options),
  "adamuon": lambda rate, **options: gx.adamuon(rate, **options),
}
SETTINGS = [{}, {"beta": 0.8, "b2": 0.6, "weight_decay": 0.1}]


@pytest.mark.parametrize("options", SETTINGS, ids=["defaults", "options"])
@pytest.mark.parametrize("name", KIN)
def test_they_are_their_authors_loops_for_fifty_steps(name, options, float64):
  rng = np.random.default_rng(0)
  params = {k: rng.normal(size=shape) for k, shape in SHAPES.items()}
  grads = {k: rng.normal(size=(50, *shape)) for k, shape in SHAPES.items()}
  got = after_fifty_steps(KIN[name](0.01, **options), params, grads)
  settings = 0.01, options.get("beta", 0.95), options.get("b2", 0.95), options.get("weight_decay", 0.0)
  for key, param in params.items():
    if param.ndim != 2:
      wanted = adamws(param, grads[key], 0.01, settings[-1])
    elif name == "adamuon":
      wanted = adamuons(param, grads[key], *settings)
    else:  # a neuron is a row there, and a column here
      wanted = normuons(param.T, np.swapaxes(grads[key], 1, 2), *settings).T
    np.testing.assert_allclose(got[key], wanted, rtol=1e-12, atol=1e-12, err_msg=key)


def test_with_neurons_in_rows_normuon_is_an_expression(float64):
  rng = np.random.default_rng(1)
  param, grads = rng.normal(size=(6, 2)), rng.normal(size=(50, 6, 2))
  core = gx.chain(gx.scale_by_normuon(lines="columns"), gx.scale_by_shape("rows_by_columns"))
  optimizer = gx.chain(core, gx.add_decayed_weights(0.1), gx.scale_by_learning_rate(0.01))
  got = after_fifty_steps(optimizer, {"w": param}, {"w": grads})["w"]
  np.testing.assert_allclose(got, normuons(param, grads, 0.01, 0.95, 0.95, 0.1), rtol=1e-12, atol=1e-12)


def test_normuon_keeps_one_number_for_each_neuron_and_the_norm_of_the_orthogonal_matrix():
  state = gx.normuon(0.1).init(PARAMS)
  shapes = [leaf.shape for leaf in jax.tree.leaves(state["normuon"]["matrices"])]
  assert sorted(shapes) == [(1, 8), (2, 8)]
  u = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8)), jnp.float32)
  core = gx.scale_by_normuon()
  got, _ = core.update(u, core.init(u))
  np.testing.assert_allclose(jnp.linalg.norm(got), np.linalg.norm(orthogonal(np.asarray(u))), rtol=1e-5)
  neurons = jnp.linalg.norm(got, axis=0)  # after one step all have the same length
  np.testing.assert_allclose(neurons, neurons[0], rtol=1e-5)


@pytest.mark.parametrize("name", KIN)
def test_all_else_may_have_an_optimizer_of_its_own_and_zeros_stay(name):
  optimizer = KIN[name](0.1, others=gx.sgd(0.5))
  zeros = jax.tree.map(jnp.zeros_like, PARAMS)
  grads = {**zeros, "bias": jnp.ones(8)}
  new, _ = optimizer.step(grads, optimizer.init(PARAMS), PARAMS)
  np.testing.assert_array_equal(new["bias"], -0.5)
  np.testing.assert_array_equal(new["kernel"], 0)


def turned(x, bases, *, back=False):
  """An array in bases, one for each axis or None, or out of them again."""
  for axis, q in enumerate(bases):
    if q is not None:
      x = np.moveaxis(np.tensordot(x, q.T if back else q, (axis, 0)), -1, axis)
  return x


class Soap:
  """The authors' loop for one array: the vectors sorted anew at each refresh, the second moments with them."""

  def __init__(self, p, rate, decay, every, limit, b=0.95, eps=1e-8):
    self.p, self.rate, self.decay, self.every, self.b, self.eps = np.array(p), rate, decay, every, b, eps
    self.has_basis = [p.ndim > 1 and p.size > 0 and 1 < n <= limit for n in p.shape]
    self.factors = [np.zeros((n, n)) if has else None for n, has in zip(p.shape, self.has_basis, strict=True)]
    self.bases, self.m, self.v, self.t = [], np.zeros_like(self.p), np.zeros_like(self.p), 0

  def average(self, g):
    for axis, factor in enumerate(self.factors):
      if factor is not None:
        flat = np.moveaxis(g, axis, 0).reshape(g.shape[axis], -1)
        self.factors[axis] = self.b * factor + (1 - self.b) * flat @ flat.T

  def begin(self, g, eigenvectors):
    """Eigenvectors of a multiple eigenvalue are not determined: those that were taken, if they are some."""
    self.average(g)
    self.bases = [np.array(q) if q is not None else None for q in eigenvectors]
    for q, factor in zip(self.bases, self.factors, strict=True):
      if q is not None:
        values = np.linalg.eigvalsh(factor)[::-1]
        np.testing.assert_allclose(q.T @ q, np.eye(len(q)), atol=1e-12)
        np.testing.assert_allclose(q.T @ factor @ q, np.diag(values), atol=1e-12)

  def step(self, g):
    self.t += 1
    projected = turned(g, self.bases)
    self.m = self.b * self.m + (1 - self.b) * projected
    self.v = self.b * self.v + (1 - self.b) * projected**2
    size = self.rate * np.sqrt(1 - self.b**self.t) / (1 - self.b**self.t)
    self.p = self.p - size * turned(self.m / (np.sqrt(self.v) + self.eps), self.bases, back=True)
    self.p = self.p - self.rate * self.decay * self.p
    self.m = turned(self.m, self.bases, back=True)
    self.average(g)
    if self.t % self.every == 0:
      self.refresh()
    self.m = turned(self.m, self.bases)

  def refresh(self):
    for axis, (q, factor) in enumerate(zip(self.bases, self.factors, strict=True)):
      if q is not None:
        order = np.argsort(-np.diag(q.T @ factor @ q))
        self.v = np.take(self.v, order, axis=axis)
        self.bases[axis] = np.linalg.qr(factor @ q[:, order])[0]


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 3), (4, 1), (3, 7), (2, 3, 4), (3,), (), (0, 3)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_soap_is_the_authors_loop(shape, decay, float64):
  rng, limit = np.random.default_rng(0), 6
  params = jnp.asarray(rng.normal(size=shape))
  transform = gx.soap(0.01, weight_decay=decay, precondition_frequency=5, max_precond_dim=limit)
  reference = Soap(params, 0.01, decay, 5, limit)
  state, step = transform.init(params), jax.jit(transform.step)
  for count in range(51):
    g = rng.normal(size=shape) + 0.3 * np.asarray(params)
    params, state = step(jnp.asarray(g), state, params)
    if count:
      reference.step(g)
    else:
      own = iter(jax.tree.leaves(state["in_eigenbasis"]["basis"]))
      reference.begin(g, [next(own) if has else None for has in reference.has_basis])
    np.testing.assert_allclose(params, reference.p, rtol=0, atol=1e-10)


def test_the_coefficients_and_the_shape_factor_of_muon_may_be_others(float64):
  w = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4)))

  def moved(params, **options):
    optimizer = gx.muon(1.0, ns_coeffs="polar_express", ns_steps=8, **options)
    return optimizer.update({"w": params}, optimizer.init({"w": params}), {"w": params})[0]["w"]

  nearest = lambda x: -np.linalg.svd(x, full_matrices=False)[0] @ np.linalg.svd(x, full_matrices=False)[2]
  np.testing.assert_allclose(moved(w), np.sqrt(2) * nearest(w), atol=1e-6)
  np.testing.assert_allclose(moved(w, shape_factor="rows_by_columns"), nearest(w), atol=1e-6)
  np.testing.assert_allclose(moved(w.T, shape_factor="rows_by_columns"), np.sqrt(2) * nearest(w.T), atol=1e-6)
  step = moved(w, consistent_rms=0.2)
  np.testing.assert_allclose(np.sqrt(np.mean(step**2)), 0.2, rtol=1e-6)
