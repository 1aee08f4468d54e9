"""Quasi-Newton directions: the inverse Hessian learnt from the steps and what they did to the gradient."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gradxform._checks import check_integer, check_real
from gradxform.core import named
from gradxform.rules import Slot, whole_tree
from gradxform.tree import computing_dtype, global_norm, vdot


def _unless_zero(numerator, divisor, otherwise=0.0):
  return jnp.where(divisor == 0, otherwise, numerator / jnp.where(divisor == 0, 1, divisor))


@named
def scale_by_bfgs():
  """Multiplies by the BFGS approximation of the inverse Hessian, one matrix for all parameters.

      s = p − p′;   y = g − g′;   ρ = 1 / y·s
      B ← (I − ρ s yᵀ) B (I − ρ y sᵀ) + ρ s sᵀ;   u ← B g

  B starts as the identity, scaled to a step of length at most 1, and before its first update to
  y·s / y·y. A pair with y·s ≤ 0 is passed over, so that B stays positive definite; a line search
  with the Wolfe conditions never makes one. After a step that moved nothing, such as that of a line
  search that failed, it starts anew. It keeps n² numbers for n parameters.

  State: ``inverse`` B, ``[n, n]``; ``params`` p′ and ``gradient`` g′, like the parameters.

  Raises:
    ValueError: if `update` is not given the parameters.
    TypeError: for complex updates.

  Source: Nocedal & Wright 2006, algorithm 6.1 and equation 6.20.
  """

  def rule(updates, params, gradient, *, param, t, inverse):
    g, unravel = ravel_pytree(updates)
    check_real("scale_by_bfgs", g)
    s = (ravel_pytree(param)[0] - ravel_pytree(params)[0]).astype(inverse.dtype)
    y = (g - ravel_pytree(gradient)[0]).astype(inverse.dtype)
    eye = jnp.eye(g.size, dtype=inverse.dtype)
    restart = (t == 1) | (jnp.vdot(s, s) == 0)
    inverse = jnp.where(restart, eye, inverse)
    curvature = jnp.vdot(y, s)
    usable = ~restart & (curvature > 0)
    rho = jnp.where(usable, 1 / jnp.where(usable, curvature, 1), 0)
    is_first = usable & jnp.all(inverse == eye)
    inverse = jnp.where(is_first, _unless_zero(curvature, jnp.vdot(y, y), 1.0), 1.0).astype(inverse.dtype) * inverse
    turned = inverse @ y  # the product written out: n² operations, and symmetric to the last digit
    crossed = jnp.outer(turned, rho * s)
    inverse = inverse - crossed - crossed.T + (rho * jnp.vdot(y, turned) + 1) * jnp.outer(rho * s, s)
    inverse = jnp.where(jnp.all(jnp.isfinite(inverse)), inverse, eye)
    first = jnp.minimum(1, _unless_zero(1.0, jnp.linalg.norm(g), 1.0)).astype(g.dtype)
    direction = jnp.where(restart, first * g, (inverse @ g).astype(g.dtype))
    return unravel(direction), param, updates, inverse

  def first_inverse(leaves):
    size = sum(jnp.size(leaf) for leaf in leaves)
    return jnp.eye(size, dtype=computing_dtype(*leaves))

  return whole_tree("scale_by_bfgs", rule, slots=("params", "gradient"), scalars={"inverse": first_inverse})


@named
def scale_by_lbfgs(memory_size: int = 10):
  """Multiplies by the limited-memory BFGS approximation of the inverse Hessian.

      s = p − p′;   y = g − g′;   of the last m steps
      u ← B g  by the two-loop recursion, from B₀ = (y·s / y·y) I

  At the first step, and after one that moved nothing (a line search that failed), u is g scaled to a
  length of at most 1, and no pair is remembered. Pairs with y·s ≤ 0 are passed over; Optax takes
  them, and torch passes over those with y·s ≤ 1e-10.

  Args:
    memory_size: the number m of pairs kept, at least 1.

  State: ``params`` p′ and ``gradient`` g′, like the parameters; ``steps`` s and ``changes`` y,
  ``[m, …]`` each; ``weights`` 1 / y·s, ``[m]``.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Nocedal & Wright 2006, algorithms 7.4 and 7.5; `optax.scale_by_lbfgs`.
  """
  check_integer("scale_by_lbfgs", minimum=1, memory_size=memory_size)
  stacked = Slot(shape=lambda shape: (memory_size, *shape))

  def rule(updates, params, gradient, steps, changes, *, param, count, weights):
    s = jax.tree.map(jnp.subtract, param, params)
    y = jax.tree.map(jnp.subtract, updates, gradient)
    curvature = vdot(y, s)
    restart = (count == 0) | (vdot(s, s) == 0)
    usable = ~restart & (curvature > 0)
    weight = jnp.where(usable, 1 / jnp.where(usable, curvature, 1), 0)
    # A pair that is not usable leaves its place empty: with weight 0 the recursion passes it over.
    last = (count - 1) % memory_size
    steps, changes = (
      jax.tree.map(lambda stack, new: stack.at[last].set(jnp.where(usable, new, 0)), stacks, new)
      for stacks, new in ((steps, s), (changes, y))
    )
    weights = jnp.where(restart, 0, weights.at[last].set(weight.astype(weights.dtype)))
    first = jnp.minimum(1, _unless_zero(1.0, global_norm(updates), 1.0))
    scale = jnp.where(restart, first, jnp.where(usable, _unless_zero(curvature, vdot(y, y), 1.0), 1.0))
    oldest_first = (count + jnp.arange(memory_size)) % memory_size
    return _two_loops(updates, steps, changes, weights, scale, oldest_first), param, updates, steps, changes, weights

  slots = {"params": 0.0, "gradient": 0.0, "steps": stacked, "changes": stacked}
  scalars = {"weights": lambda leaves: jnp.zeros(memory_size, computing_dtype(*map(_real, leaves)))}
  return whole_tree("scale_by_lbfgs", rule, slots=slots, scalars=scalars)


def _real(leaf):
  return jnp.real(jnp.asarray(leaf))


def _two_loops(updates, steps, changes, weights, scale, oldest_first):
  """Algorithm 7.4 of Nocedal & Wright; the pairs in the order of their indices, oldest first."""

  def pair(index):
    return (jax.tree.map(lambda stack: stack[index], stacks) for stacks in (steps, changes))

  def towards(vector, index):
    s, y = pair(index)
    alpha = weights[index] * vdot(s, vector)
    return jax.tree.map(lambda v, c: v - alpha.astype(v.dtype) * c, vector, y), alpha

  def back(vector, index_and_alpha):
    index, alpha = index_and_alpha
    s, y = pair(index)
    beta = weights[index] * vdot(y, vector)
    return jax.tree.map(lambda v, c: v + (alpha - beta).astype(v.dtype) * c, vector, s), None

  vector, alphas = jax.lax.scan(towards, updates, oldest_first, reverse=True)
  vector = jax.tree.map(lambda v: scale.astype(v.dtype) * v, vector)
  return jax.lax.scan(back, vector, (oldest_first, alphas))[0]
