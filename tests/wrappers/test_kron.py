"""White updates and their factors, against the authors' rule in NumPy with the same probes, and what they are for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

LONGEST = 5  # of axes whose factor is a triangle
SHAPES = {"matrix": (4, 3), "wide": (2, 6), "row": (1, 4), "conv": (2, 3, 2), "vector": (3,), "number": ()}
TRIANGLES = {"matrix": [0, 1], "wide": [0], "row": [1], "conv": [0, 1, 2], "vector": [], "number": []}


def gradients(step, dtype=float):
  rng = np.random.default_rng(step)

  def normal(shape):
    return rng.normal(size=shape) * 0.3

  if dtype is complex:
    return {name: normal(shape) + 1j * normal(shape) for name, shape in SHAPES.items()}
  return {name: np.asarray(normal(shape)) for name, shape in SHAPES.items()}


def draws(seed, step, names, dtype=float):
  """What is compared with the probability, and the probes of the leaves, numbered in the order of the tree."""
  draw, probes = jax.random.split(jax.random.fold_in(jax.random.key(seed), step))
  keys = {name: jax.random.fold_in(probes, index) for index, name in enumerate(sorted(names))}
  drawn = jax.random.uniform(draw, dtype=jnp.float32)
  return drawn, {name: np.asarray(jax.random.normal(keys[name], SHAPES[name], dtype)) for name in names}


def unfolded(x, axis):
  return np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)


def folded(matrix, axis, shape):
  rest = [n for i, n in enumerate(shape) if i != axis]
  return np.moveaxis(matrix.reshape(len(matrix), *rest), 0, axis)


def lower_bound(a):
  """The authors' `_norm_lower_bound`."""
  largest = np.max(np.abs(a))
  a = a / largest
  squares = np.real(a * a.conj())
  by_column, by_row = squares.sum(0), squares.sum(1)
  if by_column.max() > by_row.max():
    x = a[:, by_column.argmax()].conj() @ a
    return largest * np.linalg.norm((x / np.linalg.norm(x)) @ a.conj().T)
  x = a @ a[by_row.argmax()].conj()
  return largest * np.linalg.norm(a.conj().T @ (x / np.linalg.norm(x)))


class Reference:
  """The authors' rule for one array, as a loop over its axes; a number is a vector of one."""

  def __init__(self, name, dtype=float):
    self.shape = SHAPES[name] or (1,)
    self.factors = [np.eye(n, dtype=dtype) for n in self.shape]
    self.triangles = TRIANGLES[name]

  def along(self, x, matrices):
    for axis, matrix in enumerate(matrices):
      x = folded(matrix @ unfolded(x, axis), axis, x.shape)
    return x

  def balance(self):
    norms = np.array([np.max(np.abs(q)) for q in self.factors])
    self.factors = [q * np.prod(norms) ** (1 / len(norms)) / own for q, own in zip(self.factors, norms, strict=True)]

  def renew(self, u, probe, rate):
    u, probe = u.reshape(self.shape), probe.reshape(self.shape)
    image = self.along(u, self.factors)
    back = probe
    for axis, q in enumerate(self.factors):
      back = folded(np.linalg.solve(q.conj().T, unfolded(back, axis)), axis, self.shape)
    new = []
    for axis, q in enumerate(self.factors):
      a, b = unfolded(image, axis), unfolded(back, axis)
      of_image, of_back = a @ a.conj().T, b @ b.conj().T
      if axis in self.triangles:
        new.append(q - rate * np.triu(of_image - of_back) / lower_bound(of_image + of_back) @ q)
      else:
        total = np.diag(of_image + of_back).real
        new.append(q - rate * np.diag(np.diag(of_image - of_back)) / total.max() @ q)
    self.factors = new

  def white(self, u):
    return self.along(u.reshape(self.shape), [q.conj().T @ q for q in self.factors]).reshape(u.shape)


def clipped(u, bound):
  return u / max(1, np.sqrt(np.mean(np.abs(u) ** 2)) / bound)


