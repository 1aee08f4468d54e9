"""torch.optim, where our expressions say the same: 100 steps in float64, to 1e-12."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradxform[parity]'")

STEPS = 100
START = [np.random.default_rng(1).normal(size=shape) for shape in [(3,), (4, 3), (2, 2, 2), (1,)]]


def outside(decay, eps):
  """RMSprop's divisor with eps outside the root, as torch has it."""
  return gx.chain(gx.square(), gx.moving_average(decay), gx.root(eps))


def centred(decay, eps):
  squares = gx.chain(gx.square(), gx.moving_average(decay))
  mean_squared = gx.chain(gx.moving_average(decay), gx.square())
  return gx.chain(gx.subtract(squares, mean_squared), gx.root(eps))


def over(divisor, *rest):
  return gx.chain(gx.divide(gx.identity(), by=divisor), *rest, gx.scale_by_learning_rate(0.01))


def adagrad(initial, eps, rate):
  divisor = gx.chain(gx.square(), gx.running_sum(initial), gx.root(eps))
  return gx.chain(gx.divide(gx.identity(), by=divisor), gx.scale_by_learning_rate(rate))


def nadam(rate, b1=0.9, b2=0.999, eps=1e-8, momentum_decay=4e-3):
  mu = lambda count: b1 * (1 - 0.5 * 0.96 ** ((count + 1.0) * momentum_decay))
  ahead = gx.chain(gx.moving_average(b1), gx.bias_correction(mu, lead=1), gx.scale(lambda count: mu(count + 1)))
  present = gx.chain(gx.bias_correction(mu), gx.scale(lambda count: 1 - mu(count)))
  second = gx.chain(gx.square(), gx.moving_average(b2), gx.bias_correction(b2), gx.root(eps))
  return gx.chain(gx.divide(gx.add(ahead, present), by=second), gx.scale_by_learning_rate(rate))


def amsgrad(rate, b1=0.9, b2=0.999, eps=1e-8):
  second = gx.chain(gx.square(), gx.moving_average(b2), gx.running_max(), gx.bias_correction(b2), gx.root(eps))
  first = gx.chain(gx.scale_by_momentum(b1), gx.bias_correction(b1))
  return gx.chain(gx.divide(first, by=second), gx.scale_by_learning_rate(rate))


def radam(rate, b1=0.9, b2=0.999, eps=1e-8):
  """RAdam with eps added to the uncorrected root, as torch has it."""
  second = gx.chain(gx.square(), gx.moving_average(b2), gx.root(eps), gx.bias_correction(b2, power=0.5), gx.rectify(b2))
  first = gx.chain(gx.scale_by_momentum(b1), gx.bias_correction(b1))
  return gx.chain(gx.divide(first, by=second), gx.scale_by_learning_rate(rate))


L2 = gx.add_decayed_weights(0.1)

