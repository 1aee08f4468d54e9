"""All of torch.optim with every option that changes a number, and our names that say the same: 100 steps, to 1e-12."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx
from gradxform.compat import torch as ours
from gradxform.compat.torch import _matrices

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradxform[parity]'")

STEPS = 100
CLASSES = {
  name: cls
  for name, cls in vars(torch.optim).items()
  if inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
}
HOW_A_STEP_IS_RUN = {"foreach", "fused", "capturable", "differentiable"}  # changes no number
TREES = (
  {"w": (4, 3), "b": (3,)},
  [(5,)],
  {"scalar": (), "kernel": (2, 2, 2)},
  ({"row": (1, 4)},),
  [(2, 3)],
)

# Class and options; ours has the same under the class's name in lower case.
THEIRS = {
  "ASGD": ("ASGD", {}),
  "ASGD averages": ("ASGD", {"lr": 0.1, "lambd": 0.02, "alpha": 0.6, "t0": 20, "weight_decay": 0.1}),
  "ASGD up": ("ASGD", {"lr": 1e-3, "maximize": True, "weight_decay": 0.1}),
  "Adadelta": ("Adadelta", {}),
  "Adadelta options": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
  "Adadelta up": ("Adadelta", {"maximize": True}),
  "Adafactor": ("Adafactor", {}),
  "Adafactor options": ("Adafactor", {"lr": 0.5, "beta2_decay": -0.3, "eps": (0.1, 0.2), "d": 1.5}),
  "Adafactor without average": ("Adafactor", {"lr": 0.5, "beta2_decay": 0}),
  "Adafactor with decay": ("Adafactor", {"lr": 0.05, "weight_decay": 0.1}),
  "Adafactor up": ("Adafactor", {"weight_decay": 0.1, "maximize": True}),
  "Adagrad": ("Adagrad", {}),
  "Adagrad falling": ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-3, "lr_decay": 0.05}),
  "Adagrad with L2": ("Adagrad", {"weight_decay": 0.1}),
  "Adagrad up": ("Adagrad", {"weight_decay": 0.1, "maximize": True}),
  "Adam": ("Adam", {}),
  "Adam options": ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}),
  "Adam with L2": ("Adam", {"lr": 0.01, "weight_decay": 0.1}),
  "Adam decoupled": ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
  "Adam amsgrad": ("Adam", {"lr": 0.01, "betas": (0.9, 0.9), "amsgrad": True}),
  "Adam up": ("Adam", {"lr": 0.01, "weight_decay": 0.1, "maximize": True}),
  "AdamW": ("AdamW", {}),
  "AdamW options": ("AdamW", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
  "AdamW without decay": ("AdamW", {"lr": 0.01, "weight_decay": 0}),
  "AdamW amsgrad": ("AdamW", {"lr": 0.01, "betas": (0.9, 0.9), "amsgrad": True}),
  "AdamW up": ("AdamW", {"lr": 0.01, "maximize": True}),
  "Adamax": ("Adamax", {}),
  "Adamax options": ("Adamax", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 0.1, "weight_decay": 0.1}),
  "Adamax up": ("Adamax", {"maximize": True}),
  "Muon": ("Muon", {}),
  "Muon options": ("Muon", {"lr": 0.01, "momentum": 0.8, "eps": 0.5, "weight_decay": 0.3}),
  "Muon without Nesterov": ("Muon", {"lr": 0.01, "nesterov": False, "weight_decay": 0}),
  "Muon as large as AdamW's": ("Muon", {"lr": 0.01, "adjust_lr_fn": "match_rms_adamw"}),
  "Muon in other steps": ("Muon", {"lr": 0.01, "ns_coefficients": (1.5, -0.5, 0.0), "ns_steps": 12}),
  "NAdam": ("NAdam", {}),
  "NAdam options": ("NAdam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "momentum_decay": 0.1}),
  "NAdam with L2": ("NAdam", {"weight_decay": 0.1}),
  "NAdam decoupled": ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
  "NAdam up": ("NAdam", {"maximize": True}),
  "RAdam": ("RAdam", {}),
  "RAdam options": ("RAdam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-2}),
  "RAdam with L2": ("RAdam", {"lr": 0.01, "weight_decay": 0.1}),
  "RAdam decoupled": ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
  "RAdam up": ("RAdam", {"lr": 0.01, "maximize": True}),
  "RMSprop": ("RMSprop", {}),
  "RMSprop options": ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
  "RMSprop with momentum": ("RMSprop", {"momentum": 0.9}),
  "RMSprop centred": ("RMSprop", {"centered": True}),
  "RMSprop centred with momentum": ("RMSprop", {"centered": True, "momentum": 0.5, "weight_decay": 0.1}),
  "RMSprop up": ("RMSprop", {"maximize": True}),
  "Rprop": ("Rprop", {}),
  "Rprop options": ("Rprop", {"lr": 0.1, "etas": (0.6, 1.3), "step_sizes": (0.02, 0.5)}),
  "Rprop up": ("Rprop", {"maximize": True, "step_sizes": (1e-6, 0.1)}),
  "SGD": ("SGD", {}),
  "SGD with momentum": ("SGD", {"lr": 0.01, "momentum": 0.9}),
  "SGD with L2": ("SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
  "SGD damped": ("SGD", {"lr": 0.01, "momentum": 0.9, "dampening": 0.4}),
  "SGD damped without momentum": ("SGD", {"lr": 0.01, "dampening": 0.4}),
  "SGD nesterov": ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
  "SGD up": ("SGD", {"lr": 1e-3, "momentum": 0.5, "weight_decay": 0.1, "maximize": True}),
  "SparseAdam": ("SparseAdam", {}),
  "SparseAdam options": ("SparseAdam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-2}),
  "SparseAdam up": ("SparseAdam", {"maximize": True}),
}

# It wants an objective; one update is one of its iterations.
LBFGS_ROWS = {
  "defaults": {},
  "shorter": {"lr": 0.5, "history_size": 3},
  "rests at a gradient": {"tolerance_grad": 1e-2},
  "rests at a slope": {"tolerance_change": 1e-3},
  "searches": {"line_search_fn": "strong_wolfe"},
  "searches from afar": {"line_search_fn": "strong_wolfe", "lr": 30.0, "history_size": 2},
  "searches from nearby": {"line_search_fn": "strong_wolfe", "lr": 1e-3},
  "searches with two trials": {"line_search_fn": "strong_wolfe", "lr": 3.0, "max_eval": 3},
  "searches roughly": {"line_search_fn": "strong_wolfe", "lr": 0.7, "tolerance_change": 1e-2},
}

L2 = gx.add_decayed_weights(0.1)

# Our own names, where they have torch's numbers.
ROWS = {
  "sgd": (gx.sgd(0.01), "SGD", {"lr": 0.01}),
  "sgd with L2": (gx.chain(L2, gx.sgd(0.01)), "SGD", {"lr": 0.01, "weight_decay": 0.1}),
  "momentum": (gx.momentum(0.01), "SGD", {"lr": 0.01, "momentum": 0.9}),
  "momentum with L2": (gx.chain(L2, gx.momentum(0.01)), "SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
  "nesterov": (gx.nesterov(0.01), "SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
  "adagrad eps 0": (gx.adagrad(0.01, eps=0.0), "Adagrad", {"lr": 0.01, "initial_accumulator_value": 0.1, "eps": 0.0}),
  "adadelta": (gx.adadelta(), "Adadelta", {}),
  "adadelta options": (gx.adadelta(0.5, rho=0.8, eps=1e-3), "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3}),
  "adam": (gx.adam(0.01), "Adam", {"lr": 0.01}),
  "adam options": (gx.adam(0.01, b1=0.8, b2=0.95, eps=1e-3), "Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}),
  "adamw": (gx.adamw(0.01, weight_decay=0.01), "AdamW", {"lr": 0.01}),
  "adamw options": (
    gx.adamw(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
    "AdamW",
    {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
  ),
  "adamax": (gx.adamax(0.01), "Adamax", {"lr": 0.01}),
  "adamax options": (gx.adamax(0.01, b2=0.95, eps=0.1), "Adamax", {"lr": 0.01, "betas": (0.9, 0.95), "eps": 0.1}),
  "nadam with a constant momentum": (gx.nadam(0.01), "NAdam", {"lr": 0.01, "momentum_decay": 1e9}),
  "radam with eps 0": (gx.radam(0.01, eps=0.0), "RAdam", {"lr": 0.01, "eps": 0.0}),
  "rprop": (gx.rprop(0.01), "Rprop", {"lr": 0.01}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def double(float64):
  torch.set_default_dtype(torch.float64)  # NAdam keeps its product in the default dtype, ASGD its rate
  yield
  torch.set_default_dtype(torch.float32)


def start(trees=TREES):
  """Parameters of these shapes: a tree with normal numbers."""
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda shape: jnp.asarray(rng.normal(size=shape)), trees, is_leaf=_is_shape)


def _is_shape(node):
  return isinstance(node, tuple) and all(isinstance(length, int) for length in node)


def slope(p, t, sin=np.sin):
  """A gradient that depends on where the parameter is, and on the step; nowhere 0."""
  return 3 * p + sin(5 * p + t)


def run_theirs(name, options, params, steps=STEPS, shape_of_rate=None):
  """Where torch's optimizer takes the parameters."""
  tensors = [torch.tensor(np.asarray(leaf), requires_grad=True) for leaf in jax.tree.leaves(params)]
  optimizer = CLASSES[name](tensors, **options)
  scheduler = shape_of_rate and torch.optim.lr_scheduler.LambdaLR(optimizer, shape_of_rate)
  for t in range(steps):
    for tensor in tensors:
      grad = slope(tensor.detach(), t, torch.sin)
      tensor.grad = grad.to_sparse() if name == "SparseAdam" and grad.ndim else grad
    optimizer.step()
    if scheduler:
      scheduler.step()
  return optimizer, [tensor.detach().numpy() for tensor in tensors]