@pytest.mark.parametrize("dtype", [float, complex])
def test_by_the_authors_loop_with_the_same_probes(dtype, float64):
  options = {"preconditioner_update_probability": 0.6, "preconditioner_lr": 0.2, "max_rms": 0.9}
  transform = gx.scale_by_kron(0.8, **options, max_size_triangular=LONGEST, key=7)
  params = {name: jnp.zeros(shape, dtype) for name, shape in SHAPES.items()}
  state, update = transform.init(params), jax.jit(transform.update)
  references = {name: Reference(name, dtype) for name in SHAPES}
  moments, chance, renewals = dict.fromkeys(SHAPES, 0.0), np.random.default_rng(0), 0
  for step in range(50):
    grads = gradients(step, dtype)
    drawn, probes = draws(7, step, SHAPES, dtype)
    renewals += bool(drawn < 0.6)
    updates, state = update(grads, state)
    for name, g in grads.items():
      moments[name] = 0.8 * moments[name] + 0.2 * g
      corrected, reference = moments[name] / (1 - 0.8 ** (step + 1)), references[name]
      if drawn < 0.6:
        if chance.random() < 0.3:  # theirs balance now and then
          reference.balance()
        reference.renew(corrected, probes[name], 0.2)
      wanted = clipped(reference.white(corrected), 0.9)
      np.testing.assert_allclose(updates[name], wanted, rtol=1e-12, atol=1e-12, err_msg=f"{name} at {step}")
  assert 20 < renewals < 40


def test_factors_are_triangles_but_for_vectors_and_long_and_short_axes():
  transform = gx.whiten(max_size_triangular=LONGEST)
  params = {**{name: jnp.zeros(shape) for name, shape in SHAPES.items()}, "empty": jnp.zeros((0, 3)), "none": None}
  factors = transform.init(params)["whiten"]["factors"]
  shapes = {name: [q.shape for q in of] for name, of in factors.items() if of is not None}
  assert shapes == {
    "matrix": [(4, 4), (3, 3)],
    "wide": [(2, 2), (6,)],
    "row": [(1,), (4, 4)],
    "conv": [(2, 2), (3, 3), (2, 2)],
    "vector": [(3,)],
    "number": [()],
    "empty": [],
  }
  described = gx.layout(transform, params)["whiten"]["factors"]["wide"]
  assert [(leaf.kind, leaf.parameter, leaf.shape) for leaf in described] == [
    ("factor", "wide", (2, 2)),
    ("factor", "wide", (6,)),
  ]


def test_what_comes_out_is_white(float64):
  rng = np.random.default_rng(0)
  left, right = np.diag([0.05, 0.3, 3.0]) @ rng.normal(size=(3, 3)), rng.normal(size=(2, 2)) * 5
  noise = jnp.asarray(rng.normal(size=(2000, 3, 2)))
  grads = jnp.asarray(left) @ noise @ jnp.asarray(right)
  transform = gx.whiten(1.0)

  def body(state, g):
    u, state = transform.update(g, state)
    return state, u

  _, outs = jax.jit(lambda g: jax.lax.scan(body, transform.init(g[0]), g))(grads)
  white = np.asarray(outs[1000:]).reshape(1000, -1)
  np.testing.assert_allclose(white.T @ white / 1000, np.eye(6), atol=0.3)
  colored = np.asarray(grads[1000:]).reshape(1000, -1)
  assert np.linalg.cond(colored.T @ colored) > 1e5 > 1e1 > np.linalg.cond(white.T @ white)


def test_the_probability_is_one_for_500_steps_and_then_falls_to_a_floor():
  transform, params = gx.whiten(key=3), jnp.ones(4)
  renews = jax.jit(lambda state: transform.update(params, state)[1])

  def renewals(start, count=40):
    state, changes = {**transform.init(params), "count": jnp.asarray(start)}, 0
    for _ in range(count):
      new = renews(state)
      changes += not np.array_equal(new["whiten"]["factors"][0], state["whiten"]["factors"][0])
      state = new
    return changes

  assert renewals(0) == renewals(461) == 40
  assert 5 <= renewals(1500) <= 25  # e⁻¹ of them
  assert renewals(20_000) <= 5  # 0.03


