"""Error of updates in float32 against the same library's own in float64, over 1,000 steps.

The same gradients, which float32 holds exactly, go to gradxform, Optax and torch, in float32 and in
float64; parameters are held at 0, so that the error is that of the update alone and differences of
rule do not count. The error is the greatest of all elements and steps, relative to the greatest update.
"""

import harness
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

import gradxform as gx

STEPS, SIZE, RATE = 1000, 1000, 1e-3

# Ours, Optax's, torch's class and options.
SIDES = {
  "momentum": (gx.momentum(RATE), optax.sgd(RATE, 0.9), "SGD", {"momentum": 0.9}),
  "nesterov": (gx.nesterov(RATE), optax.sgd(RATE, 0.9, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
  "adagrad": (gx.adagrad(RATE), optax.adagrad(RATE), "Adagrad", {}),
  "adadelta": (gx.adadelta(RATE), optax.adadelta(RATE), "Adadelta", {}),
  "rmsprop": (gx.rmsprop(RATE), optax.rmsprop(RATE), "RMSprop", {"alpha": 0.9}),
  "adam": (gx.adam(RATE), optax.adam(RATE), "Adam", {}),
  "adam, b2 = 0.9999": (gx.adam(RATE, b2=0.9999), optax.adam(RATE, b2=0.9999), "Adam", {"betas": (0.9, 0.9999)}),
  "adamax": (gx.adamax(RATE), optax.adamax(RATE), "Adamax", {}),
  "amsgrad": (gx.amsgrad(RATE), optax.amsgrad(RATE), "Adam", {"amsgrad": True}),
  "nadam": (gx.nadam(RATE), optax.nadam(RATE), "NAdam", {}),
  "radam": (gx.radam(RATE), optax.radam(RATE), "RAdam", {}),
}


def gradients():
  """Noise around a mean that drifts, in a hundred sizes; exact in float32."""
  rng = np.random.default_rng(0)
  means = np.cumsum(0.05 * rng.normal(size=(STEPS, SIZE)), axis=0)
  return ((means + rng.normal(size=(STEPS, SIZE))) * np.geomspace(1e-3, 1e3, SIZE)).astype(np.float32)


def in_jax(transform, dtype):
  with jax.enable_x64(dtype == np.float64):
    params, grads = jnp.zeros(SIZE, dtype), jnp.asarray(gradients(), dtype)

    def step(state, grad):
      update, state = transform.update(grad, state, params)
      return state, update

    return np.asarray(jax.jit(lambda: jax.lax.scan(step, transform.init(params), grads)[1])(), np.float64)


def in_torch(name, options, dtype):
  param = torch.zeros(SIZE, dtype=dtype, requires_grad=True)
  optimizer, updates = getattr(torch.optim, name)([param], lr=RATE, **options), []
  for gradient in gradients():
    param.grad = torch.tensor(gradient).to(dtype)
    optimizer.step()
    updates.append(param.detach().numpy().astype(np.float64))
    with torch.no_grad():
      param.zero_()
  return np.array(updates)


def error(single, double):
  return float(np.max(np.abs(single - double)) / np.max(np.abs(double)))


def main():
  rows = []
  for name, (ours, theirs, torchs, options) in SIDES.items():
    torch.set_default_dtype(torch.float64)  # NAdam keeps its product in the default dtype
    double = in_torch(torchs, options, torch.float64)
    torch.set_default_dtype(torch.float32)
    rows.append(
      {
        "optimizer": name,
        "gradxform": error(in_jax(ours, np.float32), in_jax(ours, np.float64)),
        "optax_error": error(in_jax(theirs, np.float32), in_jax(theirs, np.float64)),
        "torch_error": error(in_torch(torchs, options, torch.float32), double),
      }
    )
  harness.record("float32_error", rows)


if __name__ == "__main__":
  main()