def run_ours(transform, params, steps=STEPS):
  """Where ours takes them."""
  state, step = transform.init(params), jax.jit(transform.step)
  for t in range(steps):
    grads = jax.tree.map(lambda p, t=t: slope(np.asarray(p), t), params)
    params, state = step(grads, state, params)
  return state, jax.tree.leaves(params)


def assert_close(mine, theirs):
  for a, b in zip(mine, theirs, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def trees_for(name):
  """SparseAdam's gradients have an index, which a scalar has not; Muon's parameters are matrices."""
  if name == "Muon":
    return ({"w": (4, 3)}, [(3, 4)], {"square": (3, 3)}, ({"row": (1, 4)},), [(4, 1)])
  return TREES if name != "SparseAdam" else (*TREES[:2], {"kernel": (2, 2, 2)}, *TREES[3:])


def here(name):
  return getattr(ours, name.lower())


@pytest.fixture
def newton_schulz_in_float64(monkeypatch):
  """Of both Muons: their bfloat16 hides everything else."""
  in_float64(monkeypatch)


def in_float64(monkeypatch):
  monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
  monkeypatch.setattr(_matrices, "_COMPUTED_IN", None)


@pytest.mark.usefixtures("newton_schulz_in_float64")
@pytest.mark.parametrize("row", THEIRS)
def test_the_numbers_are_torchs(row):
  name, options = THEIRS[row]
  params = start(trees_for(name))
  theirs = run_theirs(name, options, params)[1]
  assert_close(run_ours(here(name)(**options), params)[1], theirs)


@pytest.mark.parametrize("row", ROWS)
def test_plain_names_have_torchs_numbers(row):
  transform, name, options = ROWS[row]
  assert_close(run_ours(transform, start())[1], run_theirs(name, options, start())[1])


@pytest.mark.usefixtures("newton_schulz_in_float64")
@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"LBFGS"}))
def test_a_schedule_is_read_as_torchs_scheduler_sets_it(name):
  params, options = start(trees_for(name)), {"lr": 0.01}
  falling = lambda count: 0.01 * (1 + 0.5 * jnp.cos(0.3 * jnp.asarray(count, float)))
  theirs = run_theirs(name, options, params, 40, lambda epoch: 1 + 0.5 * math.cos(0.3 * epoch))[1]
  assert_close(run_ours(here(name)(lr=falling), params, 40)[1], theirs)


