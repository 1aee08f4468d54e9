"""What holds of every method of matrices on arrays of all shapes, and on gradients of all kinds."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import equations, example, signature_of, update

import gradxform as gx
from gradxform import optimizers

RATE, DECAY = 0.1, 0.5
# So that bases are renewed within a few steps, are smaller than matrices where they can be, and steps are the rate's.
SMALL = {"precondition_frequency": 2, "inverse_every": 2, "update_proj_gap": 2, "rank": 2, "radius": 1.0}


def made(name, **given):
  """The optimizer, or core, of this name, with those of the arguments that it takes."""
  factory = getattr(gx, name)
  given = {"learning_rate": RATE, **SMALL, **given}
  if "weight_decay" in given:
    given["adam_weight_decay"] = given["weight_decay"]  # Muon has one of its own for all else
  return factory(**{key: value for key, value in given.items() if key in factory.signature.parameters})


LISTED = re.search(r"# matrices as matrices\n(.*?)#", inspect.getsource(optimizers), re.DOTALL)
IN_LOW_RANK = ["apollo", "apollo_mini", "fira", "galore"]  # these are listed by what they save
OPTIMIZERS = [*re.findall(r'"(\w+)"', LISTED[1] if LISTED else ""), *IN_LOW_RANK]
CORES = [f"scale_by_{name}" for name in OPTIMIZERS if hasattr(gx, f"scale_by_{name}")]
# Of the others the optimizer is the core with a decay and a rate, and a norm in the case of Shampoo.
SEE_NO_VECTORS = [core for core in CORES if "route_matrices" in gx.explain(made(core.removeprefix("scale_by_")))]


def multiplies_matrices(transform):
  """Whether there is a matrix among the results of products and factorizations in the program of a step."""
  params = {"w": jnp.ones((3, 4))}
  state = jax.eval_shape(transform.init, params)
  program = jax.make_jaxpr(lambda state: update(transform, params, state, params))(state)
  ours = [e for e in equations(program.jaxpr) if e.primitive.name in ("dot_general", "eigh", "qr", "svd")]
  return any(out.aval.ndim > 1 for equation in ours for out in equation.outvars)


def test_all_methods_of_matrices_are_among_these():
  assert {name for name in optimizers.__all__ if multiplies_matrices(example(name))} == set(OPTIMIZERS)
  assert {"scale_by_galore", "scale_by_kron", "scale_by_shampoo", "scale_by_soap"} <= set(CORES)
  assert {"scale_by_adamuon", "scale_by_dion", "scale_by_muon", "scale_by_normuon"} <= set(SEE_NO_VECTORS)


SHAPES = {
  "vector": (4,),
  "number": (),
  "row": (1, 4),
  "column": (4, 1),
  "wide": (3, 4),
  "tall": (4, 3),
  "convolution": (2, 2, 3, 4),
  "layers": (2, 3, 4),
}


def of_singular_values(values, shape, rng):
  """Matrices of these singular values."""
  rows, columns = shape[-2:]
  left = np.linalg.qr(rng.normal(size=(*shape[:-2], rows, len(values))))[0]
  right = np.linalg.qr(rng.normal(size=(*shape[:-2], columns, len(values))))[0]
  return left * values @ np.swapaxes(right, -1, -2)


# The usual gradients are other ones at each step; the degenerate ones stay, so that bases fit them.
KINDS = {
  "usual": (SHAPES, lambda shape, rng: rng.normal(size=shape)),
  "zero": (SHAPES, lambda shape, rng: np.zeros(shape)),
  "of rank 1": (["wide", "layers"], lambda shape, rng: of_singular_values(np.ones(1), shape, rng)),
  "ill-conditioned": (["wide", "layers"], lambda shape, rng: of_singular_values(np.logspace(0, -12, 3), shape, rng)),
  "tiny": (["wide"], lambda shape, rng: 1e-15 * rng.normal(size=shape)),
  "huge": (["wide"], lambda shape, rng: 1e15 * rng.normal(size=shape)),
}
STEADY = ("of rank 1", "ill-conditioned", "huge")
SIXTEEN_BITS = "of bfloat16"


def gradients(step):
  """Those of one step; of usual matrices also rounded to bfloat16, and these in float32."""
  out = {}
  for kind, (shapes, draw) in KINDS.items():
    for shape in shapes:
      rng = np.random.default_rng([step if kind == "usual" else 0, len(kind), len(shape)])
      out[f"{shape}, {kind}"] = jnp.asarray(draw(SHAPES[shape], rng), "float32")
  out[SIXTEEN_BITS] = out["wide, usual"].astype("bfloat16")
  return {**out, "the same in float32": out[SIXTEEN_BITS].astype("float32")}


def size_of(x):
  """The root mean square."""
  return float(np.sqrt(np.mean(np.square(np.asarray(x, np.float64)))))


def cosine(a, b):
  a, b = (np.asarray(x, np.float64) for x in (a, b))
  return np.sum(a * b) / (np.linalg.norm(a) * np.linalg.norm(b))


# The size of steps, times the rate: twice corrected, as Optax has it, the first of Nesterov's momenta is 1.53 of a
# gradient. APOLLO divides by the length of a random projection, which at ranks of 1 and 2 may be next to nothing, and
# KL-Shampoo at first by eigenvalues of 0.1, whatever those of the gradients are.
UNBOUNDED = ["apollo", "apollo_mini", "kl_shampoo", "scale_by_apollo", "scale_by_kl_shampoo"]
LARGEST = {"muon": 1.6} | dict.fromkeys(UNBOUNDED, np.inf)
LOST = {("kl_shampoo", "wide, huge")}  # as much as its first step there is too large, the next are too small
FIRST_ONLY_BASES = {"kl_shampoo", "scale_by_kl_shampoo", "soap"}
DRAWN_FOR_EACH = {"apollo", "apollo_mini", "kron", "scale_by_apollo"}  # so two leaves that are equal do not stay so


def shape_of(leaf):
  """Which of the shapes a leaf has: what is of sixteen bits, and the same in float32, is wide."""
  return leaf.split(",")[0] if "," in leaf else "wide"


def check_decay(name, updates, params):
  """Where gradients are 0, there is the decay alone: of cores none, of optimizers the rate's, or a part of it."""
  for shape in SHAPES:
    shares = np.asarray(updates[f"{shape}, zero"] / params[f"{shape}, zero"])
    if name in OPTIMIZERS:
      np.testing.assert_allclose(shares, shares.flat[0], rtol=1e-5)
      assert -RATE * DECAY * (1 + 1e-5) < shares.flat[0] < 0
    else:
      np.testing.assert_array_equal(shares, 0)


