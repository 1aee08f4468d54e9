"""Paths: the published numbers, NumPy's loops, divergence, grids of starts and settings, one compilation for all."""

import csv
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from examples import WITHOUT_A_MODEL, example

import gradxform as gx
from gradxform import objectives
from gradxform.objectives import OBJECTIVES, Objective
from gradxform.trajectories import Trajectory, basin, race, record, sensitivity, write_csv
from gradxform.trajectories._programs import ends_by_start

RATE = 0.4


def in_numpy(rule, steps=20):
  """The path on the bowl of a rule `(g, t, memory) -> step`, as anyone would write it."""
  point, memory, path = np.array([-4.0, -6.0]), {"m": 0.0, "v": 0.0}, []
  for t in range(1, steps + 1):
    path.append(point)
    point = point - RATE * rule(np.array([0.2, 4.0]) * point, t, memory)
  return np.array([*path, point])


def gd(g, t, memory):
  return g


def heavy_ball(decay):
  def rule(g, t, memory):
    memory["m"] = decay * memory["m"] + g
    return memory["m"]

  return rule


def averaged(g, t, memory):
  memory["m"] = 0.9 * memory["m"] + 0.1 * g
  return memory["m"]


def nesterov(g, t, memory):
  memory["m"] = 0.9 * memory["m"] + g
  return g + 0.9 * memory["m"]


def adagrad_of_torch(g, t, memory):
  memory["v"] = memory["v"] + g**2
  return g / (np.sqrt(memory["v"]) + 1e-8)


def adagrad_of_optax(g, t, memory):
  memory["v"] = (0.1 if t == 1 else memory["v"]) + g**2
  return g / np.sqrt(memory["v"] + 1e-7)


def rmsprop(g, t, memory):
  memory["v"] = 0.9 * memory["v"] + 0.1 * g**2
  return g / (np.sqrt(memory["v"]) + 1e-8)


def adam(g, t, memory):
  memory["m"] = 0.9 * memory["m"] + 0.1 * g
  memory["v"] = 0.999 * memory["v"] + 0.001 * g**2
  return memory["m"] / (1 - 0.9**t) / (np.sqrt(memory["v"] / (1 - 0.999**t)) + 1e-8)


def over_root(*statistic):
  """Gradient over the root of a statistic of its square, with eps outside of the root."""
  rms = gx.divide(gx.identity(), by=gx.chain(gx.square(), *statistic, gx.root(1e-8)))
  return gx.chain(rms, gx.scale_by_learning_rate(RATE))


# The tables of ALGORITHMS.md 1.0: the points after the first and the last of 20 steps.
ON_THE_BOWL = {
  "gd": (gx.sgd(RATE), gd, (-3.68, 3.6), (-0.754773316651186, -0.000219369506403779)),
  "momentum 0.5": (
    gx.momentum(RATE, momentum=0.5),
    heavy_ball(0.5),
    (-3.68, 3.6),
    (-0.0502747640243029, 0.00360700671535038),
  ),
  "momentum 0.9": (gx.momentum(RATE), heavy_ball(0.9), (-3.68, 3.6), (-1.16017432477479, 2.14781912479486)),
  "averaged momentum": (
    gx.chain(gx.scale_by_momentum(0.9), gx.scale_by_learning_rate(RATE)),
    averaged,
    (-3.968, -5.04),
    (-0.990073866281069, 0.871393766790778),
  ),
  "nesterov": (gx.nesterov(RATE), nesterov, (-3.392, 12.24), (-0.522173402168449, -25743.9230715821)),
  "adagrad of torch": (
    over_root(gx.running_sum()),
    adagrad_of_torch,
    (-3.600000005, -5.60000000016667),
    (-1.50630407021862, -3.30375572676917),
  ),
  "adagrad of optax": (
    gx.adagrad(RATE),
    adagrad_of_optax,
    (-3.62800758115440, -5.60003471773647),
    (-1.55707868005756, -3.30382408016585),
  ),
  "rmsprop": (
    over_root(gx.moving_average(0.9)),
    rmsprop,
    (-2.73508898593265, -4.73508893759931),
    (-0.000274539931424147, -0.0748008039519715),
  ),
  "adam": (gx.adam(RATE), adam, (-3.600000005, -5.60000000016667), (1.08461637354442, 0.546011835635368)),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("optimizer", "rule", "first", "last"), ON_THE_BOWL.values(), ids=ON_THE_BOWL.keys())
