# %% [markdown]
# # Newton and friends
#
# Methods that use curvature: Newton's, conjugate gradients, BFGS and L-BFGS. How fast is fast? The *order of
# convergence* $q$ and the *rate* $r$ say it: $e_{k+1} \approx r\,e_k^q$ for the error $e_k$ after $k$ steps. Gradient
# descent has $q = 1$, each step adds a fixed number of digits; Newton's method has $q = 2$, each step doubles them.

# %%
import jax
import jax.numpy as jnp

import gradxform as gx
from gradxform import objectives, plotting
from gradxform.trajectories import best_rates, convergence, convergence_table, race, record

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Newton's method
#
# It divides the gradient by the second derivative: it goes to the minimum of the parabola that fits here. On
# $\cosh(x / 2)$, from 10:

# %%
cosh = objectives.cosh()
path = record(gx.newton(), cosh, 10, start=10.0)
print(path.points[:, 0])
convergence(path)

# %%
plotting.line(path)

# %% [markdown]
# Twice the digits with each step, or even three times: $e_{k+1} \approx \frac{f^{(3)}}{2 f^{(2)}}\,e_k^2$, and the
# third derivative of $\cosh(x / 2)$ is 0 at its minimum.
#
# Where the curvature is negative, that parabola has a maximum, and there Newton's method goes. On
# $x \cos(0.15\pi x)$ it runs away from the start at 10 and ends on top of a hill. A learning rate of one half does
# not mend the direction, but here it happens to lead to a minimum:

# %%
wavy = objectives.wavy()
paths = race({"newton": gx.newton(), "newton(0.5)": gx.newton(0.5)}, wavy, 10, start=10.0)
for name, t in paths.items():
  print(name, t.points[-1, 0], t.final_value)
plotting.line(paths)

# %% [markdown]
# A damping $\lambda$ added to the second derivative, beyond the most negative one, makes it a direction of descent
# wherever one stands:

# %%
plotting.line(record(gx.damped_newton(damping=5.0), wavy, 20, start=10.0))

# %% [markdown]
# ## A curved valley
#
# Rosenbrock's function has its minimum at (1, 1), at the bottom of a bent valley.

# %%
rosenbrock = objectives.rosenbrock()
solvers = {
  "steepest_descent": gx.steepest_descent(),
  "nonlinear_cg": gx.nonlinear_cg(),
  "bfgs": gx.bfgs(),
  "newton": gx.newton(),
}
paths = race(solvers, rosenbrock, 60)
plotting.level_sets(paths)

# %%
plotting.values(paths)

# %% [markdown]
# Steepest descent reaches the valley at once, and then zigzags along it. Conjugate gradients remember the
# last direction, BFGS learns the inverse Hessian from the steps, Newton has it from the start. The order of
# convergence, read off the paths:

# %%
analyses = [convergence(t) for t in paths.values()]
print(convergence_table(analyses))

# %%
plotting.convergence_plot(analyses)

# %% [markdown]
# ## Theory, on quadratics
#
# For a quadratic with curvatures from $m$ to $L$, $\kappa = L / m$, the best learning rates are known, and with
# them the rates: $(\kappa - 1) / (\kappa + 1)$ for gradient descent, and for momentum
# $(\sqrt{\kappa} - 1) / (\sqrt{\kappa} + 1)$.
# Conjugate gradients need at most as many steps as there are variables.

# %%
bowl = objectives.bowl()
theory = best_rates(bowl)
best = {
  "sgd": gx.sgd(theory.learning_rate),
  "momentum": gx.momentum(theory.momentum_learning_rate, momentum=theory.momentum),
  "nonlinear_cg": gx.nonlinear_cg(linesearch=gx.exact_line_search()),
  "newton": gx.newton(),
}
analyses = [convergence(t) for t in race(best, bowl, 80).values()]
print(convergence_table(analyses))
theory

# %%
plotting.convergence_plot(analyses)

# %% [markdown]
# The column *theory* holds for any optimizer whose step is linear: it is the spectral radius of the step's
# Jacobian, which JAX computes, state included. Momentum comes near its rate slowly: at the best setting the
# root is double, and the errors fall like $k\,\rho^k$.

# %% [markdown]
# ## As a solver
#
# `minimize` runs any of them on a function of any pytree until the gradient is small, as one compiled loop:


# %%
def chained(tree):
  """Rosenbrock's function of 100 variables, kept in two arrays."""
  x = jnp.concatenate([tree["head"], tree["tail"]])
  return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


start = {"head": jnp.tile(jnp.array([-1.2, 1.0]), 20), "tail": jnp.tile(jnp.array([-1.2, 1.0]), 30)}
for optimizer in (gx.steepest_descent(), gx.nonlinear_cg(), gx.bfgs(), gx.lbfgs(), gx.newton()):
  result = gx.minimize(optimizer, chained, start, tolerance=1e-8, max_steps=2000)
  print(f"{optimizer.name:17} {result.evaluations:5} evaluations, {result.message}")
