"""torch's optimizers as expressions: the laws for all, what is refused, and numbers by hand."""

import copy
import functools
import inspect
import pickle
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from examples import extras, signature_of

import gradxform as gx
from gradxform.compat import torch

OPTIMIZERS = [name for name in torch.__all__ if "lr" in getattr(torch, name).signature.parameters]
every = pytest.mark.parametrize("name", OPTIMIZERS)
# With the stages that are left out where a number is 0.
FULL = {
  "adafactor": {"weight_decay": 0.1, "eps": (1e-3, 1e-3), "d": 1.5},
  "sgd": {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1},
  "rmsprop": {"momentum": 0.9, "weight_decay": 0.1, "centered": True},
  "adagrad": {"lr_decay": 0.1, "weight_decay": 0.1},
  "lbfgs": {"lr": 0.5, "history_size": 4},
}


def params_like(dtype=jnp.float32):
  rng = np.random.default_rng(0)
  return {"w": jnp.asarray(rng.normal(size=(3, 4)), dtype), "v": jnp.asarray(rng.normal(size=(2, 3)), dtype)}


def grads_like(params, index, dtype=None):
  rng = np.random.default_rng(100 + index)
  return {name: jnp.asarray(rng.normal(size=p.shape), dtype or p.dtype) for name, p in params.items()}


def full(name):
  takes_decay = "weight_decay" in getattr(torch, name).signature.parameters
  return getattr(torch, name)(**FULL.get(name, {"weight_decay": 0.1} if takes_decay else {}))


def update(transform, grads, state, params):
  return transform.update(grads, state, params, **extras(params, grads))


def run(transform, params, steps=2, compiled=True):
  state = transform.init(params)
  one = functools.partial(update, optax.with_extra_args_support(transform))
  one = jax.jit(one) if compiled else one
  for index in range(steps):
    updates, state = one(grads_like(params, index), state, params)
    params = gx.apply_updates(params, updates)
  return params, state


@every
def test_prints_as_python_that_makes_it_again(name):
  transform = full(name)
  again = eval(repr(transform), {"torch": torch})
  assert (again, hash(again), repr(again)) == (transform, hash(transform), repr(transform))
  assert repr(transform).startswith(f"torch.{name}(")
  inside = gx.chain(gx.clip(1.0), transform)
  assert eval(repr(inside), {**vars(gx), "torch": torch}) == inside


@every
def test_survives_pickle_and_copies(name):
  transform = full(name)
  assert pickle.loads(pickle.dumps(transform)) == copy.deepcopy(transform) == transform


@every
def test_says_what_it_is_made_of(name):
  assert gx.explain(full(name)).startswith("chain(")
  factory = getattr(torch, name)
  assert gx.formula(factory)
  for argument in factory.signature.parameters:
    assert f"  {argument}: " in inspect.getdoc(factory), argument
  assert "Source: " in inspect.getdoc(factory)


@every
def test_compiled_equals_eager(name, strict):
  params = params_like()
  chex.assert_trees_all_close(run(full(name), params), run(full(name), params, compiled=False), rtol=1e-5, atol=1e-6)


@every
@pytest.mark.parametrize("dtypes", [("bfloat16", "float32"), ("float32", "bfloat16"), ("bfloat16", "bfloat16")])
def test_keeps_dtypes_and_holds_its_slots_in_float32(name, dtypes, strict):
  transform, params = full(name), params_like(dtypes[1])
  state = transform.init(params)
  grads = grads_like(params, 0, dtypes[0])
  updates, new = jax.jit(functools.partial(update, transform))(grads, state, params)
  assert signature_of(updates) == signature_of(grads)
  assert signature_of(new) == signature_of(state)
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(new) if leaf.ndim)


def test_the_search_of_lbfgs_keeps_the_laws_too(strict):
  search, params = torch.lbfgs(history_size=2, line_search_fn="strong_wolfe"), params_like("bfloat16")
  state = search.init(params)
  updates, new = jax.jit(functools.partial(update, search))(grads_like(params, 0), state, params)
  assert (signature_of(updates), signature_of(new)) == (signature_of(params), signature_of(state))
  assert eval(gx.explain(search), {**vars(gx), "torch": torch}).init(params).keys() == state.keys()


