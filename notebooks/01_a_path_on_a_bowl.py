# %% [markdown]
# # A path on a bowl
#
# Five classic optimizers descend on the same surface from the same start. The surface is
# $f(x, y) = 0.1\,x^2 + 2\,y^2$: twenty times steeper along $y$ than along $x$. It is the example of
# “Dive into Deep Learning”, chapters 12.3 and 12.6, whose numbers appear below.

# %%
import jax
import numpy as np

import gradxform as gx
from gradxform import objectives, plotting
from gradxform.trajectories import race, record, sensitivity

jax.config.update("jax_enable_x64", True)
STEPS = 20
bowl = objectives.bowl()
bowl

# %% [markdown]
# ## Gradient descent
#
# One rule: go against the gradient, by a learning rate. `record` runs it as one compiled loop and keeps
# the whole path.

# %%
path = record(gx.sgd(0.4), bowl, STEPS)
print(path.points[:4])
print("value after", path.steps, "steps:", path.final_value)

# %%
plotting.level_sets(path)

# %% [markdown]
# Along $y$ each step multiplies the coordinate by $1 - 0.4 \cdot 4 = -0.6$, so it jumps from wall to wall;
# along $x$ by $1 - 0.4 \cdot 0.2 = 0.92$, so it creeps. No learning rate is good for both: beyond
# $2 / 4 = 0.5$ the jumps grow.

# %%
rates = race({f"sgd({rate})": gx.sgd(rate) for rate in (0.05, 0.4, 0.52)}, bowl, STEPS)
plotting.values(rates)

# %% [markdown]
# Seven lines of NumPy do the same, to the last digits:

# %%
point = np.array([-4.0, -6.0])
for _ in range(STEPS):
  point = point - 0.4 * np.array([0.2, 4.0]) * point
print(point, path.points[STEPS])
assert np.allclose(point, path.points[STEPS], rtol=1e-12)

# %% [markdown]
# ## The five
#
# Momentum sums up past gradients: along $x$ they agree and add up, along $y$ they cancel. Adagrad,
# RMSprop and Adam divide each coordinate by the size of its own gradients, so that the steep
# direction loses its advantage. Momentum is 0.5 here, as in the book; with 0.9 its path circles.

# %%
five = {
  "sgd": gx.sgd(0.4),
  "momentum": gx.momentum(0.4, momentum=0.5),
  "adagrad": gx.adagrad(0.4),
  "rmsprop": gx.rmsprop(0.4),
  "adam": gx.adam(0.4),
}
paths = race(five, bowl, STEPS)
plotting.level_sets(paths)

# %%
print(f"{'':10} {'x':>12} {'y':>12} {'value':>12}")
for name, t in paths.items():
  print(f"{name:10} {t.points[-1, 0]:12.6f} {t.points[-1, 1]:12.6f} {t.final_value:12.3g}")

# %%
plotting.values(paths)

# %% [markdown]
# Adagrad sums squares and never forgets them, so its steps shrink like $1/\sqrt{t}$; RMSprop and Adam
# forget. Adam's first step has the length of the learning rate in every coordinate, whatever the gradient.
#
# The article that this comparison follows draws the surface of $\sqrt{f}$. It has the same level sets, but it
# is a cone, not a bowl: its gradient does not vanish towards the minimum. We draw what we descend on.

# %%
plotting.surface(paths)

# %% [markdown]
# ## Which learning rate, which momentum?
#
# An optimizer is a pytree of its hyperparameters, so a whole grid of them runs as one compiled call.

# %%
grid = {"learning_rate": np.geomspace(0.01, 2.0, 48), "momentum": np.linspace(0.0, 0.95, 48)}
result = sensitivity(gx.momentum(0.1), bowl, STEPS, grid=grid)
print("best:", result.best)
plotting.sensitivity_map(result)

# %% [markdown]
# Theory has the same answer: for the curvatures $m = 0.2$ and $L = 4$, the heavy ball is fastest with the
# learning rate $4 / (\sqrt{L} + \sqrt{m})^2 = 0.668$ and the momentum
# $((\sqrt{L} - \sqrt{m}) / (\sqrt{L} + \sqrt{m}))^2 = 0.403$. Try other surfaces: `objectives.OBJECTIVES` lists
# them all, and `gradxform race` draws such pictures from the command line.
