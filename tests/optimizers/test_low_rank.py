"""Dion, APOLLO and Fira: their authors' rules as loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

SHAPES = {"wide": (3, 5), "tall": (6, 2), "square": (4, 4), "row": (1, 4), "column": (4, 1), "bias": (5,)}


def problem(seed=0):
  rng = np.random.default_rng(seed)
  params = {k: rng.normal(size=shape) for k, shape in SHAPES.items()}
  return params, {k: rng.normal(size=(50, *shape)) for k, shape in SHAPES.items()}


def after_fifty_steps(optimizer, params, grads):
  start = {k: jnp.asarray(p) for k, p in params.items()}
  body = lambda carry, g: (optimizer.step(g, carry[1], carry[0]), None)
  run = jax.jit(lambda: jax.lax.scan(body, (start, optimizer.init(start)), grads)[0][0])
  return run()


def adamws(param, grads, rate, decay):
  first, second = np.zeros_like(param), np.zeros_like(param)
  for t, g in enumerate(grads, 1):
    first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
    direction = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    param = param - rate * (direction + decay * param)
  return param


def dions(param, grads, basis, rate, mu, decay):
  """The authors' plain code for one matrix whose rows are outputs."""
  momentum, q = np.zeros_like(param), basis
  for g in grads:
    momentum = momentum + g
    p, _ = np.linalg.qr(momentum @ q)
    r = momentum.T @ p
    momentum = momentum - (1 - mu) * p @ r.T
    q = r / (np.linalg.norm(r, axis=0, keepdims=True) + 1e-8)
    fan_out, fan_in = param.shape
    param = param * (1 - rate * decay) - rate * (fan_out / fan_in) ** 0.5 * p @ q.T
  return param


@pytest.mark.parametrize("options", [{}, {"rank": 2, "decay": 0.8, "weight_decay": 0.1}], ids=["defaults", "options"])
def test_dion_is_its_authors_loop_for_fifty_steps(options, float64):
  params, grads = problem()
  optimizer = gx.dion(0.01, **options)
  got = after_fifty_steps(optimizer, params, grads)
  bases = optimizer.init(jax.tree.map(jnp.asarray, params))["dion"]["matrices"]["scale_by_dion"]["basis"]
  decay = options.get("weight_decay", 0.01)
  for key, param in params.items():
    if param.ndim != 2:
      wanted = adamws(param, grads[key], 0.01, decay)
    else:  # an output is a row there, and a column here
      basis, mu = np.asarray(bases[key]), options.get("decay", 0.95)
      wanted = dions(param.T, np.swapaxes(grads[key], 1, 2), basis, 0.01, mu, decay).T
    np.testing.assert_allclose(got[key], wanted, rtol=1e-12, atol=1e-12, err_msg=key)


class LowRankAdam:
  """What APOLLO's and Fira's code have in common, for one of torch's weights: Adam of coordinates, and their factor."""

  def __init__(self, per="channel", b1=0.9, b2=0.999):
    self.first, self.second, self.last, self.per, self.b1, self.b2 = 0.0, 0.0, None, per, b1, b2

  def adam(self, grad, t):
    """Adam's direction without corrections, and the correction of its step."""
    self.first = self.b1 * self.first + (1 - self.b1) * grad
    self.second = self.b2 * self.second + (1 - self.b2) * grad * grad
    return self.first / (np.sqrt(self.second) + 1e-6), np.sqrt(1 - self.b2**t) / (1 - self.b1**t)

  def factor(self, norm_grad, grad):
    if self.per == "tensor":
      return np.linalg.norm(norm_grad) / (np.linalg.norm(grad) + 1e-8)
    axis = 0 if norm_grad.shape[0] < norm_grad.shape[1] else 1
    factor = np.linalg.norm(norm_grad, axis=axis) / (np.linalg.norm(grad, axis=axis) + 1e-8)
    return factor[:, None] if axis == 1 else factor

  def limited(self, scaled):
    norm = np.linalg.norm(scaled)
    limiter = 1.0 if self.last is None else max(norm / (self.last + 1e-8), 1.01) / 1.01
    self.last = norm / limiter
    return scaled / limiter


def apollos(param, grads, rate, bases, per, scale, decay, **decays):
  """The authors' loop, but that the decay is of the parameters before the step."""
  state = LowRankAdam(per, **decays)
  for t, (g, basis) in enumerate(zip(grads, bases, strict=True), 1):
    low = g @ basis if param.shape[0] >= param.shape[1] else basis.T @ g
    norm_grad, correction = state.adam(low, t)
    scaled = state.limited(g * state.factor(norm_grad, low)) * np.sqrt(scale)
    param = param - rate * (correction * scaled + decay * param)
  return param