def test_a_step_that_renews_nothing_leaves_the_factors_to_the_bit():
  transform, grads = gx.whiten(0.0), jnp.asarray(gradients(0)["matrix"])
  state = {**transform.init(grads), "whiten": {"factors": (2 * jnp.eye(4), 3 * jnp.eye(3))}}
  for update in (transform.update, jax.jit(transform.update)):
    updates, new = update(grads, state)
    np.testing.assert_allclose(updates, 4 * 9 * grads, rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, new["whiten"], state["whiten"])


def test_an_array_of_zeros_leaves_its_own_factors():
  transform, zeros = gx.whiten(1.0), {"w": jnp.zeros((3, 2)), "b": jnp.ones(2)}
  state, update = transform.init(zeros), jax.jit(transform.update)
  for _ in range(3):
    updates, state = update(zeros, state)
  factors = state["whiten"]["factors"]
  np.testing.assert_array_equal(updates["w"], 0)
  np.testing.assert_allclose(factors["w"][0], np.eye(3), rtol=1e-6)
  assert np.all(factors["b"][0] != 1)


def test_another_key_gives_other_probes_and_the_same_key_the_same():
  grads = jnp.asarray(gradients(0)["matrix"], jnp.float32)

  def updates(key):
    transform = gx.whiten(key=key)
    return jax.jit(transform.update)(grads, transform.init(grads))[0]

  np.testing.assert_array_equal(updates(1), updates(1))
  assert not np.allclose(updates(1), updates(2), rtol=1e-3)


def test_large_and_small_gradients_make_no_difference_to_the_size_of_updates_in_the_end():
  rng = np.random.default_rng(0)
  grads = {"large": 1e6 * rng.normal(size=(300, 4, 3)), "small": 1e-6 * rng.normal(size=(300, 4, 3))}
  transform = gx.whiten(1.0)
  first = {name: jnp.asarray(g[0], jnp.float32) for name, g in grads.items()}

  def body(state, g):
    u, state = transform.update(g, state)
    return state, u

  as_floats = jax.tree.map(lambda g: jnp.asarray(g, jnp.float32), grads)
  _, outs = jax.jit(lambda g: jax.lax.scan(body, transform.init(first), g))(as_floats)
  for of in outs.values():
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(of[250:]))), 1, rtol=0.2)


@pytest.mark.parametrize(
  ("name", "value", "error"),
  [
    ("preconditioner_update_probability", 1.5, ValueError),
    ("preconditioner_lr", 1.0, ValueError),
    ("max_size_triangular", 0, ValueError),
    ("key", -1, ValueError),
    ("key", 0.5, TypeError),
  ],
)
def test_arguments_that_cannot_be_are_refused(name, value, error):
  with pytest.raises(error, match=rf"`whiten\({name}=...\)` must be "):
    gx.whiten(**{name: value})


def test_each_matrix_of_a_stack_has_factors_of_its_own(float64):
  rng = np.random.default_rng(0)
  stack, alone = gx.whiten(1.0, 0.2, axes=2), gx.whiten(1.0, 0.2)
  u = jnp.asarray(rng.normal(size=(2, 3, 4)))
  outs = []
  for other in (u, u.at[1].multiply(3.0)):
    state = stack.init(u)
    assert [q.shape for q in state["whiten"]["factors"]] == [(2, 3, 3), (2, 4, 4)]
    for _ in range(3):
      out, state = stack.update(other, state)
    outs.append(out)
  np.testing.assert_array_equal(outs[0][0], outs[1][0])
  assert not np.allclose(outs[0][1], outs[1][1])
  one, two = stack.init(u[:1]), alone.init(u[0])  # with the same probe
  np.testing.assert_allclose(stack.update(u[:1], one)[0][0], alone.update(u[0], two)[0], rtol=1e-12)
  assert [q.shape for q in gx.whiten(axes=2).init(jnp.ones(5))["whiten"]["factors"]] == [(5,)]
