"""Objectives of one variable, those of the chapter on gradient descent in Dive into Deep Learning."""

import math

import jax.numpy as jnp

from gradxform.objectives._objective import Objective, registered

_D2L = "Zhang, Lipton, Li & Smola, Dive into Deep Learning, section 12.3, https://d2l.ai/chapter_optimization/gd.html"


@registered
def parabola() -> Objective:
  """Makes x², the simplest objective there is."""
  return Objective(
    name="parabola",
    fn=lambda point: point[0] ** 2,
    formula="x²",
    start=[10.0],
    minima=[[0.0]],
    minimum=0.0,
    window=(-11.0, 11.0),
    hessian=[[2.0]],
    source=_D2L,
  )


@registered
def wavy() -> Objective:
  """Makes x·cos(0.15πx), which has a local minimum, a lower one, and no bound outside of its window."""
  lowest, c = 7.269388146311475, 0.15 * math.pi
  return Objective(
    name="wavy",
    fn=lambda point: point[0] * jnp.cos(c * point[0]),
    formula="x·cos(0.15πx)",
    start=[10.0],
    minima=[[lowest]],
    minimum=lowest * math.cos(c * lowest),
    local_minima=[[-1.8256845786723395]],
    window=(-11.0, 11.0),
    source=_D2L,
  )


@registered
def cosh() -> Objective:
  """Makes the hyperbolic cosine of x/2, convex and steep far from its minimum: at home for Newton's method."""
  return Objective(
    name="cosh",
    fn=lambda point: jnp.cosh(point[0] / 2),
    formula="cosh(x/2)",
    start=[10.0],
    minima=[[0.0]],
    minimum=1.0,
    window=(-11.0, 11.0),
    source=_D2L,
  )