def test_paths_on_the_bowl_are_the_published_and_those_of_a_loop_in_numpy(optimizer, rule, first, last):
  path = record(optimizer, objectives.bowl(), 20)
  expected = in_numpy(rule)
  np.testing.assert_allclose(path.points, expected, rtol=1e-12, atol=1e-12)
  np.testing.assert_allclose(path.points[1], first, rtol=1e-12, atol=1e-12)
  np.testing.assert_allclose(path.points[20], last, rtol=1e-12, atol=1e-12)
  np.testing.assert_allclose(path.values, 0.1 * expected[:, 0] ** 2 + 2 * expected[:, 1] ** 2, rtol=1e-11)
  np.testing.assert_allclose(path.gradient_norms, np.hypot(0.2 * expected[:, 0], 4 * expected[:, 1]), rtol=1e-11)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
  ("rate", "end"), [(0.2, 0.06046617599999997), (0.05, 3.4867844009999995), (1.1, 61.917364224000096)]
)
def test_gradient_descent_on_a_parabola_prints_the_numbers_of_d2l(rate, end):
  np.testing.assert_allclose(record(gx.sgd(rate), objectives.parabola(), 10).points[-1, 0], end, rtol=1e-15)


@pytest.mark.usefixtures("float64")
def test_gradient_descent_elsewhere_prints_the_numbers_of_d2l():
  path = record(gx.sgd(2.0), objectives.wavy(), 10)
  np.testing.assert_allclose(path.points[-1, 0], -1.528165927635083, rtol=1e-12)
  np.testing.assert_allclose(path.final_value, -1.1487516580374306, rtol=1e-12)
  path = record(gx.sgd(0.1), objectives.ellipse(), 20)
  np.testing.assert_allclose(path.points[-1], (-0.057646075230342354, -7.312316880125945e-05), rtol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
  "known", [objectives.bowl(), objectives.ellipse(), objectives.quadratic(8, 50.0, rotation=1)], ids=lambda o: o.name
)
def test_gradient_descent_on_a_quadratic_contracts_as_theory_says(known):
  least, greatest = known.curvature
  factor = (known.condition_number - 1) / (known.condition_number + 1)
  path = record(gx.sgd(2 / (least + greatest)), known, 300)
  distances = np.linalg.norm(path.points, axis=1)
  ratios = distances[1:] / distances[:-1]
  assert (ratios <= factor + 1e-12).all()
  np.testing.assert_allclose(ratios[-50:], factor, rtol=1e-6)


@pytest.mark.usefixtures("float64")
def test_a_path_holds_the_start_and_every_point_after_it():
  path = record(gx.sgd(0.25), objectives.parabola(), 3)
  np.testing.assert_array_equal(path.points, [[10], [5], [2.5], [1.25]])
  np.testing.assert_array_equal(path.values, [100, 25, 6.25, 1.5625])
  np.testing.assert_array_equal(path.gradient_norms, [20, 10, 5, 2.5])
  assert (path.steps, path.final_value, path.final_distance, path.diverged) == (3, 1.5625, 1.25, False)
  assert path.optimizer == gx.sgd(0.25) and path.name == "sgd" and path.objective is objectives.parabola()