@pytest.mark.parametrize("name", [*OPTIMIZERS, *SEE_NO_VECTORS])
def test_steps_are_finite_descend_and_have_the_size_of_the_rate_whatever_shapes_and_gradients(name):
  transform, grads = made(name, weight_decay=DECAY), gradients(0)
  params = {leaf: 1 + jnp.arange(g.size, dtype=g.dtype).reshape(g.shape) / 8 for leaf, g in grads.items()}
  rate = RATE if name in OPTIMIZERS else -1.0
  state, compiled = transform.init(params), jax.jit(transform.update)
  before = signature_of(state)
  for step in range(5):
    grads = gradients(step)
    updates, state = compiled(grads, state, params)
    assert signature_of(updates) == signature_of(params)
    assert signature_of(state) == before
    assert all(np.all(np.isfinite(np.asarray(x, np.float32))) for x in jax.tree.leaves((updates, state)))
    if step == 0 and name in FIRST_ONLY_BASES:
      assert all(np.all(u == 0) for u in updates.values() if u.ndim == 2)
      continue
    check_decay(name, updates, params)
    for leaf, u in updates.items():
      own = np.asarray(u, np.float32) - updates[f"{shape_of(leaf)}, zero"]
      assert size_of(own) < LARGEST.get(name, 1.2) * abs(rate), leaf
      if leaf.endswith("usual") and u.ndim:
        assert size_of(own) > 5e-4 * abs(rate), leaf
      elif leaf.endswith(STEADY) and (name, leaf) not in LOST:
        assert cosine(own, -np.sign(rate) * grads[leaf]) > 0.2, leaf
  if name not in DRAWN_FOR_EACH:
    np.testing.assert_array_equal(updates[SIXTEEN_BITS], updates["the same in float32"].astype("bfloat16"))


