"""Steps as long as the distance gone so far, over the gradients seen: no learning rate to tune."""

import jax.numpy as jnp

from gradxform._checks import check_not_negative, check_positive
from gradxform.core import Hyperparameter, named
from gradxform.lifted import first_value
from gradxform.rules import Slot, per_array, whole_tree
from gradxform.transforms._start import START
from gradxform.tree import global_norm, minus, quotient, scaled, sqrt, squared_norm


def _first_distance(share, params):
  """What DoG takes for the distance before it has gone anywhere."""
  return first_value(share) * (1 + global_norm(params))


def _over_gradients(updates, start, longest, total, *, param, eps):
  """The rule of DoG, on a tree or on one array."""
  longest = jnp.maximum(longest, global_norm(minus(param, start)))
  total = total + squared_norm(updates)
  return scaled(quotient(longest, sqrt(total + eps)), updates), start, longest, total


@named
def scale_by_dog(init_step: Hyperparameter = 1e-6, eps: Hyperparameter = 1e-8):
  """Scales the updates by the longest distance from the start, over the norm of all gradients: DoG.

      r ← max(r, ‖p − p₀‖), at first α · (1 + ‖p₀‖);   G ← G + ‖g‖²;   u = r / √(G + eps) · g

  The norms are those of all leaves together; of each array, it is `scale_by_distance_over_gradients`.

  Args:
    init_step: α, small enough for the first step to do no harm; greater than 0. The authors have
      1e-6, and 1e-4 for models with batch normalization.
    eps: inside the root; at least 0.

  State: ``start``, the parameters p₀ that `init` was given; scalars ``longest`` r and ``total`` G.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Ivgi, Hinder & Carmon 2023, equation DoG, https://arxiv.org/abs/2302.12022;
  ``optax.contrib.dog``, whose ``init_step`` is ``("heuristic", α)``. Its ``("distance", r)``
  is α = r / (1 + ‖p₀‖).
  """
  check_positive("scale_by_dog", init_step=init_step)
  check_not_negative("scale_by_dog", eps=eps)

  def rule(updates, start, *, param, eps, longest, total):
    return _over_gradients(updates, start, longest, total, param=param, eps=eps)

  scalars = {"longest": lambda leaves: _first_distance(init_step, leaves), "total": 0.0}
  return whole_tree("scale_by_dog", rule, slots={"start": START}, scalars=scalars, eps=eps)


@named
def scale_by_distance_over_gradients(reps_rel: Hyperparameter = 1e-6, eps: Hyperparameter = 1e-8):
  """Scales each array by its longest distance from the start, over the norm of its gradients: LDoG.

      r ← max(r, ‖p − p₀‖), at first α · (1 + ‖p₀‖);   G ← G + ‖g‖²;   u = r / √(G + eps) · g

  Args:
    reps_rel: α, small enough for the first step to do no harm; greater than 0. The authors have
      1e-6, and 1e-4 for models with batch normalization.
    eps: inside the root; at least 0.

  State: ``start``, the parameters p₀ that `init` was given; ``longest`` r and ``total`` G, one
  number for each array.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Ivgi, Hinder & Carmon 2023, section 4, https://arxiv.org/abs/2302.12022;
  `optax.scale_by_distance_over_gradients`, whose ``global_scale`` is a `scale` after it.
  """
  check_positive("scale_by_distance_over_gradients", reps_rel=reps_rel)
  check_not_negative("scale_by_distance_over_gradients", eps=eps)

  longest = Slot(from_param=lambda param: _first_distance(reps_rel, param))
  slots = {"start": START, "longest": longest, "total": Slot(shape=lambda shape: (), real=True)}
  return per_array("scale_by_distance_over_gradients", _over_gradients, slots, eps=eps)


@named
def scale_by_dowg(init_estim_sq_dist: Hyperparameter | None = None, eps: Hyperparameter = 1e-4):
  """Scales the updates by the squared distance from the start, over gradients weighed by it: DoWG.

      r² ← max(r², ‖p − p₀‖²), at first r₀²;   v ← v + r² · ‖g‖²;   u = r² / (√v + eps) · g

  The norms are those of all leaves together.

  Args:
    init_estim_sq_dist: r₀², greater than 0; eps if not given.
    eps: outside the root; greater than 0.

  State: ``start``, the parameters p₀ that `init` was given; scalars ``longest`` r² and ``total`` v.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: Khaled, Mishchenko & Jin 2023, Algorithm 1, https://arxiv.org/abs/2305.16284;
  ``optax.contrib.dowg``.
  """
  first = eps if init_estim_sq_dist is None else init_estim_sq_dist
  check_positive("scale_by_dowg", init_estim_sq_dist=first, eps=eps)

  def rule(updates, start, *, param, eps, longest, total):
    longest = jnp.maximum(longest, squared_norm(minus(param, start)))
    total = total + longest * squared_norm(updates)
    return scaled(longest / (sqrt(total) + eps), updates), start, longest, total

  scalars = {"longest": lambda leaves: jnp.full((), first_value(first), float), "total": 0.0}
  return whole_tree("scale_by_dowg", rule, slots={"start": START}, scalars=scalars, eps=eps)