def test_steps_are_counted_until_the_value_is_within_the_tolerance():
  path = record(gx.sgd(0.25), objectives.parabola(), 3)
  assert [path.steps_to(tolerance) for tolerance in (100, 99, 25, 2, 1)] == [0, 1, 1, 3, None]
  assert record(gx.sgd(0.1), objectives.saddle(), 100).steps_to(1e9) is None
  unknown = Objective("mine", lambda point: jnp.sum(point**2), start=[1.0])
  assert record(gx.sgd(0.5), unknown, 1).steps_to(1e9) is None


def test_the_distance_is_that_to_the_nearest_minimum():
  path = record(gx.sgd(0.01), objectives.himmelblau(), 100, start=[-3.0, 3.0])
  assert path.final_distance < 1e-5
  assert record(gx.sgd(0.01), objectives.saddle(), 1).final_distance == math.inf


@pytest.mark.parametrize("rate", [10.0, 1e30])
def test_divergence_is_recorded(rate):
  path = record(gx.sgd(rate), objectives.bowl(), 40)
  assert path.diverged and not math.isfinite(path.final_value) and path.points.shape == (41, 2)
  assert np.isfinite(path.points[0]).all() and not np.isfinite(path.points[-1]).all()
  assert path.steps_to(1e-3) is None and not path.final_distance < math.inf
  with jax.enable_x64(True):
    assert not record(gx.sgd(10.0), objectives.bowl(), 40).diverged  # 39⁴⁰ is a number in float64
    assert record(gx.sgd(10.0), objectives.bowl(), 400).diverged


@pytest.mark.parametrize(
  ("start", "dtype"),
  [
    (None, "float32"),
    (5, "float32"),
    ([5.0], "float32"),
    (np.ones(1), "float32"),
    (jnp.ones(1, "bfloat16"), "bfloat16"),
  ],
)
def test_a_start_may_be_given_and_the_path_has_its_dtype(start, dtype):
  path = record(gx.adam(0.1), objectives.parabola(), 2, start=start)
  assert path.points.dtype == path.values.dtype == path.gradient_norms.dtype == dtype
  assert path.points[0] == np.ravel(10 if start is None else np.asarray(start, float))[0]
  assert not path.diverged


@pytest.mark.usefixtures("float64")
def test_a_path_in_double_precision_has_that_dtype():
  assert record(gx.adam(0.1), objectives.bowl(), 2).values.dtype == np.float64
  assert record(gx.adam(0.1), objectives.bowl(), 2, start=np.ones(2, np.float32)).points.dtype == np.float32


THEIRS = {"adam": optax.adam(0.1), "lbfgs": optax.lbfgs(), "polyak": optax.polyak_sgd()}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("theirs", THEIRS.values(), ids=THEIRS.keys())
def test_transforms_of_optax_get_what_they_ask_for(theirs):
  path = record(theirs, objectives.beale(), 5)
  known = objectives.beale()
  params = jnp.asarray(known.start)
  state = theirs.init(params)

  @jax.jit
  def step(params, state):
    value, grad = jax.value_and_grad(known.fn)(params)
    extra = {"value": value, "grad": grad, "value_fn": known.fn}
    updates, state = optax.with_extra_args_support(theirs).update(grad, state, params, **extra)
    return optax.apply_updates(params, updates), state

  for point in path.points:
    np.testing.assert_allclose(params, point, rtol=1e-9)
    params, state = step(params, state)


@pytest.mark.usefixtures("float64")
def test_the_gradient_may_be_taken_elsewhere():
  path = record(gx.sharpness_aware(gx.sgd(0.1), 0.5), objectives.parabola(), 3, start=2.0)
  slope, points = jax.grad(lambda x: objectives.parabola().fn(jnp.asarray([x]))), [2.0]
  for _ in range(3):
    points.append(points[-1] - 0.1 * slope(points[-1] + 0.5 * np.sign(points[-1])))
  np.testing.assert_allclose(path.points[:, 0], points, rtol=1e-12)


