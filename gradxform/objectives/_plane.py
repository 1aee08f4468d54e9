"""Objectives of two variables."""

from gradxform.objectives._objective import Objective, registered

_D2L = "Zhang, Lipton, Li & Smola, Dive into Deep Learning"
_SURVEY = "Jamil & Yang 2013, https://arxiv.org/abs/1308.4008"


@registered
def bowl() -> Objective:
  """Makes 0.1·x² + 2·y², a bowl that is 20 times as curved along y as along x."""
  return Objective(
    name="bowl",
    fn=lambda point: 0.1 * point[0] ** 2 + 2.0 * point[1] ** 2,
    formula="0.1·x² + 2·y²",
    start=[-4.0, -6.0],
    minima=[[0.0, 0.0]],
    minimum=0.0,
    window=((-8.0, 8.0), (-8.0, 8.0)),
    hessian=[[0.2, 0.0], [0.0, 4.0]],
    source=f"{_D2L}, section 12.6, https://d2l.ai/chapter_optimization/momentum.html, which starts at (−5, −2)",
  )


@registered
def ellipse() -> Objective:
  """Makes x² + 2·y², a bowl that is twice as curved along y as along x."""
  return Objective(
    name="ellipse",
    fn=lambda point: point[0] ** 2 + 2.0 * point[1] ** 2,
    formula="x² + 2·y²",
    start=[-5.0, -2.0],
    minima=[[0.0, 0.0]],
    minimum=0.0,
    window=((-5.5, 2.5), (-3.0, 3.0)),
    hessian=[[2.0, 0.0], [0.0, 4.0]],
    source=f"{_D2L}, section 12.3, https://d2l.ai/chapter_optimization/gd.html",
  )


@registered
def beale() -> Objective:
  """Makes Beale's function: a curved valley between flat plateaus and steep corners."""

  def fn(point):
    x, y = point
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2

  return Objective(
    name="beale",
    fn=fn,
    formula="(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
    start=[1.0, 1.0],
    minima=[[3.0, 0.5]],
    minimum=0.0,
    window=((-4.5, 4.5), (-4.5, 4.5)),
    source=f"Beale 1958, Princeton technical report 25; Moré, Garbow & Hillstrom 1981, problem 5; {_SURVEY}",
  )


@registered
def himmelblau() -> Objective:
  """Makes Himmelblau's function, which has four minima of the same value."""

  def fn(point):
    x, y = point
    return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2

  return Objective(
    name="himmelblau",
    fn=fn,
    formula="(x² + y − 11)² + (x + y² − 7)²",
    start=[0.0, 0.0],
    minima=[
      [3.0, 2.0],
      [-2.805118086952745, 3.131312518250573],
      [-3.779310253377747, -3.283185991286170],
      [3.584428340330492, -1.848126526964404],
    ],
    minimum=0.0,
    window=((-5.0, 5.0), (-5.0, 5.0)),
    source=f"Himmelblau 1972, Applied Nonlinear Programming; {_SURVEY}",
  )


@registered
def booth() -> Objective:
  """Makes Booth's function, a quadratic whose axes are turned against the coordinates."""

  def fn(point):
    x, y = point
    return (x + 2.0 * y - 7.0) ** 2 + (2.0 * x + y - 5.0) ** 2

  return Objective(
    name="booth",
    fn=fn,
    formula="(x + 2y − 7)² + (2x + y − 5)²",
    start=[-5.0, -5.0],
    minima=[[1.0, 3.0]],
    minimum=0.0,
    window=((-10.0, 10.0), (-10.0, 10.0)),
    hessian=[[10.0, 8.0], [8.0, 10.0]],
    source=_SURVEY,
  )


@registered
def three_hump_camel() -> Objective:
  """Makes the three-hump camel: a minimum between two higher ones."""

  def fn(point):
    x, y = point
    return 2.0 * x**2 - 1.05 * x**4 + x**6 / 6.0 + x * y + y**2

  return Objective(
    name="three_hump_camel",
    fn=fn,
    formula="2x² − 1.05x⁴ + x⁶/6 + xy + y²",
    start=[-1.9, 1.8],
    minima=[[0.0, 0.0]],
    minimum=0.0,
    local_minima=[[-1.7475523458302888, 0.8737761729151444], [1.7475523458302888, -0.8737761729151444]],
    window=((-2.2, 2.2), (-2.2, 2.2)),
    source=f"Branin 1972; {_SURVEY}, who draw it within ±5",
  )


@registered
def saddle() -> Objective:
  """Makes x² − y², a saddle that has no minimum; the start is almost on its ridge.

  Its `minima` are none and its `minimum` is −∞: it falls without bound.
  """
  return Objective(
    name="saddle",
    fn=lambda point: point[0] ** 2 - point[1] ** 2,
    formula="x² − y²",
    start=[-1.5, 0.001],
    minimum=float("-inf"),
    window=((-2.0, 2.0), (-2.0, 2.0)),
    hessian=[[2.0, 0.0], [0.0, -2.0]],
    source="Dauphin et al. 2014, on saddle points in high dimensions, https://arxiv.org/abs/1406.2572",
  )


@registered
def cubic_valley() -> Objective:
  """Makes Leon's function: a long valley that bends twice, along y = x³."""

  def fn(point):
    x, y = point
    return 100.0 * (y - x**3) ** 2 + (1.0 - x) ** 2

  return Objective(
    name="cubic_valley",
    fn=fn,
    formula="100·(y − x³)² + (1 − x)²",
    start=[-1.2, -1.0],
    minima=[[1.0, 1.0]],
    minimum=0.0,
    window=((-1.5, 1.5), (-2.0, 2.0)),
    source="Leon 1966, in Lavi & Vogl, Recent Advances in Optimization Techniques; "
    "Brent 1973, Algorithms for Minimization without Derivatives",
  )