ROWS = {
  "sgd": (gx.sgd(0.01), "SGD", {"lr": 0.01}),
  "sgd with L2": (gx.chain(L2, gx.sgd(0.01)), "SGD", {"lr": 0.01, "weight_decay": 0.1}),
  "momentum": (gx.momentum(0.01), "SGD", {"lr": 0.01, "momentum": 0.9}),
  "momentum with L2": (gx.chain(L2, gx.momentum(0.01)), "SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
  "nesterov": (gx.nesterov(0.01), "SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
  "adagrad": (adagrad(0.0, 1e-10, 0.01), "Adagrad", {"lr": 0.01}),
  "adagrad options": (
    adagrad(0.2, 1e-3, lambda count: 0.1 / (1 + 0.05 * count)),
    "Adagrad",
    {"lr": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-3, "lr_decay": 0.05},
  ),
  "adagrad plain name, eps 0": (
    gx.adagrad(0.01, eps=0.0),
    "Adagrad",
    {"lr": 0.01, "initial_accumulator_value": 0.1, "eps": 0.0},
  ),
  "adadelta": (gx.adadelta(), "Adadelta", {}),
  "adadelta options": (gx.adadelta(0.5, rho=0.8, eps=1e-3), "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3}),
  "adadelta with L2": (gx.chain(L2, gx.adadelta()), "Adadelta", {"weight_decay": 0.1}),
  "rmsprop": (over(outside(0.99, 1e-8)), "RMSprop", {"lr": 0.01}),
  "rmsprop with momentum": (over(outside(0.99, 1e-8), gx.trace(0.9)), "RMSprop", {"lr": 0.01, "momentum": 0.9}),
  "rmsprop centred": (over(centred(0.99, 1e-8)), "RMSprop", {"lr": 0.01, "centered": True}),
  "adam": (gx.adam(0.01), "Adam", {"lr": 0.01}),
  "adam options": (gx.adam(0.01, b1=0.8, b2=0.95, eps=1e-3), "Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}),
  "adam with L2": (gx.chain(L2, gx.adam(0.01)), "Adam", {"lr": 0.01, "weight_decay": 0.1}),
  "adam amsgrad": (amsgrad(0.01, b2=0.9), "Adam", {"lr": 0.01, "betas": (0.9, 0.9), "amsgrad": True}),
  "adamw": (gx.adamw(0.01, weight_decay=0.01), "AdamW", {"lr": 0.01}),
  "adamw options": (
    gx.adamw(0.01, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.1),
    "AdamW",
    {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
  ),
  "adamax": (gx.adamax(0.01), "Adamax", {"lr": 0.01}),
  "adamax options": (gx.adamax(0.01, b2=0.95, eps=0.1), "Adamax", {"lr": 0.01, "betas": (0.9, 0.95), "eps": 0.1}),
  "adamax with L2": (gx.chain(L2, gx.adamax(0.01)), "Adamax", {"lr": 0.01, "weight_decay": 0.1}),
  "nadam with a constant momentum": (gx.nadam(0.01), "NAdam", {"lr": 0.01, "momentum_decay": 1e9}),
  "nadam": (nadam(0.002), "NAdam", {}),
  "nadam options": (nadam(0.002, b1=0.8, momentum_decay=0.1), "NAdam", {"betas": (0.8, 0.999), "momentum_decay": 0.1}),
  "radam with eps 0": (gx.radam(0.01, eps=0.0), "RAdam", {"lr": 0.01, "eps": 0.0}),
  "radam": (radam(0.01), "RAdam", {"lr": 0.01}),
  "radam options": (radam(0.01, 0.8, 0.95, 1e-2), "RAdam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-2}),
  "radam with L2": (gx.chain(L2, radam(0.01)), "RAdam", {"lr": 0.01, "weight_decay": 0.1}),
  "rprop": (gx.rprop(0.01), "Rprop", {"lr": 0.01}),
  "rprop options": (
    gx.rprop(0.1, eta_minus=0.6, eta_plus=1.3, min_step_size=0.02, max_step_size=0.5),
    "Rprop",
    {"lr": 0.1, "etas": (0.6, 1.3), "step_sizes": (0.02, 0.5)},
  ),
  "nadam with L2": (gx.chain(L2, nadam(0.002)), "NAdam", {"weight_decay": 0.1}),
}  # fmt: skip


@pytest.fixture
def double_torch():
  torch.set_default_dtype(torch.float64)  # NAdam keeps its product in the default dtype
  yield
  torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("row", ROWS)
def test_the_numbers_are_torchs(row, float64, double_torch):
  ours, name, options = ROWS[row]
  tensors = [torch.tensor(leaf, dtype=torch.float64, requires_grad=True) for leaf in START]
  optimizer = getattr(torch.optim, name)(tensors, **options)
  params = [jnp.asarray(leaf) for leaf in START]
  state, step = ours.init(params), jax.jit(ours.step)
  for t in range(STEPS):
    for tensor in tensors:
      tensor.grad = 3 * tensor.detach() + torch.sin(5 * tensor.detach() + t)
    grads = [3 * np.asarray(p) + np.sin(5 * np.asarray(p) + t) for p in params]
    optimizer.step()
    params, state = step(grads, state, params)
  for mine, theirs in zip(params, tensors, strict=True):
    np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-12, atol=1e-12)