def listen(name):
  """A transform that emits one of its extra arguments, the same for every element."""

  def update(updates, state, params=None, **extra):
    heard = extra[name](params) if callable(extra[name]) else extra[name]
    if jnp.issubdtype(heard.dtype, jax.dtypes.prng_key):
      heard = jax.random.normal(heard)
    return jax.tree.map(lambda u: jnp.broadcast_to(heard, u.shape).astype(u.dtype), updates), state

  return optax.GradientTransformationExtraArgs(lambda params: (), update)


@pytest.mark.usefixtures("float64")
def test_every_step_passes_the_extra_arguments():
  def moves(name, **options):
    path = record(listen(name), objectives.parabola(), 4, start=0.5, **options)
    return np.diff(path.points[:, 0]), path

  for name in ("value", "value_fn"):
    np.testing.assert_allclose(*(lambda m, path: (m, path.values[:-1]))(*moves(name)))
  np.testing.assert_allclose(*(lambda m, path: (m, path.gradient_norms[:-1]))(*moves("grad")))
  np.testing.assert_allclose(moves("pull", pull=jnp.float32(3))[0], 3)
  np.testing.assert_allclose(moves("pull", pull=jnp.sum)[0], [0.5, 1, 2, 4])
  noise = [moves("key", seed=seed)[0] for seed in (0, 0, 1)]
  assert len(np.unique(noise[0])) == 4
  np.testing.assert_array_equal(noise[0], noise[1])
  assert (noise[0] != noise[2]).all()


@pytest.fixture
def counted():
  """A bowl, and how often it was traced."""
  traces = []

  def fn(point):
    traces.append(point)
    return jnp.sum(point**2)

  return Objective("counted", fn, start=[1.0, 2.0], window=((-2, 2), (-3, 3)), minima=[[0, 0]], minimum=0.0), traces


def test_another_learning_rate_start_or_seed_compiles_nothing_again(counted):
  known, traces = counted
  first = record(gx.adam(0.1), known, 5)
  before = len(traces)
  again = record(gx.adam(0.2, b1=0.5), known, 5, start=[3.0, 4.0], seed=1)
  assert len(traces) == before
  assert not np.allclose(first.points[-1], again.points[-1])


def test_a_grid_compiles_once(counted):
  known, traces = counted
  grid = {"learning_rate": np.linspace(0.1, 0.9, 64), "momentum": np.linspace(0, 0.9, 64)}
  result = sensitivity(gx.momentum(0.1), known, 200, grid=grid)
  assert result.values.shape == (64, 64) and result.points.shape == (64, 64, 2)
  once = len(traces)
  assert once <= 3  # the steps, and the last point
  sensitivity(gx.momentum(0.3), known, 200, grid={name: axis / 2 for name, axis in grid.items()})
  assert len(traces) == once
  basin(gx.momentum(0.1), known, 200, resolution=8)
  twice = len(traces)
  basin(gx.momentum(0.2), known, 200, resolution=8, window=((0, 1), (0, 1)))
  assert len(traces) == twice


def test_a_race_names_the_optimizers_by_what_makes_them_differ():
  optimizers = [
    gx.sgd(0.1),
    gx.momentum(0.1, momentum=0.5),
    gx.momentum(0.1, momentum=0.9),
    gx.adam(0.1),
    gx.adam(0.1),
    gx.chain(gx.clip(1.0), gx.sgd(0.1)),
    gx.chain(gx.clip(2.0), gx.sgd(0.1)),
    gx.chain(),
    optax.trace(0.9),
  ]
  assert list(race(optimizers, objectives.bowl(), 2)) == [
    "sgd",
    "momentum(momentum=0.5)",
    "momentum(momentum=0.9)",
    "adam",
    "adam 2",
    "clip → sgd(clip.max_delta=1.0)",
    "clip → sgd(clip.max_delta=2.0)",
    "identity",
    "optax.trace",
  ]


