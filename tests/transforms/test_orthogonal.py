"""Orthogonal factors of matrices: by hand, by singular values, against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import equations

import gradxform as gx

JORDAN = (3.4445, -4.7750, 2.0315)


def once(transform, u):
  return transform.update(u, transform.init(u))[0]


def random(*shape):
  return jnp.asarray(np.random.default_rng(0).normal(size=shape))


def test_one_step_is_the_polynomial_of_the_singular_values(float64):
  x = jnp.diag(jnp.asarray([0.5, -0.1, 0.9]))
  got = once(gx.newton_schulz((2.0, -1.5, 0.5), 1), x)
  values = jnp.diag(x)
  np.testing.assert_allclose(got, jnp.diag(2 * values - 1.5 * values**3 + 0.5 * values**5), atol=1e-15)


def test_a_chain_has_other_coefficients_for_each_step(float64):
  x = random(4, 3) / 10
  twice = gx.chain(gx.newton_schulz(JORDAN, 1), gx.newton_schulz(JORDAN, 1))
  np.testing.assert_allclose(once(twice, x), once(gx.newton_schulz(JORDAN, 2), x), rtol=1e-12)


def test_triples_are_of_one_step_each_and_the_last_stays(float64):
  x = random(4, 3) / 10
  first, second = (2.0, -1.5, 0.5), (1.5, -0.5, 0.0)
  chained = gx.chain(gx.newton_schulz(first, 1), gx.newton_schulz(second, 3))
  np.testing.assert_allclose(once(gx.newton_schulz((first, second), 4), x), once(chained, x), rtol=1e-12)
  np.testing.assert_allclose(once(gx.newton_schulz([first, second], 1), x), once(gx.newton_schulz(first, 1), x))
  assert repr(gx.newton_schulz((first, second), 4)) == (
    "newton_schulz(coefficients=((2.0, -1.5, 0.5), (1.5, -0.5, 0.0)), steps=4, computed_in=None)"
  )


def test_the_sets_by_name_are_those_of_their_papers(float64):
  x = random(4, 3) / 10
  np.testing.assert_array_equal(once(gx.newton_schulz("jordan"), x), once(gx.newton_schulz(JORDAN), x))
  np.testing.assert_allclose(once(gx.newton_schulz("polar_express", 9), x), polar_express(x, 9), rtol=1e-12)
  np.testing.assert_allclose(once(gx.newton_schulz("polar_express", 3), x), polar_express(x, 3), rtol=1e-12)


def polar_express(x, steps):
  """Algorithm 1 of Amsel et al. 2025, but that it divides by no norm."""
  triples = [
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
  ]
  safe = [(a / 1.01, b / 1.01**3, c / 1.01**5) for a, b, c in triples] + [(1.875, -1.25, 0.375)] * 2
  for a, b, c in safe[:steps]:
    gram = x @ x.T
    x = a * x + (b * gram + c * gram @ gram) @ x
  return x


# The least and the largest of what becomes of singular values, of a matrix of norm 1, that are at least 0.01.
BOUNDS = {
  ("jordan", 5): (0.68, 1.14), ("dion", 5): (0.97, 1.04), ("polar_express", 5): (0.87, 1.13),
  ("polar_express", 8): (1 - 1e-5, 1 + 1e-5),
}  # fmt: skip


def spectrum(kind):
  """Singular values, and the number of columns that they go with."""
  return {
    "well-conditioned": (np.geomspace(1, 0.1, 16), 24),
    "ill-conditioned": (np.append(np.geomspace(1, 0.1, 8), np.geomspace(1e-3, 1e-6, 8)), 16),
    "rank 1": (np.eye(16)[0], 16),
    "1×n": (np.ones(1), 24),
  }[kind]


@pytest.mark.parametrize("computed_in", [None, "bfloat16"])
@pytest.mark.parametrize("kind", ["well-conditioned", "ill-conditioned", "rank 1", "1×n"])
@pytest.mark.parametrize(("coefficients", "steps"), BOUNDS)
def test_the_orthogonality_error_of_each_set_is_within_bounds(coefficients, steps, kind, computed_in, record_property):
  values, columns = spectrum(kind)
  rng = np.random.default_rng(0)
  left = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
  right = np.linalg.qr(rng.normal(size=(columns, len(values))))[0].T
  got = once(gx.orthogonalize(coefficients, steps, computed_in=computed_in), jnp.asarray(left * values @ right))
  became = np.einsum("ji,jk,ik->i", left, got, right)
  large = values / np.linalg.norm(values) >= 0.01
  record_property("orthogonality error", float(np.sqrt(np.mean((became[values > 0] - 1) ** 2))))
  least, largest = BOUNDS[coefficients, steps]
  slack = 0.0 if computed_in is None else 0.03  # a few of its roundings, of 2⁻⁹ each
  assert np.all((became[large] > least - slack) & (became[large] < largest + slack))
  assert np.all(np.abs(became[~large]) < largest + 0.1 + slack)  # small ones have not come so far, and never explode


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (2, 6, 3), (2, 2, 3, 5)])
def test_singular_values_become_about_one_and_vectors_stay(shape, float64):
  u = random(*shape)
  got = once(gx.orthogonalize(), u)
  values = jnp.linalg.svd(got, compute_uv=False)
  assert jnp.all((values > 0.67) & (values < 1.21))
  left, _, right = jnp.linalg.svd(u, full_matrices=False)
  inner = left.mT @ got @ right.mT  # diagonal: the singular vectors are those of u
  np.testing.assert_allclose(inner, jnp.eye(inner.shape[-1]) * inner, atol=1e-12)


def test_the_cubic_converges_to_the_orthogonal_factor(float64):
  u = random(3, 5)
  left, _, right = jnp.linalg.svd(u, full_matrices=False)
  np.testing.assert_allclose(once(gx.orthogonalize((1.5, -0.5, 0.0), 40), u), left @ right, atol=1e-12)


def test_tall_is_wide_transposed_and_a_vector_a_row(float64):
  u = random(6, 3)
  np.testing.assert_allclose(once(gx.orthogonalize(), u.T), once(gx.orthogonalize(), u).T, rtol=1e-12)
  vector = random(4)
  np.testing.assert_allclose(once(gx.orthogonalize(), vector), once(gx.orthogonalize(), vector[None])[0], rtol=1e-12)
  np.testing.assert_array_equal(once(gx.orthogonalize(eps=0.0), jnp.zeros((2, 2))), 0)


def multiplications(jaxpr):
  """The shapes that come out of the matrix products of a program."""
  return [e.outvars[0].aval.shape for e in equations(jaxpr) if e.primitive.name == "dot_general"]


STACKED = {
  "a": (3, 5),
  "b": (3, 5),
  "c": (2, 3, 5),
  "d": (4, 4),
  "e": (5,),
  "f": (),
  "g": (1, 5),
  "h": (0, 3, 5),
  "i": (0, 4),
  "j": (3, 0),
}


@pytest.mark.parametrize("make", [gx.muon, gx.normuon, gx.adamuon], ids=["muon", "normuon", "adamuon"])
def test_the_program_has_one_iteration_for_each_shape(make):
  params = {k: jnp.ones(shape) for k, shape in STACKED.items() if len(shape) == 2 and 0 not in shape}
  params.update({f"d{i}": jnp.ones((4, 4)) for i in range(6)})
  optimizer = make(0.1, ns_steps=2)
  state = optimizer.init(params)
  shapes = multiplications(jax.make_jaxpr(optimizer.update)(params, state, params).jaxpr)
  assert len(shapes) == 3 * 2 * 3  # three products, two steps, three shapes
  assert set(shapes) == {(2, 3, 3), (2, 3, 5), (7, 4, 4), (1, 1), (1, 5)}


# Leaves, and for each distinct shape of matrices how many there are: those of a stack count, and m×n is not n×m.
MIXED = {"a": (3, 5), "b": (5, 3), "c": (2, 3, 5), "d": (2, 2, 4, 4), "e": (4, 4), "f": (3, 5, 3), "g": (6,), "h": ()}
COUNTS = {(3, 5): 3, (5, 3): 4, (4, 4): 5, (1, 6): 1, (1, 1): 1}


@pytest.mark.parametrize("core", [gx.scale_by_muon, gx.scale_by_normuon, gx.scale_by_adamuon])
def test_stacked_and_turned_matrices_have_one_iteration_for_each_shape_too(core):
  params, steps = {k: jnp.ones(shape) for k, shape in MIXED.items()}, 2
  transform = core(ns_steps=steps)
  shapes = multiplications(jax.make_jaxpr(transform.update)(params, transform.init(params)).jaxpr)
  wanted = []
  for (rows, columns), count in COUNTS.items():
    shorter, longer = sorted((rows, columns))  # a tall matrix is turned, for the products of its shorter side
    wanted += [(count, shorter, shorter), (count, shorter, shorter), (count, shorter, longer)] * steps
  alone = [tuple(n for i, n in enumerate(shape) if i or n > 1) for shape in wanted]  # of one matrix there is no stack
  assert sorted(shapes) == sorted(alone)


def test_a_view_of_stacked_matrices_goes_into_the_iteration_of_their_shape():
  params = {"a": jnp.ones((3, 5)), "fused": jnp.ones((3, 15)), "layers": jnp.ones((2, 3, 5)), "bias": jnp.ones(5)}
  views = {"fused": "d (3 h) -> 3 d h", "layers": "... i o -> ... i o"}
  optimizer = gx.muon(0.1, ns_steps=1, matrix_view=views)
  state = optimizer.init(params)
  shapes = multiplications(jax.make_jaxpr(optimizer.update)(params, state, params).jaxpr)
  assert shapes == [(6, 3, 3), (6, 3, 3), (6, 3, 5)]


def test_matrices_of_one_shape_go_together_and_give_what_each_gives_alone(float64):
  tree = {k: random(*shape) + 0.1 * i for i, (k, shape) in enumerate(STACKED.items())}
  for transform in (gx.orthogonalize(), gx.orthogonalize("polar_express"), gx.scale_by_normuon()):
    state, got = transform.init(tree), None
    alone = {k: transform.init(u) for k, u in tree.items()}
    for factor in (1.0, -0.3):
      got, state = transform.update(jax.tree.map(lambda u, f=factor: f * u, tree), state)
      for k, u in tree.items():
        wanted, alone[k] = transform.update(factor * u, alone[k])
        np.testing.assert_allclose(got[k], wanted, rtol=1e-9, atol=1e-12, err_msg=k)


def test_complex_matrices_become_about_unitary(float64):
  u = random(3, 4) + 1j * random(4, 3).T
  values = jnp.linalg.svd(once(gx.orthogonalize(), u), compute_uv=False)
  assert jnp.all((values > 0.67) & (values < 1.21))


def test_gradients_of_sixteen_bits_are_computed_in_float32():
  u = random(4, 6).astype(jnp.bfloat16)
  exact = once(gx.orthogonalize(), u.astype(jnp.float32))
  np.testing.assert_array_equal(once(gx.orthogonalize(), u), exact.astype(jnp.bfloat16))


def test_in_bfloat16_it_is_as_near_to_the_exact_result_as_torchs():
  torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradxform[parity]'")
  from torch.optim._muon import _zeropower_via_newtonschulz as of_torch

  ours, theirs = 0.0, 0.0
  for seed in range(10):
    u = np.random.default_rng(seed).normal(size=(8, 5)).astype(np.float32)
    exact = once(gx.orthogonalize(eps=0.0), jnp.asarray(u))
    theirs += np.linalg.norm(of_torch(torch.tensor(u), JORDAN, 5, 1e-7).float().numpy() - exact)
    ours += np.linalg.norm(once(gx.orthogonalize(eps=0.0, computed_in="bfloat16"), jnp.asarray(u)) - exact)
  assert 0 < ours < 1.1 * theirs


def torch_muon(grads, rate, beta, nesterov, weight_decay, factor, eps=1e-7):
  """`torch.optim.Muon` for one matrix, with its products in float64 where it has them in bfloat16."""
  a, b, c = JORDAN
  param, buffer = np.ones_like(grads[0]), np.zeros_like(grads[0])
  for g in grads:
    buffer = beta * buffer + (1 - beta) * g
    x = (1 - beta) * g + beta * buffer if nesterov else buffer
    x = x / max(np.linalg.norm(x), eps)
    for _ in range(5):
      gram = x @ x.T
      x = a * x + (b * gram + c * gram @ gram) @ x
    param = param * (1 - rate * weight_decay) - rate * factor * x
  return param


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (6, 2)])
def test_torchs_muon_is_an_expression_of_it(shape, nesterov, float64):
  momentum = gx.chain(gx.moving_average(0.95), gx.scale(0.95)) if nesterov else gx.moving_average(0.95)
  weighed = gx.add(momentum, gx.scale(0.05)) if nesterov else momentum
  norm = gx.chain(gx.matrix_norm(), gx.at_least(1e-7))
  direction = gx.chain(weighed, gx.divide(gx.identity(), by=norm), gx.newton_schulz())
  shaped = gx.chain(direction, gx.scale_by_shape("rows_by_columns"), gx.add_decayed_weights(0.1))
  optimizer = gx.chain(shaped, gx.scale_by_learning_rate(0.01))
  grads = np.random.default_rng(0).normal(size=(50, *shape))
  grads[7] = 0
  params = jnp.ones(shape)
  state, step = optimizer.init(params), jax.jit(optimizer.step)
  for g in grads:
    params, state = step(jnp.asarray(g), state, params)
  factor = np.sqrt(max(1, shape[0] / shape[1]))
  np.testing.assert_allclose(params, torch_muon(grads, 0.01, 0.95, nesterov, 0.1, factor), rtol=1e-12, atol=1e-12)


REFUSED = [
  (lambda: gx.newton_schulz((1.0, 2.0)), ValueError, r"`newton_schulz\(coefficients=...\)` must be three numbers"),
  (lambda: gx.newton_schulz((JORDAN, (1.0, 2.0))), ValueError, "must be three numbers, or several times three"),
  (lambda: gx.orthogonalize("jordans"), ValueError, r"`orthogonalize\(coefficients=...\)` must be one of 'jordan', 'd"),
  (lambda: gx.newton_schulz(steps=0), ValueError, r"`newton_schulz\(steps=...\)` must be at least 1, got 0"),
  (lambda: gx.orthogonalize(computed_in="int8"), ValueError, r"`orthogonalize\(computed_in=...\)` must be one of"),
]


@pytest.mark.parametrize(("make", "kind", "message"), REFUSED)
def test_wrong_arguments_are_refused(make, kind, message):
  with pytest.raises(kind, match=message):
    make()
