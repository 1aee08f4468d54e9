"""Transforms of arrays in the eigenbases of their averaged squares, against NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from examples import equations

import gradxform as gx

SHAPES = {
  "square": (4, 4),
  "tall": (5, 3),
  "row": (1, 3),
  "long": (3, 7),  # longer than the limit
  "cube": (2, 3, 4),
  "vector": (3,),
  "number": (),
  "none": (0, 3),
}
LIMIT = 6


def gradients(step, shapes=SHAPES):
  rng = np.random.default_rng(step)
  return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def along(x, matrices):
  """The array times the transpose of a matrix along each axis that has one."""
  for axis, matrix in enumerate(matrices):
    if matrix is not None:
      x = np.moveaxis(np.tensordot(x, matrix, (axis, 0)), -1, axis)
  return x


def unfolded(x, axis):
  return np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)


class Reference:
  """The authors' SOAP for one array, with an inner rule: sorted bases, sizes sorted along, directions turned."""

  def __init__(self, rule, b=0.95, every=10):
    self.rule, self.b, self.every, self.step = rule, b, every, 0
    self.kept: dict[str, Any] = {"directions": 0.0, "sizes": 0.0}
    self.bases: list[Any] = []
    self.factors: dict[int, Any] = {}

  def axes(self, shape):
    return [i for i, n in enumerate(shape) if len(shape) > 1 and 0 not in shape and 1 < n <= LIMIT]

  def __call__(self, g, basis_of_first):
    axes = self.axes(g.shape)
    update = None
    if self.step == 0:
      self.factors = {i: np.zeros((g.shape[i],) * 2) for i in axes}
    else:
      turned = along(g, self.bases)
      out = self.rule(turned, self.kept, self.step)
      update = along(out, [None if q is None else q.T for q in self.bases])
    for i in axes:
      self.factors[i] = self.b * self.factors[i] + (1 - self.b) * unfolded(g, i) @ unfolded(g, i).T
    if self.step == 0:
      # Where an eigenvalue is multiple, its vectors are not determined: those that were taken, once they are checked.
      self.bases = [np.asarray(basis_of_first[i]) if i in axes else None for i in range(g.ndim)]
      for i in axes:
        q, values = self.bases[i], np.linalg.eigvalsh(self.factors[i])[::-1]
        np.testing.assert_allclose(q.T @ q, np.eye(len(q)), atol=1e-12)
        np.testing.assert_allclose(q.T @ self.factors[i] @ q, np.diag(values), atol=1e-12)
    elif self.step % self.every == 0:
      self.refresh(axes)
    self.step += 1
    return np.zeros_like(g) if update is None else update

  def refresh(self, axes):
    back = [None if q is None else q.T for q in self.bases]
    straight = along(np.asarray(self.kept["directions"]), back) if axes else self.kept["directions"]
    for i in axes:
      q = self.bases[i]
      order = np.argsort(-np.diag(q.T @ self.factors[i] @ q))
      self.kept["sizes"] = np.take(self.kept["sizes"], order, axis=i) if np.ndim(self.kept["sizes"]) else 0.0
      self.bases[i] = np.linalg.qr(self.factors[i] @ q[:, order])[0]
    self.kept["directions"] = along(straight, self.bases) if axes else straight


def momentum(g, kept, t):
  del t
  kept["directions"] = 0.9 * kept["directions"] + g + np.zeros_like(g)
  return kept["directions"]


def rms(g, kept, t):
  del t
  kept["directions"] = np.zeros_like(g)
  kept["sizes"] = 0.9 * kept["sizes"] + 0.1 * g**2
  return g / np.sqrt(kept["sizes"] + 1e-8)


def adam(g, kept, t):
  kept["directions"] = 0.9 * kept["directions"] + 0.1 * g
  kept["sizes"] = 0.99 * kept["sizes"] + 0.01 * g**2
  return kept["directions"] / (1 - 0.9**t) / (np.sqrt(kept["sizes"] / (1 - 0.99**t)) + 1e-8)


