"""Second derivatives of the objective: Newton's direction, and the diagonal of the Hessian."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gradxform._checks import check_integer, check_not_negative, check_real
from gradxform.combinators import chain, divide, identity
from gradxform.core import Hyperparameter, named
from gradxform.rules import whole_tree
from gradxform.tree import computing_dtype, quotient


def _flat(transform: str, value_fn: Any, param: Any) -> tuple[jax.Array, Any, Any]:
  """The parameters as one vector, the objective of such a vector, and the way back."""
  vector, unravel = ravel_pytree(param)
  check_real(transform, vector)
  return vector, lambda x: value_fn(unravel(x)), unravel


@named
def precondition_by_hessian(damping: Hyperparameter = 0.0):
  """Solves with the Hessian of the objective: Newton's direction.

      u ← (H + λ I)⁻¹ u,   H = ∇²f(p)

  The system is solved by an LU decomposition, never inverted: n² numbers, n³ operations for n
  parameters. Where H is indefinite the direction may lead to a maximum or a saddle, as Newton's
  method does; a λ beyond its most negative eigenvalue makes it a direction of descent.

  Args:
    damping: λ, at least 0.

  Raises:
    ValueError: if `update` is not given ``value_fn``, the objective as a function of the
      parameters, and the parameters.
    TypeError: for complex parameters.

  Source: Nocedal & Wright 2006, sections 3.3 and 3.4; the damping is Levenberg's (1944).
  """
  check_not_negative("precondition_by_hessian", damping=damping)

  def rule(updates, *, param, value_fn, damping):
    point, fn, unravel = _flat("precondition_by_hessian", value_fn, param)
    if not point.size:
      return updates
    vector, _ = ravel_pytree(updates)
    hessian = jax.hessian(fn)(point) + damping * jnp.eye(point.size, dtype=point.dtype)
    return unravel(jnp.linalg.solve(hessian, vector.astype(point.dtype)))

  return whole_tree("precondition_by_hessian", rule, damping=damping)


@named
def hessian_diagonal():
  """Emits the diagonal of the Hessian of the objective, exactly; ignores its input.

      u ← diag ∇²f(p)

  It takes as many Hessian-vector products as there are parameters, one after the other.

  Raises:
    ValueError: if `update` is not given ``value_fn`` and the parameters.
    TypeError: for complex parameters.

  Source: Becker & Le Cun 1988, for the use of the diagonal alone.
  """

  def rule(updates, *, param, value_fn):
    point, fn, unravel = _flat("hessian_diagonal", value_fn, param)
    if not point.size:
      return updates

    def entry(index: jax.Array) -> jax.Array:
      direction = jnp.zeros_like(point).at[index].set(1)
      return jax.jvp(jax.grad(fn), (point,), (direction,))[1][index]

    return unravel(jax.lax.map(entry, jnp.arange(point.size)))

  return whole_tree("hessian_diagonal", rule)


@named
def hutchinson_diagonal(samples: int = 1):
  """Emits Hutchinson's estimate of the diagonal of the Hessian; ignores its input.

      u ← mean over samples of z ⊙ H z,   z = ±1 at random,   H = ∇²f(p)

  Its expectation is the diagonal; it is exact where H is diagonal.

  Args:
    samples: the number of random vectors z, at least 1, each for one Hessian-vector product.

  Raises:
    ValueError: if `update` is not given ``value_fn``, a random ``key``, and the parameters.
    TypeError: for complex parameters.

  Source: Hutchinson 1989; Yao et al. 2021, AdaHessian, equation 6, https://arxiv.org/abs/2006.00719.
  """
  check_integer("hutchinson_diagonal", minimum=1, samples=samples)

  def rule(updates, *, param, value_fn, key):
    point, fn, unravel = _flat("hutchinson_diagonal", value_fn, param)
    if not point.size:
      return updates

    def sample(key: jax.Array) -> jax.Array:
      z = jax.random.rademacher(key, point.shape, dtype=point.dtype)
      return z * jax.jvp(jax.grad(fn), (point,), (z,))[1]

    return unravel(jnp.mean(jax.lax.map(sample, jax.random.split(key, samples)), axis=0))

  return whole_tree("hutchinson_diagonal", rule)


@named
def gauss_newton_bartlett():
  """Emits an estimate of the diagonal of a classifier's Gauss–Newton matrix, from drawn labels; ignores its input.

      u ← B · ĝ²,   ĝ = ∇ₚ mean over B examples of −log softmax(f(p))[ŷ],   ŷ ~ softmax(f(p))

  It is never negative, and its expectation is the diagonal of the Gauss–Newton matrix of the mean cross entropy,
  whatever the true labels are. It takes one more gradient. The model is an extra argument of `update`:

      update(grads, state, params, logits_fn=lambda params: model.apply(params, inputs), key=key)

  where the last axis of the logits is the classes, and the others are the examples (of a language model, all
  tokens). Where some do not count, as padding, ``logits_fn`` returns a pair: the logits, and weights
  of the shape of the examples, whose sum is B; where that is 0, so is the estimate.

  Raises:
    ValueError: if `update` is not given ``logits_fn``, a random ``key``, and the parameters.
    TypeError: for complex parameters.

  Source: Liu et al. 2023, Sophia, Algorithm 2, https://arxiv.org/abs/2305.14342.
  """

  def rule(updates, *, param, logits_fn, key):
    for leaf in jax.tree.leaves(param):
      check_real("gauss_newton_bartlett", leaf)
    if not jax.tree.leaves(param):
      return updates

    def loss(param: Any) -> tuple[jax.Array, jax.Array]:
      out = logits_fn(param)
      logits, weights = out if isinstance(out, tuple) else (out, jnp.ones(out.shape[:-1]))
      logits = jnp.asarray(logits, computing_dtype(logits))
      labels = jax.random.categorical(key, jax.lax.stop_gradient(logits))
      losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)[..., 0]
      weights = jnp.asarray(weights, losses.dtype)
      return quotient(jnp.sum(weights * losses), jnp.sum(weights)), jnp.sum(weights)

    grads, examples = jax.grad(loss, has_aux=True)(param)
    return jax.tree.map(lambda g: examples.astype(g.dtype) * jnp.square(g), grads)

  return whole_tree("gauss_newton_bartlett", rule)


@named
def precondition_by_hessian_diagonal(diagonal: Any = None):
  """Divides by the diagonal of the Hessian: each coordinate by its own curvature.

      u ← u / diag ∇²f(p),   0 where the curvature is 0

  Args:
    diagonal: what gives the diagonal: `hessian_diagonal()` if not given, or
      `hutchinson_diagonal()`, smoothed by `moving_average` if you like.

  Raises:
    ValueError: if `update` is not given ``value_fn`` (and a ``key`` for the estimate).

  Source: “Dive into Deep Learning”, section 12.3.3.2 (preconditioning).

  >>> import gradxform as gx
  >>> smoothed = gx.chain(gx.hutchinson_diagonal(), gx.absolute(), gx.moving_average(0.9))
  >>> print(gx.explain(gx.precondition_by_hessian_diagonal(smoothed)))
  divide(
    identity(),
    by=chain(hutchinson_diagonal(), absolute(), moving_average(decay=0.9)),
  )
  """
  return divide(identity(), by=hessian_diagonal() if diagonal is None else chain(diagonal))
