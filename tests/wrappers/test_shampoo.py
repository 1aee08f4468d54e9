"""Updates multiplied by inverse roots of their squares, against NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

SHAPES = {
  "square": (4, 4),
  "tall": (5, 3),
  "wide": (3, 7),
  "row": (1, 4),
  "column": (4, 1),
  "cube": (2, 3, 4),
  "vector": (3,),
  "number": (),
  "none": (0, 3),
}


def inverse_root(a, order, eps):
  """Of a symmetric matrix, by its eigenvalues, as Meta's: those below 0 by rounding lift all others."""
  values, vectors = np.linalg.eigh(a)
  values = values - min(values.min(), 0.0) + eps
  return vectors * values ** (-1 / order) @ vectors.T


class Block:
  """Meta's Shampoo for one block: `update` gathers, `refresh` takes roots, `times` applies them."""

  def __init__(self, shape, b, eps):
    self.b, self.eps, self.t = b, eps, 0
    self.factors = [np.zeros((n, n)) for n in shape]
    self.roots = [np.zeros((n, n)) for n in shape]

  def update(self, g):
    self.t += 1
    for axis, factor in enumerate(self.factors):
      flat = np.moveaxis(g, axis, 0).reshape(g.shape[axis], -1)
      square = flat @ flat.T
      self.factors[axis] = factor + square if self.b is None else self.b * factor + (1 - self.b) * square

  def refresh(self):
    correction = 1 if self.b is None else 1 - self.b**self.t
    self.roots = [inverse_root(f / correction, 2 * len(self.factors), self.eps) for f in self.factors]

  def times(self, m):
    for axis, q in enumerate(self.roots):
      m = np.moveaxis(np.tensordot(q, m, (1, axis)), 0, axis)
    return m


def places(shape, size):
  """The slices of each block: of about equal lengths, of a vector its elements."""
  limit = size if len(shape) > 1 else 1
  lengths = [-(-n // -(-n // limit)) if n else 1 for n in shape]
  cuts = [[slice(i, i + step) for i in range(0, n, step)] for n, step in zip(shape, lengths, strict=True)]
  return list(itertools.product(*cuts))


class Reference:
  """Meta's Shampoo for one array, of a momentum, without grafting."""

  def __init__(self, shape, *, b1=0.9, b2=None, eps=1e-12, every=1, start=1, size=1024):
    self.whole = shape or (1,)
    self.b1, self.every, self.start, self.t = b1, every, start, 0
    self.places = places(self.whole, size)
    self.blocks = [Block(np.zeros(self.whole)[place].shape, b2, eps) for place in self.places]
    self.m = np.zeros(self.whole)

  def __call__(self, g):
    shape, g = g.shape, g.reshape(self.whole)
    self.t += 1
    self.m = self.b1 * self.m + (1 - self.b1) * g
    out = np.zeros_like(g)
    for place, block in zip(self.places, self.blocks, strict=True):
      block.update(g[place])
      if self.t == self.start or (self.t > self.start and self.t % self.every == 0):
        block.refresh()
      out[place] = block.times(self.m[place] / (1 - self.b1**self.t))
    return out.reshape(shape)


def gradients(step, shapes=SHAPES):
  rng = np.random.default_rng(step)
  return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def in_double(shapes=SHAPES):
  return {name: jnp.zeros(shape) for name, shape in shapes.items()}


# Before there are as many gradients as directions, eps and rounding are all that some of these have.
SETTINGS = {
  "defaults": {},
  "no momentum, at every step": {"b1": 0.0, "every": 1, "start": 8},
  "averages": {"b2": 0.9, "every": 3, "start": 8, "eps": 1e-8},
  "blocks": {"size": 3, "every": 2, "start": 8},
  "blocks of averages": {"size": 2, "b2": 0.9, "every": 4, "start": 6, "eps": 1e-8},
  "single elements": {"size": 1, "every": 1},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_core_is_metas_loop_for_fifty_steps(name, float64):
  given = {"b1": 0.9, "b2": None, "eps": 1e-12, "every": 10, "start": None, "size": 1024, **SETTINGS[name]}
  b1, b2, eps, every, start, size = given.values()
  transform = gx.scale_by_shampoo(b1, b2, eps, every, start, block_size=size)
  state, update = transform.init(in_double()), jax.jit(transform.update)
  kind = {"b1": b1, "b2": b2, "eps": eps, "every": every, "start": every if start is None else start, "size": size}
  references = {leaf: Reference(shape, **kind) for leaf, shape in SHAPES.items()}
  for step in range(50):
    grads = gradients(step)
    updates, state = update(grads, state)
    for leaf, g in grads.items():
      wanted = references[leaf](g)
      np.testing.assert_allclose(updates[leaf], wanted, rtol=1e-12, atol=1e-12, err_msg=f"{leaf} at {step}")


def test_of_vectors_it_is_adagrad(float64):
  transform, adagrad = gx.precondition_by_factors(gx.identity(), update_every=1), gx.scale_by_rss(0.0, 0.0)
  shapes = {"v": (5,), "s": ()}
  state, plain = transform.init(in_double(shapes)), adagrad.init(in_double(shapes))
  for step in range(4):
    u, state = transform.update(gradients(step, shapes), state)
    wanted, plain = adagrad.update(gradients(step, shapes), plain)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), u, wanted)


def test_one_gradient_becomes_its_orthogonal_factor(float64):
  """After one step, u vᴴ of the singular vectors: what Muon approximates."""
  g = gradients(0)["square"]
  transform = gx.precondition_by_factors(gx.identity(), update_every=1)
  left, _, right = np.linalg.svd(g)
  np.testing.assert_allclose(transform.update(g, transform.init(g))[0], left @ right, atol=1e-9)


def test_stacked_layers_are_as_many_matrices(float64):
  stack = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 5)))
  transform = gx.scale_by_shampoo(0.9, 0.9, 1e-8, 1, block_size=3, axes=2)
  state, own = transform.init(stack), [transform.init(u) for u in stack.reshape(6, 4, 5)]
  for factor in (1.0, -2.0):
    together, state = transform.update(jnp.sin(factor * stack), state)
    for i, u in enumerate(jnp.sin(factor * stack).reshape(6, 4, 5)):
      alone, own[i] = transform.update(u, own[i])
      np.testing.assert_allclose(together.reshape(6, 4, 5)[i], alone, atol=1e-12)