@every
def test_works_inside_and_around_optax(name):
  params, (alone, _) = params_like(), run(full(name), params_like())
  for transform in (optax.chain(optax.identity(), full(name)), gx.chain(optax.identity(), full(name))):
    chex.assert_trees_all_close(run(transform, params)[0], alone, rtol=1e-6, atol=1e-7)


@every
def test_a_population_of_learning_rates_equals_its_single_runs(name):
  params, factory = params_like(), getattr(torch, name)
  rates = jnp.asarray([0.1, 0.01])
  together = jax.jit(jax.vmap(lambda lr: run(factory(lr=lr), params, compiled=False)[0]))(rates)
  for index, lr in enumerate([0.1, 0.01]):
    member = jax.tree.map(lambda leaf, index=index: leaf[index], together)
    chex.assert_trees_all_close(member, run(factory(lr=lr), params)[0], rtol=1e-4, atol=1e-5)


@every
def test_every_number_may_be_a_schedule_or_an_argument_of_the_compiled_step(name):
  params, transform = params_like(), full(name)
  wanted, state = run(transform, params)
  numbers = {path: v for path, v in gx.hyperparameters(transform).items() if isinstance(v, float)}
  scheduled = gx.replace(transform, {path: optax.constant_schedule(v) for path, v in numbers.items()})
  chex.assert_trees_all_close(run(scheduled, params)[0], wanted, rtol=1e-5, atol=1e-6)
  as_argument = jax.jit(lambda t, state: run(t, params, compiled=False)[1])(transform, state)
  assert signature_of(as_argument) == signature_of(state)


@every
def test_hyperparameters_can_be_read_and_replaced(name):
  transform = full(name)
  values = gx.hyperparameters(transform)
  assert gx.replace(transform, values) == transform
  for path in [path for path, value in values.items() if isinstance(value, float)]:
    nearby = gx.replace(transform, {path: values[path] * 0.99})
    assert gx.hyperparameters(nearby)[path] == values[path] * 0.99
    assert jax.tree.structure(nearby) == jax.tree.structure(transform)


def test_the_numbers_of_a_tuple_have_their_own_paths():
  assert gx.replace(torch.adam(), {"betas.1": 0.95}) == torch.adam(betas=(0.9, 0.95))
  assert gx.hyperparameters(gx.chain(torch.rprop()))["rprop.step_sizes.1"] == 50.0


@every
def test_flags_that_change_no_number_are_taken_and_dropped(name):
  factory = getattr(torch, name)
  assert factory(foreach=True, fused=False, capturable=True, differentiable=True) == factory()


def test_importing_it_does_not_import_torch():
  code = "from gradxform.compat import torch; import sys; print('torch' in sys.modules, 'adamw' in dir(torch))"
  assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "True"]