INNER = {
  "momentum": (gx.trace(0.9), momentum),
  "rms": (gx.scale_by_rms(0.9, 1e-8), rms),
  "adam": (gx.scale_by_adam(0.9, 0.99), adam),
  "adam in a chain in primitives": (
    gx.chain(
      gx.divide(
        gx.chain(gx.moving_average(0.9), gx.bias_correction(0.9)),
        by=gx.chain(gx.square(), gx.moving_average(0.99), gx.bias_correction(0.99), gx.root(1e-8)),
      ),
      gx.scale(1.0),
    ),
    adam,
  ),
  "optax's momentum": (optax.trace(0.9), momentum),
  "optax's rms": (optax.scale_by_rms(0.9, 1e-8), rms),
  "optax's adam": (optax.scale_by_adam(0.9, 0.99), adam),
}


def in_double(shapes=SHAPES):
  return {name: jnp.zeros(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", INNER)
def test_by_hand_around_any_inner_transform(name, float64):
  inner, rule = INNER[name]
  transform = gx.in_eigenbasis(inner, 0.95, 3, max_dim=LIMIT)
  state, update = transform.init(in_double()), jax.jit(transform.update)
  references = {leaf: Reference(rule, every=3) for leaf in SHAPES}
  for step in range(50):
    grads = gradients(step)
    updates, state = update(grads, state)
    for leaf, g in grads.items():
      wanted = references[leaf](g, state["in_eigenbasis"]["basis"][leaf])
      np.testing.assert_allclose(updates[leaf], wanted, rtol=0, atol=1e-10, err_msg=f"{leaf} at {step}")


def test_the_core_of_soap_is_soap_without_a_rate_and_decay():
  params = {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}
  core, whole = gx.scale_by_soap(precondition_frequency=2), gx.soap(0.5, weight_decay=0.0, precondition_frequency=2)
  state_of_core, state = core.init(params), whole.init(params)
  for count in range(5):
    grads = jax.tree.map(lambda p, count=count: jnp.sin(jnp.arange(p.size) + count).reshape(p.shape), params)
    direction, state_of_core = core.update(grads, state_of_core)
    updates, state = whole.update(grads, state, params)
    jax.tree.map(lambda u, d: np.testing.assert_allclose(u, -0.5 * d, rtol=1e-6), updates, direction)


def bases_of(state):
  return jax.tree.leaves(state["in_eigenbasis"]["basis"])


def test_the_first_call_only_sets_the_bases_up(float64):
  transform, params = gx.soap(0.1), {name: jnp.asarray(g) for name, g in gradients(0).items()}
  moved, state = transform.step(gradients(1), transform.init(params), params)
  jax.tree.map(np.testing.assert_array_equal, moved, params)
  assert (int(state["count"]), int(state["in_eigenbasis"]["inner"]["count"])) == (1, 0)
  moments = state["in_eigenbasis"]["inner"]["divide"]
  assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(moments))


def test_the_layout_says_which_axes_have_a_basis():
  params = jax.tree.map(jnp.float32, in_double())
  transform = gx.in_eigenbasis(gx.identity(), max_dim=LIMIT)
  shapes = {
    "square": [(4, 4), (4, 4)],
    "tall": [(5, 5), (3, 3)],
    "row": [(3, 3)],
    "long": [(3, 3)],
    "cube": [(2, 2), (3, 3), (4, 4)],
  }
  state, layout = transform.init(params)["in_eigenbasis"], gx.layout(transform, params)["in_eigenbasis"]
  for kind in ("factors", "basis"):
    for name in SHAPES:
      assert [m.shape for m in jax.tree.leaves(state[kind][name])] == shapes.get(name, [])
      assert [(m.shape, m.parameter) for m in jax.tree.leaves(layout[kind][name])] == [
        (shape, name) for shape in shapes.get(name, [])
      ]


STACKS = {"layers": (3, 4, 5), "heads": (2, 2, 5, 3), "rows": (2, 1, 4), "matrix": (4, 5), "none": (0, 4, 5)}


@pytest.mark.parametrize("dtype", [float, complex])
def test_each_matrix_of_a_stack_can_have_its_own_bases(dtype, float64):
  inner = gx.scale_by_rms(0.9) if dtype is float else gx.trace(0.9)
  stacked, alone = gx.in_eigenbasis(inner, update_every=2, axes=2), gx.in_eigenbasis(inner, update_every=2)

  def matrices(tree):
    return {k: list(u.reshape(-1, *u.shape[-2:])) for k, u in tree.items()}

  params = {k: jnp.zeros(shape, dtype) for k, shape in STACKS.items()}
  state, by_matrix = stacked.init(params), alone.init(matrices(params))
  update, update_each = jax.jit(stacked.update), jax.jit(alone.update)
  for count in range(6):
    grads = {k: jnp.asarray(g) for k, g in gradients(count, STACKS).items()}
    if dtype is complex:
      grads = {k: g + 1j * jnp.asarray(gradients(count + 50, STACKS)[k]) for k, g in grads.items()}
    updates, state = update(grads, state)
    wanted, by_matrix = update_each(matrices(grads), by_matrix)
    jax.tree.map(lambda u, w: np.testing.assert_allclose(u, w, rtol=1e-12, atol=1e-13), matrices(updates), wanted)
  shapes = [factor.shape for factor in jax.tree.leaves(state["in_eigenbasis"]["basis"]["heads"])]
  assert shapes == [(2, 2, 5, 5), (2, 2, 3, 3)]
  assert jax.tree.structure(gx.layout(stacked, params)) == jax.tree.structure(state)


@pytest.mark.parametrize(("axes", "sizes"), [(None, {2: 1, 3: 3, 4: 5}), (2, {3: 4, 4: 6})])
def test_the_program_renews_all_bases_of_one_size_at_once(axes, sizes):
  params = {"a": jnp.ones((4, 4)), "b": jnp.ones((4, 3)), "c": jnp.ones((3, 4)), "d": jnp.ones((2, 3, 4))}
  transform = gx.scale_by_soap(axes=axes)
  program = jax.make_jaxpr(transform.update)(params, transform.init(params), params)
  for name in ("eigh", "qr"):
    shapes = [e.invars[0].aval.shape for e in equations(program.jaxpr) if e.primitive.name == name]
    assert sorted(shapes) == sorted((count, n, n) for n, count in sizes.items())


DEGENERATE = {
  "zeros": lambda rng: np.zeros((4, 3)),
  "of rank 1": lambda rng: np.outer(np.arange(1.0, 5.0), np.arange(1.0, 4.0)) * rng.normal(),
  "tiny": lambda rng: 1e-25 * rng.normal(size=(4, 3)),
  "huge": lambda rng: 1e15 * rng.normal(size=(4, 3)),
  "a row": lambda rng: rng.normal(size=(1, 5)),
  "a column": lambda rng: rng.normal(size=(5, 1)),
  "one number as a matrix": lambda rng: rng.normal(size=(1, 1)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_bases_stay_orthonormal_and_updates_finite_whatever_the_gradients(name, dtype):
  transform, rng = gx.soap(0.1, precondition_frequency=1), np.random.default_rng(0)
  params = jnp.asarray(DEGENERATE[name](rng), dtype)
  state, step = transform.init(params), jax.jit(transform.step)
  for _ in range(6):
    params, state = step(jnp.asarray(DEGENERATE[name](rng), dtype), state, params)
    for q in bases_of(state):
      np.testing.assert_allclose(q.mT.conj() @ q, np.eye(len(q)), atol=2e-6)
  assert params.dtype == dtype
  assert np.all(np.isfinite(np.asarray(params).astype("complex64")))


def test_zero_gradients_leave_parameters_as_they_are():
  params = {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}
  transform = gx.soap(0.1, weight_decay=0.0, precondition_frequency=2)
  state, moved = transform.init(params), params
  for _ in range(5):
    moved, state = transform.step(jax.tree.map(jnp.zeros_like, params), state, moved)
  jax.tree.map(np.testing.assert_array_equal, moved, params)


def test_complex_matrices_are_turned_by_unitary_bases():
  rng = np.random.default_rng(0)

  def gradient():
    return jnp.asarray(rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)), jnp.complex64)

  transform, first = gx.in_eigenbasis(gx.absolute(), 0.0, 100), gradient()
  _, state = transform.update(first, transform.init(first))
  left, _, right = np.linalg.svd(first)
  for q, wanted in zip(bases_of(state), (left, right.T), strict=True):  # each vector up to a phase
    np.testing.assert_allclose(jnp.abs(q.mT.conj() @ wanted), np.eye(3), atol=1e-5)
  second = gradient()
  update, _ = transform.update(second, state)
  p, q = bases_of(state)
  np.testing.assert_allclose(update, p @ jnp.abs(p.mT.conj() @ second @ q.conj()) @ q.mT, atol=1e-5)


def test_what_is_linear_and_elementwise_alike_loses_nothing(float64):
  """A momentum, which turns with the bases, is what it is without them, from the second call on; so is decay."""
  shapes = {"square": (4, 4), "cube": (2, 3, 4)}
  inner = gx.chain(gx.trace(0.9), gx.add_decayed_weights(0.1), gx.clip_by_global_norm(0.5))
  turned = gx.in_eigenbasis(inner, update_every=1)
  params = {name: jnp.asarray(g) for name, g in gradients(0, shapes).items()}
  state, plain = turned.init(params), inner.init(params)
  for count in range(6):
    grads = gradients(count + 1, shapes)
    updates, state = turned.update(grads, state, params)
    if count:
      wanted, plain = inner.update(grads, plain, params)
      jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), updates, wanted)