def test_squares_are_of_the_updates_and_roots_are_for_what_the_inner_transform_makes_of_them(float64):
  """Any transform may stand inside, ours or Optax's: here a constant, which is whitened by the updates' squares."""
  g = jnp.asarray(gradients(0)["tall"])
  for inner in (gx.set_to_zero(), optax.set_to_zero()):
    constant = gx.chain(inner, gx.add_constant(1.0))
    transform = gx.precondition_by_factors(constant, 0.9, 1e-3, 1)
    u, _ = transform.update(g, transform.init(g))
    wanted = inverse_root(g @ g.T, 4, 1e-3) @ np.ones((5, 3)) @ inverse_root(g.T @ g, 4, 1e-3)
    np.testing.assert_allclose(u, wanted, rtol=1e-11)


def test_the_program_has_one_decomposition_for_each_size_and_none_outside_of_the_loop():
  shapes = {"a": (4, 4), "b": (4, 8), "c": (8, 4), "d": (4, 4, 2), "v": (9,)}
  transform = gx.scale_by_shampoo(block_size=4)
  params = jax.tree.map(jnp.float32, in_double(shapes))
  program = jax.make_jaxpr(transform.update)(params, transform.init(params))
  loops = [equation for equation in program.eqns if equation.primitive.name == "custom_jvp_call"]
  inside = str([equation.params for equation in loops])
  assert inside.count(" eigh[") == 2  # of 4 × 4 and of 2 × 2
  assert str(program).count(" eigh[") == 2
  assert "12,4,4" in str(program)  # of a 2, of b and c 4 each, of d 2


def test_before_the_start_it_emits_zero_and_between_refreshes_the_roots_stay():
  transform, params = gx.scale_by_shampoo(precondition_frequency=3, start_preconditioning_step=4), jnp.ones((2, 3))
  state, roots, sizes = transform.init(params), [], []
  for step in range(7):
    u, state = transform.update(jnp.asarray(gradients(step, {"w": (2, 3)})["w"], jnp.float32), state)
    sizes.append(float(jnp.linalg.norm(u)))
    roots.append(np.asarray(state["precondition_by_factors"]["roots"][0]))
  assert [size > 0 for size in sizes] == [False, False, False, True, True, True, True]
  assert [bool(np.all(roots[i] == roots[i + 1])) for i in range(6)] == [True, True, False, True, False, True]


