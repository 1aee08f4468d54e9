"""Logistic regression on real data as an objective: smooth, convex, of some ten variables."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradxform._checks import check_positive, rejected
from gradxform.objectives._objective import Objective, registered

_MAX_STEPS = 100
_TOLERANCE = 1e-13


@registered
def logistic_regression(x: Any = None, y: Any = None, *, l2: float = 1e-2) -> Objective:
  """Makes the loss of a logistic regression, and finds its minimum by Newton's method.

      f(w, b) = mean(log(1 + exp(zᵢ)) − yᵢ·zᵢ) + ½ λ‖w‖²,   z = x w + b

  A point is ``[w…, b]``: n is the number of features and 1.

  Args:
    x: the inputs, ``[examples, features]``; if not given, the 30 features of 569 tumours
      (Breast Cancer Wisconsin, from scikit-learn), each with mean 0 and deviation 1.
    y: the labels, 0 or 1, both of them present; given if x is.
    l2: the weight λ of the penalty, greater than 0; b bears none.

  Raises:
    ValueError: for data that do not fit, or an l2 that is not greater than 0.
    ModuleNotFoundError: if the data are to be loaded and scikit-learn is not installed.
  """
  check_positive("logistic_regression", l2=l2)
  source = "Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, section 4.4"
  if x is None and y is None:
    x, y = _breast_cancer()
    source += "; Wolberg, Street & Mangasarian 1993, Breast Cancer Wisconsin (Diagnostic), from scikit-learn"
  x, y = _checked(x, y)
  minimum = _newton(x, y, l2)

  def fn(point):
    inputs, labels = jnp.asarray(x, point.dtype), jnp.asarray(y, point.dtype)
    weights, bias = point[:-1], point[-1]
    logits = inputs @ weights + bias
    return jnp.mean(jax.nn.softplus(logits) - labels * logits) + 0.5 * l2 * jnp.sum(weights**2)

  side = float(np.ceil(np.abs(minimum).max() + 0.5))
  return Objective(
    name="logistic_regression",
    fn=fn,
    formula="mean(log(1 + exp(zᵢ)) − yᵢzᵢ) + ½λ‖w‖², z = xw + b",
    start=np.zeros(minimum.size),
    minima=minimum[None],
    minimum=_loss(minimum, x, y, l2),
    window=((-side, side),) * minimum.size,
    source=source,
  )


def _breast_cancer() -> tuple[np.ndarray, np.ndarray]:
  from sklearn.datasets import load_breast_cancer

  bunch: Any = load_breast_cancer()
  x, y = bunch["data"], bunch["target"]
  return (x - x.mean(axis=0)) / x.std(axis=0), y


def _checked(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
  """The data in float64, if they fit."""
  if x is None or y is None:
    missing = "x" if x is None else "y"
    raise rejected(ValueError, "logistic_regression", missing, None, "given together with the other, got None.")
  x, y = np.array(x, np.float64), np.array(y, np.float64)
  if x.ndim != 2 or not np.isfinite(x).all():
    wanted = f"finite numbers of shape (examples, features), got shape {x.shape}."
    raise rejected(ValueError, "logistic_regression", "x", x, wanted)
  if y.shape != x.shape[:1] or set(np.unique(y)) != {0.0, 1.0}:
    wanted = f"{len(x)} labels 0 and 1, both of them, got shape {y.shape} with the values {np.unique(y)[:5].tolist()}."
    raise rejected(ValueError, "logistic_regression", "y", y, wanted)
  return x, y


def _loss(point: np.ndarray, x: np.ndarray, y: np.ndarray, l2: float) -> float:
  logits = x @ point[:-1] + point[-1]
  return float(np.mean(np.logaddexp(0.0, logits) - y * logits) + 0.5 * l2 * np.sum(point[:-1] ** 2))


def _newton(x: np.ndarray, y: np.ndarray, l2: float) -> np.ndarray:
  """The minimum, in float64: Newton's steps, halved until they descend."""
  ones = np.column_stack([x, np.ones(len(x))])
  penalty = np.append(np.full(x.shape[1], l2), 0.0)
  point = np.zeros(ones.shape[1])
  for _ in range(_MAX_STEPS):
    shares = 0.5 * (1.0 + np.tanh(0.5 * (ones @ point)))  # the logistic function, without overflow
    gradient = ones.T @ (shares - y) / len(x) + penalty * point
    if np.abs(gradient).max() <= _TOLERANCE:
      break
    hessian = (ones.T * (shares * (1.0 - shares))) @ ones / len(x) + np.diag(penalty)
    step = np.linalg.solve(hessian, gradient)
    loss, scale = _loss(point, x, y, l2), 1.0
    while _loss(point - scale * step, x, y, l2) > loss and scale > 1e-4:
      scale /= 2.0
    point = point - scale * step
  return point