def test_the_average_of_asgd_is_torchs():
  options = {"lr": 0.1, "t0": 20.0, "lambd": 0.02}
  optimizer, _ = run_theirs("ASGD", options, start())
  state, _ = run_ours(ours.asgd(**options), start())
  theirs = [kept["ax"].numpy() for kept in optimizer.state.values()]
  assert_close(jax.tree.leaves(optax.tree.get(state, "ax")), theirs)


def test_muon_computes_in_bfloat16_as_torch_does(monkeypatch):
  params = start(trees_for("Muon"))
  options = {"lr": 1.0, "weight_decay": 0.0}
  theirs, mine = run_theirs("Muon", options, params, 1)[1], run_ours(ours.muon(**options), params, 1)[1]
  in_float64(monkeypatch)
  exact = run_theirs("Muon", options, params, 1)[1]
  apart = lambda a, b: max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))
  rounding = apart(theirs, exact)
  assert 0.01 < rounding < 0.1  # of updates of about 1
  assert apart(mine, exact) > 0.1 * rounding
  assert apart(mine, theirs) < 2 * rounding


def test_split_into_real_and_imaginary_complex_numbers_are_torchs_too():
  params = [p + 1j * p[::-1] for p in start([(5,), (4, 3)])]
  theirs = run_theirs("Adam", {"lr": 0.01}, params)[1]
  split = gx.chain(optax.contrib.split_real_and_imaginary(ours.adam(lr=0.01)))
  assert_close(run_ours(split, params)[1], theirs)