def test_the_layout_names_the_factors_of_each_array():
  params = jax.tree.map(jnp.float32, in_double())
  transform = gx.scale_by_shampoo(block_size=4)
  state, layout = transform.init(params), gx.layout(transform, params)
  wide = layout["precondition_by_factors"]["factors"]["wide"]
  assert [(leaf.kind, leaf.parameter, leaf.shape) for leaf in wide] == [
    ("factor", "wide", (2, 3, 3)),
    ("factor", "wide", (2, 4, 4)),
  ]
  assert jax.tree.structure(layout) == jax.tree.structure(state)
  assert state["precondition_by_factors"]["factors"]["none"] == ()
  scheduled = gx.scale_by_shampoo(b2=optax.constant_schedule(0.9))
  correction = gx.layout(scheduled, params)["precondition_by_factors"]["eigenvalues"]["bias_correction"]
  assert correction["correction"].kind == "scalar"


DEGENERATE = {
  "zeros": lambda rng: np.zeros((4, 3)),
  "of rank 1": lambda rng: np.outer(np.arange(1.0, 5.0), np.arange(1.0, 4.0)) * rng.normal(),
  "tiny": lambda rng: 1e-18 * rng.normal(size=(4, 3)),
  "huge": lambda rng: 1e15 * rng.normal(size=(4, 3)),
  "ill-conditioned": lambda rng: rng.normal(size=(4, 3)) * [1.0, 1e-5, 1e-10],
  "a row": lambda rng: rng.normal(size=(1, 5)),
  "a column": lambda rng: rng.normal(size=(5, 1)),
  "a number": lambda rng: rng.normal(),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_updates_are_finite_whatever_the_gradients(name, dtype):
  transform, rng = gx.scale_by_shampoo(0.9, precondition_frequency=1, block_size=3), np.random.default_rng(0)
  state, update = transform.init(jnp.asarray(DEGENERATE[name](rng), dtype)), jax.jit(transform.update)
  for _ in range(3):
    u, state = update(jnp.asarray(DEGENERATE[name](rng), dtype), state)
    assert u.dtype == dtype
    assert np.all(np.isfinite(np.asarray(u).astype("complex64")))
    assert name != "zeros" or not np.any(u)


def test_complex_matrices_become_unitary(float64):
  rng = np.random.default_rng(0)
  g = jnp.asarray(rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)))
  transform = gx.precondition_by_factors(gx.identity(), update_every=1)
  u, _ = transform.update(g, transform.init(g))
  np.testing.assert_allclose(u.mT.conj() @ u, np.eye(3), atol=1e-8)
  np.testing.assert_allclose(u.mT.conj() @ g, (u.mT.conj() @ g).mT.conj(), atol=1e-8)  # the polar factor


def test_a_shared_value_may_be_what_is_multiplied(float64):
  g = jnp.asarray(gradients(0)["tall"])
  body = gx.precondition_by_factors(gx.shared("m"), 0.9, 1e-3, 1)
  transform = gx.share(body, m=gx.scale(2.0))
  plain = gx.precondition_by_factors(gx.scale(2.0), 0.9, 1e-3, 1)
  np.testing.assert_allclose(transform.update(g, transform.init(g))[0], plain.update(g, plain.init(g))[0], atol=1e-14)


@pytest.mark.parametrize(
  ("name", "value", "error"),
  [
    ("decay", 1.0, ValueError),
    ("eps", 0.0, ValueError),
    ("update_every", 0, ValueError),
    ("start", 0, ValueError),
    ("block_size", 0, ValueError),
    ("axes", 0, ValueError),
    ("axes", 2.0, TypeError),
  ],
)
def test_arguments_that_cannot_be_are_refused(name, value, error):
  with pytest.raises(error, match=rf"`precondition_by_factors\({name}=...\)` must be "):
    gx.precondition_by_factors(gx.identity(), **{name: value})