@pytest.mark.parametrize(
  ("call", "message"),
  [
    (lambda: torch.adam(lr=-1.0), r"`adam\(lr=...\)` must be finite and at least 0, got -1.0"),
    (lambda: torch.adam(betas=(0.9, 1.5)), r"`adam\(betas\[1\]=...\)` must be in \[0, 1\), got 1.5"),
    (lambda: torch.adamw(betas=(-0.1, 0.9)), r"`adamw\(betas\[0\]=...\)` must be in \[0, 1\), got -0.1"),
    (lambda: torch.adamw(betas=0.9), r"`adamw\(betas=...\)` must be a tuple of 2, got 0.9"),
    (lambda: torch.adam(eps=-1.0), r"`adam\(eps=...\)` must be finite and at least 0"),
    (lambda: torch.nadam(weight_decay=-1.0), r"`nadam\(weight_decay=...\)` must be finite and at least 0"),
    (lambda: torch.nadam(momentum_decay=-1.0), r"`nadam\(momentum_decay=...\)` must be finite and at least 0"),
    (lambda: torch.sgd(momentum=-1.0), r"`sgd\(momentum=...\)` must be in \[0, 1\], got -1.0"),
    (lambda: torch.sgd(nesterov=True), r"`sgd\(nesterov=True\)` needs a momentum greater than 0 and no dampening"),
    (
      lambda: torch.sgd(momentum=0.9, dampening=0.1, nesterov=True),
      r"needs a momentum greater than 0 and no dampening, got momentum=0.9, dampening=0.1",
    ),
    (lambda: torch.rprop(etas=(0.5, 0.9)), r"`rprop\(etas\[1\]=...\)` must be greater than 1, got 0.9"),
    (lambda: torch.rprop(etas=(0.5, 1.2, 2.0)), r"`rprop\(etas=...\)` must be a tuple of 2"),
    (lambda: torch.sparseadam(eps=0.0), r"`sparseadam\(eps=...\)` must be greater than 0"),
    (lambda: torch.adagrad(lr_decay=-1.0), r"`adagrad\(lr_decay=...\)` must be finite and at least 0"),
    (lambda: torch.adam(amsgrad="yes"), r"`adam\(amsgrad=...\)` must be True or False, got 'yes'"),
    (lambda: torch.adam(maximize=None), r"`adam\(maximize=...\)` must be True or False, got None"),
    (lambda: torch.lbfgs(max_iter=20), r"`lbfgs\(max_iter=...\)` must be 1, got 20: one update is one iteration"),
    (lambda: torch.lbfgs(line_search_fn="armijo"), r"`lbfgs\(line_search_fn=...\)` must be one of 'strong_wolfe'"),
    (lambda: torch.lbfgs(history_size=0), r"`lbfgs\(history_size=...\)` must be at least 1, got 0"),
    (lambda: torch.lbfgs(max_eval=0, line_search_fn="strong_wolfe"), r"`lbfgs\(max_eval=...\)` must be at least 1"),
    (lambda: torch.lbfgs(tolerance_grad=-1.0), r"`lbfgs\(tolerance_grad=...\)` must be finite and at least 0"),
    (lambda: torch.adafactor(beta2_decay=0.8), r"`adafactor\(beta2_decay=...\)` must be at most 0, got 0.8"),
    (lambda: torch.adafactor(d=0.5), r"`adafactor\(d=...\)` must be at least 1, got 0.5"),
    (lambda: torch.adafactor(eps=(None, -1.0)), r"`adafactor\(eps\[1\]=...\)` must be finite and at least 0"),
    (lambda: torch.muon(ns_steps=100), r"`muon\(ns_steps=...\)` must be from 1 to 99, got 100"),
    (lambda: torch.muon(ns_coefficients=(1.0, 2.0)), r"`muon\(ns_coefficients=...\)` must be a tuple of 3"),
    (lambda: torch.muon(adjust_lr_fn="rms"), r"`muon\(adjust_lr_fn=...\)` must be one of None, 'original'"),
    (lambda: torch.muon().init(jnp.ones(3)), r"`muon` is for matrices, got an array of shape \(3,\)"),
    (lambda: torch.adam([jnp.ones(2)]), r"`adam\(lr=...\)` must be a number, a scalar array or a schedule"),
    (lambda: torch.adam(learning_rate=0.1), r"`adam`: .*learning_rate.*Its arguments are: lr, betas, eps"),
  ],
)
def test_wrong_arguments_are_named_as_they_were_given(call, message):
  with pytest.raises((ValueError, TypeError), match=message):
    call()


def test_dampening_spares_the_first_step():
  damped = torch.sgd(lr=1.0, momentum=0.5, dampening=0.25)
  state = damped.init(0.0)
  moved = []
  for _ in range(3):
    u, state = damped.update(1.0, state, 0.0)
    moved.append(float(u))
  assert moved == [-1.0, -1.25, -1.375]


def test_what_is_switched_off_leaves_no_trace():
  assert list(torch.sgd().init(1.0)) == ["count"]
  assert jax.tree.leaves(torch.sgd(lr=0.1)) == [0.1]
  assert jax.tree.leaves(torch.sgd(lr=0.1, momentum=0)) == jax.tree.leaves(torch.sgd(lr=0.1, momentum=0.0))
  assert "trace" in torch.sgd(momentum=0.9).init(1.0)
  updates, _ = torch.adam().update(1.0, torch.adam().init(1.0))  # without decay, no parameters
  assert float(updates) == pytest.approx(-1e-3)


def test_asgd_keeps_the_average_of_where_it_was_from_t0_on():
  transform = torch.asgd(lr=1.0, lambd=0.0, t0=1.0)
  params, state = jnp.asarray(0.0), transform.init(jnp.asarray(0.0))
  averages = []
  for _ in range(4):
    params, state = transform.step(jnp.asarray(-1.0), state, params)
    averages.append(float(state["average_iterates"]["ax"]))
  assert (float(params), averages) == (4.0, [1.0, 2.0, 3.0, 3.5])