@pytest.mark.usefixtures("float64")
def test_a_race_gives_every_optimizer_its_own_path_from_one_start():
  optimizers = {"slow": gx.sgd(0.1), "fast": gx.sgd(0.4)}
  paths = race(optimizers, objectives.bowl(), 5, start=[1.0, 1.0])
  assert list(paths) == ["slow", "fast"] == [path.name for path in paths.values()]
  for name, optimizer in optimizers.items():
    np.testing.assert_array_equal(paths[name].points, record(optimizer, objectives.bowl(), 5, start=[1, 1.0]).points)
  assert list(race(gx.sgd(0.1), objectives.bowl(), 1)) == ["sgd"]


@pytest.mark.usefixtures("float64")
def test_a_basin_holds_the_end_of_the_path_from_each_start():
  result = basin(gx.sgd(0.01), objectives.himmelblau(), 300, resolution=5)
  x, y = result.axes
  np.testing.assert_array_equal(x, np.linspace(-5, 5, 5))
  for row, column in ((0, 0), (1, 3), (4, 2)):
    path = record(gx.sgd(0.01), objectives.himmelblau(), 300, start=[x[column], y[row]])
    np.testing.assert_allclose(result.points[row, column], path.points[-1], rtol=1e-9)
    np.testing.assert_allclose(result.values[row, column], path.final_value, atol=1e-12)
  for row, column, minimum in ((4, 4, 0), (4, 0, 1), (0, 0, 2), (0, 4, 3)):
    assert result.nearest[row, column] == minimum


def test_a_basin_tells_local_minima_and_divergence():
  result = basin(gx.sgd(0.01), objectives.styblinski_tang(), 200, resolution=2)
  np.testing.assert_array_equal(result.nearest, [[0, 2], [1, 3]])
  result = basin(gx.sgd(1.0), objectives.styblinski_tang(), 10, resolution=2)
  np.testing.assert_array_equal(result.nearest, -1)
  assert not np.isfinite(result.values).any()
  np.testing.assert_array_equal(basin(gx.sgd(0.1), objectives.saddle(), 2, resolution=2).nearest, -1)


def test_a_basin_of_one_variable_is_a_line():
  result = basin(gx.sgd(0.1), objectives.wavy(), 100, resolution=9, window=(-8, 8))
  assert result.values.shape == result.nearest.shape == (9,) and result.points.shape == (9, 1)
  assert len(result.axes) == 1 and set(result.nearest) == {0, 1}


@pytest.mark.usefixtures("float64")
def test_sensitivity_holds_the_end_with_each_setting_in_the_order_of_the_grid():
  grid = {"*momentum": [0.0, 0.5, 0.9], "*learning_rate": [0.1, 0.4]}
  clipped = gx.chain(gx.clip(1.0), gx.momentum(9.0))
  result = sensitivity(clipped, objectives.bowl(), 20, grid=grid)
  assert result.values.shape == (3, 2) and list(result.axes) == list(grid)
  for i, momentum in enumerate(grid["*momentum"]):
    for j, rate in enumerate(grid["*learning_rate"]):
      path = record(gx.chain(gx.clip(1.0), gx.momentum(rate, momentum=momentum)), objectives.bowl(), 20)
      np.testing.assert_allclose(result.values[i, j], path.final_value, rtol=1e-12)
      np.testing.assert_allclose(result.points[i, j], path.points[-1], rtol=1e-11)
  i, j = np.unravel_index(result.values.argmin(), (3, 2))
  assert result.best == {"*momentum": grid["*momentum"][i], "*learning_rate": grid["*learning_rate"][j]}


@pytest.mark.usefixtures("float64")
def test_sensitivity_takes_a_function_that_makes_the_optimizer():
  grid = {"learning_rate": [0.1, 0.4], "momentum": [0.0, 0.5, 0.9]}
  made = sensitivity(gx.momentum, objectives.bowl(), 20, grid=grid)
  replaced = sensitivity(gx.momentum(1.0), objectives.bowl(), 20, grid=grid)
  np.testing.assert_array_equal(made.values, replaced.values)
  assert made.optimizer is gx.momentum and replaced.optimizer == gx.momentum(1.0)


