# %% [markdown]
# # Adam from its parts
#
# In gradxform an optimizer is an expression of small transforms. Here we build Adam from them, look
# inside, take parts out to see what each is for, and put them back.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradxform as gx
from gradxform import objectives, plotting
from gradxform.trajectories import race, record

jax.config.update("jax_enable_x64", True)
STEPS = 60


def build(first, second, learning_rate=0.4):
  """A ratio of two filters of the gradient, and a learning rate."""
  return gx.chain(gx.divide(first, by=second), gx.scale_by_learning_rate(learning_rate))


mean = gx.chain(gx.scale_by_momentum(0.9), gx.bias_correction(0.9))
size = gx.chain(gx.square(), gx.moving_average(0.999), gx.bias_correction(0.999), gx.root(eps=1e-8))
adam = build(mean, size)
adam

# %% [markdown]
# It is the Adam that has the name, and Optax's:

# %%
params = {"w": jnp.array([0.5, -1.0]), "b": jnp.array(2.0)}
grads = {"w": jnp.array([0.1, -3.0]), "b": jnp.array(0.7)}
for t in (adam, gx.adam(0.4), optax.adam(0.4)):
  updates, _ = t.update(grads, t.init(params), params)
  print(updates)

# %% [markdown]
# `explain` writes out what a name stands for, and the state can be read: one slot for each filter.

# %%
print(gx.explain(gx.adam(0.4)))

# %%
adam.init(params)

# %% [markdown]
# ## Break it
#
# Three Adams, each with a part missing. `named` gives an expression a name: the result prints as the call,
# and has its arguments for hyperparameters.


# %%
@gx.named
def uncorrected(learning_rate):
  """Adam without bias correction."""
  return build(gx.scale_by_momentum(0.9), gx.chain(gx.square(), gx.moving_average(0.999), gx.root(1e-8)), learning_rate)


@gx.named
def unsmoothed(learning_rate):
  """Adam without a first moment."""
  return build(gx.identity(), size, learning_rate)


@gx.named
def undivided(learning_rate):
  """Adam without a second moment."""
  return gx.chain(mean, gx.scale_by_learning_rate(learning_rate))


broken = [gx.adam(0.4), uncorrected(0.4), unsmoothed(0.4), undivided(0.4)]
bowl = objectives.bowl()
paths = race(broken, bowl, STEPS)
for name, t in paths.items():
  first_step = np.linalg.norm(t.points[1] - t.points[0])
  print(f"{name:12} first step {first_step:6.3f}   value at the end {t.final_value:10.3g}")

# %%
plotting.level_sets(paths)

# %%
plotting.values(paths)

# %% [markdown]
# - `uncorrected`: without bias correction the first step is $(1 - 0.9) / \sqrt{1 - 0.999} = 3.2$ times as long: the
#   mean starts too small by ten, the size by thirty. On this bowl a long first step even helps; in the
#   training of a network it is what a warm-up is there to prevent.
# - `unsmoothed`: without a first moment nothing is averaged. Here, where gradients are exact, that is the best of the
#   four: the average is what makes Adam overshoot. It pays where gradients are noisy.
# - `undivided`: without a second moment it is a moving average of gradients, and the steep direction sets the pace:
#   the first step is 17 times as long.
#
# ## Put it back, with a difference
#
# Other algorithms are other expressions. AMSGrad takes the greatest size so far, Nadam looks ahead; what
# differs between them is what you read:

# %%
print(gx.explain(gx.amsgrad(0.4)))
print()
print(gx.explain(gx.nadam(0.4)))

# %% [markdown]
# ## It is a pytree
#
# Its leaves are its hyperparameters. So a population of Adams is one `vmap`, and the derivative of a
# training's result with respect to the optimizer is one `grad`.

# %%
gx.hyperparameters(gx.adam(0.4))


# %%
def final_value(optimizer):
  """The value after 30 steps on the bowl."""

  def step(carry, _):
    point, state = carry
    return optimizer.step(jax.grad(bowl.fn)(point), state, point), None

  start = jnp.asarray(bowl.start)
  (point, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=30)
  return bowl.fn(point)


population = jax.vmap(gx.adam)(jnp.linspace(0.1, 1.0, 10))
for rate, value in zip(population.arguments["learning_rate"], jax.jit(jax.vmap(final_value))(population), strict=True):
  print(f"learning rate {rate:.1f}: {value:8.4f}")

# %%
slope = jax.grad(final_value)(gx.adam(0.3))
print(slope)

# %% [markdown]
# The slope tells which way to turn each knob. Follow it, in the logarithm of the learning rate, and the
# optimizer tunes itself:

# %%
log_rate = jnp.log(0.1)
tune = jax.jit(jax.value_and_grad(lambda s: jnp.log(final_value(gx.adam(jnp.exp(s))))))
for _ in range(12):
  value, derivative = tune(log_rate)
  log_rate = log_rate - 0.1 * jnp.clip(derivative, -3, 3)
print(f"learning rate 0.1 → {jnp.exp(log_rate):.3f}, value {final_value(gx.adam(0.1)):.3g} → {jnp.exp(value):.3g}")

# %%
tuned = {"adam(0.1)": gx.adam(0.1), "tuned": gx.adam(float(jnp.exp(log_rate)))}
plotting.values({name: record(t, bowl, 30) for name, t in tuned.items()})
