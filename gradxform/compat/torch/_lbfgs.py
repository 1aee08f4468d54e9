"""torch's limited-memory BFGS."""

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_choice, check_integer, check_not_negative
from gradxform.combinators import chain
from gradxform.compat.torch._namespace import optimizer
from gradxform.compat.torch._strong_wolfe import strong_wolfe
from gradxform.core import Hyperparameter
from gradxform.rules import Slot, whole_tree
from gradxform.transforms import scale_by_learning_rate
from gradxform.transforms._quasi_newton import _two_loops, _unless_zero
from gradxform.tree import computing_dtype, vdot

_LEAST_CURVATURE = 1e-10
_EVALUATIONS = 25  # torch's for its 20 iterations


@optimizer
def lbfgs(
  lr: Hyperparameter = 1.0,
  max_iter: int = 1,
  max_eval: int | None = None,
  tolerance_grad: Hyperparameter = 1e-7,
  tolerance_change: Hyperparameter = 1e-9,
  history_size: int = 100,
  line_search_fn: str | None = None,
):
  """torch.optim.LBFGS: the inverse Hessian from the last steps; one update is one iteration.

      p ← p − lr · α · B g,   B by the two-loop recursion, α = 1 or by a line search
      p ← p − lr · min(1, 1 / ‖g‖₁) · α · g   at first

  torch's ``step(closure)`` makes up to 20 iterations, as many updates here: with an objective that
  is always the same, k updates go where one step with ``max_iter=k`` goes. It does not move any more
  where a tolerance is met.

  Args:
    lr: the step, or where the line search begins.
    max_iter: iterations in one update, which is 1.
    max_eval: with a line search, evaluations of the objective in one update, the one that gave the
      gradient included; 25, torch's for 20 iterations, if not given.
    tolerance_grad: the largest element of the gradient at which it rests.
    tolerance_change: the slope, and the width of a line search's bracket, at which it rests.
    history_size: the number of pairs kept, for which there is room from the start.
    line_search_fn: ``strong_wolfe``, which wants ``value``, ``grad`` and ``value_fn`` in `update`, or None.

  Raises:
    ValueError: if ``max_iter`` is not 1; if `update` is not given the parameters.
    TypeError: for complex updates.

  Source: ``torch.optim.LBFGS``, from Schmidt's minFunc; Nocedal & Wright 2006, algorithm 7.5.
  `gradxform.lbfgs` is our own.
  """
  if max_iter != 1:
    remedy = "one update is one iteration, so call `update` that many times"
    raise ValueError(f"`lbfgs(max_iter=...)` must be 1, got {max_iter!r}: {remedy}.")
  directions = lbfgs_directions(history_size, tolerance_grad, tolerance_change)
  fixed = chain(directions, scale_by_learning_rate(lr))
  if line_search_fn is None:
    return fixed
  check_choice("lbfgs", ("strong_wolfe",), line_search_fn=line_search_fn)
  evaluations = _EVALUATIONS if max_eval is None else max_eval
  check_integer("lbfgs", minimum=1, max_eval=evaluations)
  return chain(fixed, strong_wolfe(evaluations - 1, tolerance_change))


@optimizer
def lbfgs_directions(
  history_size: int = 100, tolerance_grad: Hyperparameter = 1e-7, tolerance_change: Hyperparameter = 1e-9
):
  """Torch's form of the limited-memory BFGS direction.

      s = p − p′;   y = g − g′;   remembered if y·s > 1e-10
      u ← B g  by the two-loop recursion, from B₀ = (y·s / y·y) I;   min(1, 1 / ‖g‖₁) · g at first

  Where no element of g is larger than the one tolerance, it emits 0 and stays as it is; where u·g is
  less than the other, it emits 0.

  Args:
    history_size: the number m of pairs kept, at least 1.
    tolerance_grad: of the gradient's largest element; at least 0.
    tolerance_change: of the slope u·g; at least 0.

  State: ``params`` p′ and ``gradient`` g′, like the parameters; ``steps`` s and ``changes`` y,
  ``[m, …]`` each; ``weights`` 1 / y·s, ``[m]``; ``scale`` y·s / y·y; ``stored``, the pairs remembered,
  and ``iterations``, so far.

  Raises:
    ValueError: if `update` is not given the parameters.
    TypeError: for complex updates.

  Source: ``torch.optim.LBFGS``. `gradxform.scale_by_lbfgs` remembers every pair with y·s > 0, and
  starts anew where a line search has failed.
  """
  check_integer("lbfgs_directions", minimum=1, history_size=history_size)
  check_not_negative("lbfgs_directions", tolerance_grad=tolerance_grad, tolerance_change=tolerance_change)
  stacked = Slot(shape=lambda shape: (history_size, *shape))

  def rule(
    updates, params, gradient, steps, changes,
    *, param, tolerance_grad, tolerance_change, weights, scale, stored, iterations,
  ):  # fmt: skip
    largest, total = _norms(updates)
    rests = largest <= tolerance_grad
    s, y = _difference(param, params), _difference(updates, gradient)
    curvature = vdot(y, s)
    usable = ~rests & (iterations > 0) & (curvature > _LEAST_CURVATURE)

    def remember(stack, new):
      return jnp.where(usable, stack.at[stored % history_size].set(new.astype(stack.dtype)), stack)

    steps, changes = jax.tree.map(remember, steps, s), jax.tree.map(remember, changes, y)
    weights = remember(weights, 1 / jnp.where(usable, curvature, 1))
    scale = jnp.where(usable, _unless_zero(curvature, vdot(y, y)).astype(scale.dtype), scale)
    stored = stored + usable.astype(stored.dtype)
    oldest_first = (stored + jnp.arange(history_size)) % history_size
    direction = _two_loops(updates, steps, changes, weights, scale, oldest_first)
    share = jnp.where(iterations > 0, 1, jnp.minimum(1, _unless_zero(1.0, total, 1.0)))
    share = jnp.where(rests | (vdot(updates, direction) < tolerance_change), 0, share)
    direction = jax.tree.map(lambda d: share.astype(d.dtype) * d, direction)
    params, gradient = _unless(rests, params, param), _unless(rests, gradient, updates)
    iterations = iterations + (~rests).astype(iterations.dtype)
    return direction, params, gradient, steps, changes, weights, scale, stored, iterations

  slots = {"params": 0.0, "gradient": 0.0, "steps": stacked, "changes": stacked}
  scalars = {
    "weights": lambda leaves: jnp.zeros(history_size, computing_dtype(*leaves)),
    "scale": 1.0,
    "stored": np.int32(0),
    "iterations": np.int32(0),
  }
  return whole_tree(
    "lbfgs_directions",
    rule,
    slots=slots,
    scalars=scalars,
    tolerance_grad=tolerance_grad,
    tolerance_change=tolerance_change,
  )


def _norms(updates):
  """The largest absolute value of all elements, and the sum of all."""
  leaves = [jnp.abs(g) for g in jax.tree.leaves(updates)]
  dtype = computing_dtype(*leaves)
  largest = [jnp.max(g, initial=0).astype(dtype) for g in leaves]
  total = [jnp.sum(g).astype(dtype) for g in leaves]
  return jnp.max(jnp.asarray(largest, dtype), initial=0), jnp.sum(jnp.asarray(total, dtype))


def _difference(new, old):
  return jax.tree.map(lambda a, b: a.astype(b.dtype) - b, new, old)


def _unless(stays, old, new):
  return jax.tree.map(lambda a, b: jnp.where(stays, a, b.astype(a.dtype)), old, new)