def firas(param, grads, rate, rank, gap, scale, decay, **decays):
  """The authors' loop, but for the decay, and that what is left out is so whatever the scale."""
  state, is_right, basis = LowRankAdam(**decays), param.shape[0] >= param.shape[1], np.empty(0)
  for t, g in enumerate(grads, 1):
    if (t - 1) % gap == 0:
      left, _, right = np.linalg.svd(g.T, full_matrices=False)  # of the kernel: moments go by the signs of vectors
      basis = left[:, :rank] if is_right else right[:rank].T
    low = g @ basis if is_right else basis.T @ g
    back = lambda x, basis=basis: x @ basis.T if is_right else basis @ x
    norm_grad, correction = state.adam(low, t)
    rest = state.limited((g - back(low)) * state.factor(norm_grad, low))
    param = param - rate * (correction * (scale * back(norm_grad) + rest) + decay * param)
  return param


def drawn(place, shape, rank, gap):
  """The bases of fifty steps, as `in_low_rank` says that it draws them, for a kernel of this shape."""
  short = min(shape)
  rank = min(rank, short)

  def at(step):
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), step - step % gap), place)
    return np.asarray(jax.random.normal(key, (short, rank), float)) / np.sqrt(rank)

  return [at(step) for step in range(50)]


LOW_RANK = {
  "apollo": ({}, {"rank": 2, "update_proj_gap": 7, "scale": 0.5, "b1": 0.8, "b2": 0.95, "weight_decay": 0.1}),
  "apollo_mini": ({}, {"update_proj_gap": 7, "scale": 4.0, "b1": 0.8, "weight_decay": 0.1}),
  "fira": ({}, {"rank": 2, "update_proj_gap": 7, "scale": 0.5, "b1": 0.8, "b2": 0.95, "weight_decay": 0.1}),
}


@pytest.mark.parametrize(("name", "which"), [(name, which) for name in LOW_RANK for which in (0, 1)])
def test_apollo_and_fira_are_their_authors_loops_for_fifty_steps(name, which, float64):
  params, grads = problem(1)
  options = LOW_RANK[name][which]
  got = after_fifty_steps(getattr(gx, name)(0.01, **options), params, grads)
  decays = {b: options[b] for b in ("b1", "b2") if b in options}
  gap, decay = options.get("update_proj_gap", 200), options.get("weight_decay", 0.0)
  matrices = sorted(key for key, shape in SHAPES.items() if len(shape) == 2)
  for key, param in params.items():
    if param.ndim != 2:
      wanted = adamws(param, grads[key], 0.01, decay)
    else:  # torch's weight is the transposed of Flax's kernel
      weight, own = param.T, np.swapaxes(grads[key], 1, 2)
      if name == "fira":
        wanted = firas(weight, own, 0.01, options.get("rank", 128), gap, options.get("scale", 1.0), decay, **decays).T
      else:
        mini = name == "apollo_mini"
        bases = drawn(matrices.index(key), param.shape, 1 if mini else options.get("rank", 256), gap)
        scale = options.get("scale", 128.0 if mini else 1.0)
        per = "tensor" if mini else "channel"
        wanted = apollos(weight, own, 0.01, bases, per, scale, decay, **decays).T
    np.testing.assert_allclose(got[key], wanted, rtol=1e-12, atol=1e-12, err_msg=key)


def test_what_apollo_and_fira_keep_is_little():
  kernel = {"w": jnp.zeros((64, 128))}

  def kept(optimizer):
    return sum(leaf.size for leaf in jax.tree.leaves(optimizer.init(kernel)) if leaf.size > 1)

  assert kept(gx.apollo(0.1, rank=4)) == 2 * 4 * 128
  assert kept(gx.apollo_mini(0.1)) == 2 * 128
  assert kept(gx.fira(0.1, rank=4)) == 4 * 64 + 2 * 4 * 128


@pytest.mark.parametrize("name", ["dion", *LOW_RANK])
def test_zeros_stay_and_gradients_of_rank_one_in_bfloat16_stay_finite(name):
  params = {"w": jnp.ones((4, 3), jnp.bfloat16), "row": jnp.ones((1, 4), jnp.bfloat16)}
  optimizer = getattr(gx, name)(0.1, weight_decay=0.0)
  zeros = jax.tree.map(jnp.zeros_like, params)
  step = jax.jit(optimizer.step)
  same, state = step(zeros, optimizer.init(params), params)
  jax.tree.map(np.testing.assert_array_equal, same, params)
  grads = {"w": jnp.outer(jnp.arange(4.0), jnp.asarray([1.0, -2.0, 0.5])), "row": jnp.ones((1, 4))}
  for _ in range(3):
    params, state = step(jax.tree.map(lambda g: g.astype(jnp.bfloat16), grads), state, params)
  moved = jax.tree.map(lambda p, q: np.asarray(p - q, np.float32), same, params)
  assert all(np.all(np.isfinite(m)) and np.abs(m).max() > 0.01 for m in jax.tree.leaves(moved))
  assert np.sum(moved["w"] * np.asarray(grads["w"])) > 0