# What does not take the leading axes for a batch of matrices, and what it does instead.
NOT_BY_MATRIX = {
  "scale_by_apollo": "draws a projection, and bounds the growth of a norm, of each array",
  "scale_by_galore": "sees what has not two axes as it is",
  "scale_by_kron": "has a factor for each axis",
}
BY_MATRIX = {"scale_by_shampoo": {"axes": 2}, "scale_by_soap": {"axes": 2}}


@pytest.mark.parametrize("name", [core for core in CORES if core not in NOT_BY_MATRIX])
def test_stacked_matrices_are_as_if_each_were_alone(name, float64):
  core, rng = made(name, **BY_MATRIX.get(name, {})), np.random.default_rng(0)
  stack = {"layers": jnp.zeros((2, 3, 4)), "experts": jnp.zeros((2, 2, 5, 3))}
  together, alone = core.init(stack), [core.init(jax.tree.map(lambda x, i=i: x[i], stack)) for i in range(2)]
  if name == "scale_by_dion":  # the first bases of a stack are drawn at once
    for i, one in enumerate(alone):
      one[name]["basis"] = jax.tree.map(lambda q, i=i: q[i], together[name]["basis"])
  compiled = jax.jit(core.update)
  for _ in range(5):
    grads = {k: jnp.asarray(rng.normal(size=x.shape)) for k, x in stack.items()}
    updates, together = compiled(grads, together)
    for i, one in enumerate(alone):
      wanted, alone[i] = compiled(jax.tree.map(lambda g, i=i: g[i], grads), one)
      for k, u in wanted.items():
        np.testing.assert_allclose(updates[k][i], u, rtol=1e-9, atol=1e-12, err_msg=k)


def test_galore_sees_a_stack_as_it_is_and_kron_has_a_factor_for_each_axis():
  stack = jnp.zeros((2, 3, 4))
  galore, kron = (made(name).init(stack) for name in ("scale_by_galore", "scale_by_kron"))
  assert [x.shape for x in jax.tree.leaves(galore)] == [(), (2, 3, 4), (2, 3, 4)]
  assert sorted(x.shape for x in jax.tree.leaves(kron) if x.shape[:-1] == x.shape[1:]) == [(), (2, 2), (3, 3), (4, 4)]


OTHER_VALUES = {
  "value": jnp.ones(()),
  "key": jax.random.PRNGKey(0),
  "batch": jnp.ones(7),
  "weights": jnp.ones((3, 1, 2)),
}


@pytest.mark.parametrize("name", [*OPTIMIZERS, *CORES, "adam_mini"])
@pytest.mark.parametrize("params", [jnp.ones((3, 4)), {"w": jnp.ones((3, 4))}], ids=["array", "tree"])
def test_extra_arguments_of_other_shapes_that_nobody_reads_may_be_anything(name, params):
  in_tree = {f"{key}_of_each": {"w": value} for key, value in OTHER_VALUES.items()}
  extra = {**OTHER_VALUES, "rng": jax.random.key(0), **in_tree}
  viewed = {"matrix_view": "flax"} if "matrix_view" in getattr(gx, name).signature.parameters else {}
  for transform in (made(name), made(name, **viewed)):
    state = jax.eval_shape(transform.init, params)
    updates, _ = jax.eval_shape(lambda state, t=transform: t.update(params, state, params, **extra), state)
    assert jax.tree.map(jnp.shape, updates) == jax.tree.map(jnp.shape, params)