def valley(x, total):
  """A curved valley: the sum over neighbours of (xᵢ₊₁ − xᵢ²)², and of (1 − x)²."""
  return total((1 - x) ** 2) + total((x[1:] - x[:-1] ** 2) ** 2)


def run_their_lbfgs(options, params, steps):
  tensors = [torch.tensor(np.asarray(leaf), requires_grad=True) for leaf in jax.tree.leaves(params)]
  optimizer = torch.optim.LBFGS(tensors, **options)

  def closure():
    optimizer.zero_grad()
    loss = valley(torch.cat([tensor.reshape(-1) for tensor in tensors]), torch.sum)
    loss.backward()
    return loss

  for _ in range(steps):
    optimizer.step(closure)
  return optimizer.state[tensors[0]], [tensor.detach().numpy() for tensor in tensors]


def run_our_lbfgs(options, params, steps):
  transform = ours.lbfgs(**options)
  objective = lambda q: valley(jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(q)]), jnp.sum)

  def step(carry, _):
    params, state = carry
    value, grad = jax.value_and_grad(objective)(params)
    return transform.step(grad, state, params, value=value, grad=grad, value_fn=objective), None

  carry = (params, transform.init(params))
  params, state = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=steps)[0])(carry)
  return state, jax.tree.leaves(params)


@pytest.mark.parametrize(
  ("row", "tree"),
  [
    *((row, number % len(TREES)) for number, row in enumerate(LBFGS_ROWS)),
    *(("defaults", tree) for tree in range(1, len(TREES))),
    *(("searches", tree) for tree in range(len(TREES) - 1)),
  ],
)
def test_iterations_of_lbfgs_are_torchs(row, tree):
  options, params = LBFGS_ROWS[row], jax.tree.map(lambda p: 0.3 * p, start(TREES[tree]))
  kept, theirs = run_their_lbfgs({"max_iter": 1, "max_eval": 25, **options}, params, STEPS)
  state, mine = run_our_lbfgs(options, params, STEPS)
  assert_close(mine, theirs)
  assert optax.tree.get(state, "iterations") == kept["n_iter"]
  trials = optax.tree.get(state, "evaluations", 0)
  assert trials == kept["func_evals"] - STEPS if "line_search_fn" in options else trials == 0


def test_a_step_of_torch_is_as_many_updates_as_it_has_iterations():
  params = jax.tree.map(lambda p: 0.3 * p, start(TREES[0]))
  _, theirs = run_their_lbfgs({"max_iter": 12, "line_search_fn": "strong_wolfe", "max_eval": 100}, params, 1)
  _, mine = run_our_lbfgs({"line_search_fn": "strong_wolfe"}, params, 12)
  assert_close(mine, theirs)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_of_torch_is_here_with_its_arguments_and_defaults(name):
  theirs = dict(inspect.signature(CLASSES[name]).parameters)
  del theirs["params"]
  changing = [argument for argument in theirs if argument not in HOW_A_STEP_IS_RUN]
  mine = here(name).signature.parameters
  assert list(mine) == changing
  for argument in changing:
    expected = DEFAULTS_OF_OUR_OWN.get((name, argument), theirs[argument].default)
    assert mine[argument].default == expected, argument
  assert name.lower() in ours.__all__


# One update is one iteration of L-BFGS.
DEFAULTS_OF_OUR_OWN = {("LBFGS", "max_iter"): 1}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_argument_that_changes_numbers_is_pinned(name):
  rows = [options for cls, options in THEIRS.values() if cls == name]
  rows += [{"max_iter": 1, **options} for options in LBFGS_ROWS.values()] if name == "LBFGS" else []
  by_its_schedule = {"lr"}
  assert set(here(name).signature.parameters) - by_its_schedule <= {option for options in rows for option in options}