def test_of_several_globs_that_match_the_last_of_the_grid_counts():
  grid = {"momentum": [0.5], "*": [0.1]}
  result = sensitivity(gx.momentum(1.0), objectives.bowl(), 3, grid=grid)
  expected = record(gx.momentum(0.1, momentum=0.1), objectives.bowl(), 3)
  np.testing.assert_allclose(result.values, expected.final_value, rtol=1e-6)


def test_divergence_in_a_grid_is_recorded_and_never_the_best():
  result = sensitivity(gx.sgd(1.0), objectives.bowl(), 60, grid={"learning_rate": [10.0, 0.1, 1e30]})
  np.testing.assert_array_equal(np.isfinite(result.values), [False, True, False])
  assert result.best == {"learning_rate": 0.1}
  assert sensitivity(gx.sgd(1.0), objectives.bowl(), 60, grid={"learning_rate": [10.0]}).best is None


@pytest.mark.parametrize("known", [make() for make in OBJECTIVES.values()], ids=lambda o: o.name)
def test_from_random_starts_every_run_ends_and_says_whether_it_diverged(known):
  low, high = known.box.T
  starts = jnp.asarray(np.random.default_rng(0).uniform(2 * low, 2 * high, (200, known.n)))
  rotating = [gx.newton(), gx.damped_newton(), gx.steepest_descent(), gx.nonlinear_cg(), gx.bfgs(), gx.lbfgs()]
  turn = list(OBJECTIVES).index(known.name) if known.name in OBJECTIVES else 0
  others = [example(name) for name in WITHOUT_A_MODEL[turn :: len(OBJECTIVES)]]
  for optimizer in (gx.momentum(0.3), gx.adam(0.3), rotating[turn % 6], rotating[(turn + 3) % 6], *others):
    points, values = ends_by_start(optimizer, starts[:150], jax.random.key(0), fn=known.fn, steps=30)
    finite = np.isfinite(points).all(axis=1)
    assert not (np.isfinite(values) & ~finite).any()  # no point is lost unnoticed
    if known.name != "wavy":  # which falls below its minimum outside of the window
      assert (values[np.isfinite(values)] >= known.minimum - 1e-4 * abs(known.minimum)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_table_reads_back_as_the_same_numbers(tmp_path, dtype):
  with jax.enable_x64(dtype == "float64"):
    paths = race({"a": gx.sgd(0.4), "b, far": gx.sgd(10.0)}, objectives.bowl(), 60)
  write_csv(paths, tmp_path / "paths.csv")
  with open(tmp_path / "paths.csv", newline="", encoding="utf-8") as file:
    header, *rows = csv.reader(file)
  assert header == ["optimizer", "step", "x", "y", "value", "gradient_norm"]
  assert len(rows) == 2 * 61
  for name, path in paths.items():
    table = np.array([row[2:] for row in rows if row[0] == name]).astype(dtype)
    np.testing.assert_array_equal(table[:, :2], path.points)
    np.testing.assert_array_equal(table[:, 2], path.values)
    np.testing.assert_array_equal(table[:, 3], path.gradient_norms)
  assert [row[1] for row in rows[:3]] == ["0", "1", "2"]


def test_a_table_names_the_coordinates_and_keeps_paths_of_one_name(tmp_path):
  path = record(gx.sgd(0.1), objectives.rosenbrock(3), 1)
  write_csv([path, path], tmp_path / "paths.csv")
  lines = (tmp_path / "paths.csv").read_text().splitlines()
  assert lines[0] == "optimizer,step,x1,x2,x3,value,gradient_norm" and len(lines) == 5
  write_csv(path, tmp_path / "paths.csv")
  assert (tmp_path / "paths.csv").read_text().splitlines() == lines[:3]
  with pytest.raises(ValueError, match=r"one number of variables, got \[2, 3\]"):
    write_csv([path, record(gx.sgd(0.1), objectives.bowl(), 1)], tmp_path / "paths.csv")
  with pytest.raises(ValueError, match="got none"):
    write_csv([], tmp_path / "paths.csv")


BOWL, GRID = objectives.bowl(), {"learning_rate": [0.1]}


@pytest.mark.parametrize(
  ("call", "kind", "message"),
  [
    (lambda: record(gx.sgd(0.1), BOWL, 0), ValueError, r"`record\(steps=...\)` must be at least 1, got 0"),
    (lambda: record(gx.sgd, BOWL, 1), TypeError, r"`record\(optimizer=...\)` .* Call it first: `sgd\(...\)`"),
    (lambda: record(gx.sgd(0.1), BOWL, 1, start=[1.0]), ValueError, r"shape \(2,\) for 'bowl', got shape \(1,\)"),
    (lambda: record(gx.sgd(0.1), BOWL, 1, start=1.0), ValueError, r"got shape \(\)"),
    (lambda: record(gx.sgd(0.1), BOWL, 1, start=[1j, 1]), TypeError, "must be real, got an array of complex64"),
    (lambda: race([], BOWL, 1), ValueError, r"`race\(optimizers=...\)` must be at least one transform, got none"),
    (lambda: race([1], BOWL, 1), TypeError, "must be a gradient transformation"),
    (lambda: basin(gx.sgd(0.1), BOWL, 1, resolution=1), ValueError, r"`basin\(resolution=...\)` must be at least 2"),
    (lambda: basin(gx.sgd(0.1), objectives.ackley(3), 1), ValueError, "one or two variables, got 'ackley' of 3"),
    (lambda: basin(gx.sgd(0.1), BOWL, 1, window=(1, 2)), ValueError, r"for each of 2 variables, got \(1, 2\)"),
    (lambda: sensitivity(gx.sgd(0.1), BOWL, 0, grid=GRID), ValueError, r"`sensitivity\(steps=...\)` must be"),
    (lambda: sensitivity(gx.sgd(0.1), BOWL, 1, grid={}), ValueError, "at least one hyperparameter"),
    (lambda: sensitivity(gx.sgd(0.1), BOWL, 1, grid={"learning_rate": 1}), ValueError, "one-dimensional arrays"),
    (lambda: sensitivity(gx.sgd(0.1), BOWL, 1, grid={"rate": [1]}), ValueError, "'rate' matches no hyperparameter"),
    (lambda: sensitivity(gx.sgd, BOWL, 1, grid={"rate": [1]}), TypeError, "unexpected keyword argument|missing"),
    (lambda: sensitivity(gx.adam(1), BOWL, 1, grid={"b1": [0.5, 1.5]}), ValueError, r"must be in \[0, 1\), got 1.5"),
    (lambda: sensitivity(1, BOWL, 1, grid=GRID), TypeError, "must be a gradient transformation"),
    (lambda: sensitivity(dict, BOWL, 1, grid=GRID), TypeError, "must be a gradient transformation"),
  ],
)
def test_wrong_arguments_are_refused(call, kind, message):
  with pytest.raises(kind, match=message):
    call()


def test_an_objective_without_a_window_needs_one_for_its_basin():
  mine = Objective("mine", lambda point: jnp.sum(point**2), start=[1.0, 1.0])
  with pytest.raises(ValueError, match=r"`basin\(window=...\)` must be a pair \(low, high\) for each of 2 variables"):
    basin(gx.sgd(0.1), mine, 1)
  assert basin(gx.sgd(0.5), mine, 1, resolution=3, window=((-1, 1), (-1, 1))).values.max() == 0


def test_a_trajectory_can_be_made_from_elsewhere():
  path = record(gx.sgd(0.1), BOWL, 3)
  fields = {field.name: getattr(path, field.name) for field in dataclasses.fields(path)}
  assert Trajectory(**{**fields, "values": np.array([1.0, np.nan])}).diverged