AROUND = {
  "accumulate": lambda inner: gx.accumulate(inner, 2),
  "every": lambda inner: gx.every(inner, 1),
  "masked": lambda inner: gx.masked(inner, where="*"),
  "skip_nonfinite": gx.skip_nonfinite,
}


@pytest.mark.parametrize("momentum", [gx.trace(0.9), optax.trace(0.9)], ids=["ours", "optax's"])
@pytest.mark.parametrize("name", AROUND)
def test_a_momentum_turns_inside_of_another_wrapper_too(name, momentum, float64):
  inner = AROUND[name](momentum)
  turned, params = gx.in_eigenbasis(inner, update_every=1), jnp.zeros((3, 4))
  state, plain = turned.init(params), inner.init(params)
  update, update_plain = jax.jit(turned.update), jax.jit(inner.update)
  for count in range(6):
    g = jnp.asarray(np.random.default_rng(count).normal(size=(3, 4)))
    u, state = update(g, state, params)
    if count:
      wanted, plain = update_plain(g, plain, params)
      np.testing.assert_allclose(u, wanted, atol=1e-13)


def test_shared_values_and_extra_trees_are_turned_too(float64):
  g = jnp.asarray(gradients(0)["square"])
  body = gx.in_eigenbasis(gx.subtract(gx.identity(), gx.shared("m")))
  shared = gx.share(body, m=gx.moving_average(0.75))
  update = jax.jit(shared.update)
  _, state = update(g, shared.init(g))
  np.testing.assert_allclose(update(g, state)[0], g - 0.4375 * g, atol=1e-12)
  reader = gx.in_eigenbasis(gx.elementwise("reader", lambda u, *, grad: grad))
  _, state = reader.update(g, reader.init(g), grad=g)
  np.testing.assert_allclose(reader.update(g, state, grad=2 * g)[0], 2 * g, atol=1e-12)


@pytest.mark.parametrize(
  ("inner", "hindrance"),
  [
    (gx.lookahead(gx.sgd(0.1)), "keep the parameters"),
    (gx.chain(gx.sign(), gx.add(gx.identity(), gx.displacement())), "keep the parameters"),
    (gx.zoom_line_search(), "read `value_fn`"),
    (gx.split_real_and_imaginary(gx.sign()), "split complex numbers"),
  ],
)
def test_what_cannot_turn_is_refused_at_once(inner, hindrance):
  with pytest.raises(ValueError, match=f"must be a transform that does not {hindrance}.* Put that outside"):
    gx.in_eigenbasis(inner)


@pytest.mark.parametrize(
  ("name", "value", "error"),
  [
    ("decay", 1.0, ValueError),
    ("update_every", 0, ValueError),
    ("update_every", 2.0, TypeError),
    ("max_dim", 0, ValueError),
    ("axes", 0, ValueError),
    ("axes", "last", TypeError),
  ],
)
def test_arguments_that_cannot_be_are_refused(name, value, error):
  with pytest.raises(error, match=rf"`in_eigenbasis\({name}=...\)` must be "):
    gx.in_eigenbasis(gx.identity(), **{name: value})
