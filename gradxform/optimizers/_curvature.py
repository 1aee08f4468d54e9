"""Second-order methods and line searches. `update` and `step` want ``value``, ``grad`` and ``value_fn``."""

from typing import Any

from gradxform.combinators import chain
from gradxform.core import Hyperparameter, named
from gradxform.transforms import (
  add_decayed_weights,
  backtracking_line_search,
  conjugate_directions,
  precondition_by_hessian,
  scale,
  scale_by_bfgs,
  scale_by_lbfgs,
  scale_by_learning_rate,
  zoom_line_search,
)
from gradxform.wrappers import scale_by_sophia, scale_by_sophia_g


@named
def newton(learning_rate: Hyperparameter = 1.0):
  """Newton's method: solves for the zero of the gradient's linear model.

      p ← p − a · H⁻¹ g,   H = ∇²f(p)

  Args:
    learning_rate: the share a of the full step, which is 1.

  Source: Nocedal & Wright 2006, section 3.3. Where H is indefinite it may climb.
  """
  return chain(precondition_by_hessian(), scale_by_learning_rate(learning_rate))


@named
def damped_newton(learning_rate: Hyperparameter = 1.0, *, damping: Hyperparameter = 1e-3):
  """Newton's method with a damped Hessian.

      p ← p − a · (H + λ I)⁻¹ g,   H = ∇²f(p)

  Args:
    learning_rate: the share a of the full step.
    damping: λ, at least 0.

  Source: Levenberg 1944; Nocedal & Wright 2006, section 3.4.
  """
  return chain(precondition_by_hessian(damping), scale_by_learning_rate(learning_rate))


@named
def steepest_descent(*, linesearch: Any = None):
  """Gradient descent with a line search in place of a learning rate.

      p ← p − α g,   α by the line search

  Args:
    linesearch: `backtracking_line_search(guess="scaled")` if not given.

  Source: Cauchy 1847; Nocedal & Wright 2006, section 3.3.
  """
  return chain(scale(-1.0), backtracking_line_search(guess="scaled") if linesearch is None else linesearch)


@named
def nonlinear_cg(*, formula: str = "polak_ribiere", linesearch: Any = None):
  """Nonlinear conjugate gradients.

      d ← g + β d;   p ← p − α d,   α by the line search

  Args:
    formula: for β: ``fletcher_reeves``, ``polak_ribiere`` or ``hestenes_stiefel``.
    linesearch: ``zoom_line_search(curvature=0.1, guess="scaled")`` if not given.

  Source: Nocedal & Wright 2006, algorithm 5.4.
  """
  search = zoom_line_search(curvature=0.1, guess="scaled") if linesearch is None else linesearch
  return chain(conjugate_directions(formula), scale(-1.0), search)


@named
def bfgs(*, linesearch: Any = None):
  """BFGS: learns the inverse Hessian, one matrix for all parameters.

      p ← p − α B g,   B by the BFGS formula, α by the line search

  Args:
    linesearch: `zoom_line_search()` if not given.

  Source: Nocedal & Wright 2006, algorithm 6.1.
  """
  return chain(scale_by_bfgs(), scale(-1.0), zoom_line_search() if linesearch is None else linesearch)


@named
def lbfgs(*, memory_size: int = 10, linesearch: Any = None):
  """Limited-memory BFGS: the inverse Hessian from the last few steps.

      p ← p − α B g,   B by the two-loop recursion, α by the line search

  Args:
    memory_size: the number of pairs kept.
    linesearch: `zoom_line_search()` if not given.

  Source: Liu & Nocedal 1989; Nocedal & Wright 2006, algorithm 7.5. `optax.lbfgs` has another zoom;
  torch's LBFGS makes many iterations in one step, with a fixed rate unless told otherwise.
  """
  search = zoom_line_search() if linesearch is None else linesearch
  return chain(scale_by_lbfgs(memory_size), scale(-1.0), search)


@named
def sophia(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.965,
  b2: Hyperparameter = 0.99,
  eps: Hyperparameter = 1e-8,
  gamma: Hyperparameter = 0.01,
  weight_decay: Hyperparameter = 1e-4,
  update_interval: int = 10,
  hessian_diagonal_fn: Any = None,
):
  """Sophia: momentum divided by a bound on the curvature, which is estimated at every tenth step.

      p ← p − a · (scale_by_sophia(g) + λ · p)

  `update` and `step` want ``value_fn`` and a ``key`` at each step.

  Args:
    learning_rate: the step a, and the largest change of an element but for the decay.
    b1: decay of the momentum.
    b2: decay of the average of the estimates.
    eps: the least divisor.
    gamma: multiplies the average of the estimates; the larger, the fewer elements are clipped.
    weight_decay: λ, of all parameters.
    update_interval: the number of steps for one estimate, at least 1.
    hessian_diagonal_fn: what gives the estimate: `hutchinson_diagonal()` if not given.

  Source: Liu et al. 2023, https://arxiv.org/abs/2305.14342, as in ``optax.contrib.sophia`` (see
  `scale_by_sophia`), whose estimate draws other signs.
  """
  core = scale_by_sophia(hessian_diagonal_fn, update_interval, b1=b1, b2=b2, eps=eps, gamma=gamma)
  return chain(core, add_decayed_weights(weight_decay), scale_by_learning_rate(learning_rate))


@named
def sophia_g(
  learning_rate: Hyperparameter,
  *,
  b1: Hyperparameter = 0.965,
  b2: Hyperparameter = 0.99,
  eps: Hyperparameter = 1e-15,
  gamma: Hyperparameter = 0.04,
  weight_decay: Hyperparameter = 0.1,
  update_interval: int = 10,
  hessian_diagonal_fn: Any = None,
):
  """Sophia-G: for classifiers, whose curvature is estimated from labels that the model itself draws.

      p ← p − a · (scale_by_sophia_g(g) + λ · p)

  `update` and `step` want the model on the batch, and a key, at each step; at every tenth they use them:

      step(grads, state, params, logits_fn=lambda params: model.apply(params, inputs), key=key)

  Args:
    learning_rate: the step a, and the largest change of an element but for the decay.
    b1: decay of the momentum.
    b2: decay of the average of the estimates.
    eps: added to the divisor.
    gamma: multiplies the average of the estimates; the larger, the fewer elements are clipped.
    weight_decay: λ, of all parameters.
    update_interval: the number of steps for one estimate, and before the first, at least 1.
    hessian_diagonal_fn: what gives the estimate: `gauss_newton_bartlett()` if not given.

  Source: Liu et al. 2023, https://arxiv.org/abs/2305.14342, as in the authors' ``SophiaG`` (see
  `scale_by_sophia_g`). Optax's Sophia, with another divisor and a corrected momentum, is `sophia`.
  """
  core = scale_by_sophia_g(hessian_diagonal_fn, update_interval, b1=b1, b2=b2, eps=eps, gamma=gamma)
  return chain(core, add_decayed_weights(weight_decay), scale_by_learning_rate(learning_rate))
