"""The objectives: their minima, starts, windows and sources, in every dtype and under every transformation of JAX."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from gradxform import objectives
from gradxform.objectives import OBJECTIVES, Objective, objective

MORE = {
  "rosenbrock, n=5": ("rosenbrock", {"n": 5}),
  "styblinski_tang, n=1": ("styblinski_tang", {"n": 1}),
  "styblinski_tang, n=6": ("styblinski_tang", {"n": 6}),
  "rastrigin, n=1": ("rastrigin", {"n": 1}),
  "ackley, n=7": ("ackley", {"n": 7}),
  "quadratic, n=20, turned": ("quadratic", {"n": 20, "rotation": 0}),
}
ALL = {**{name: (name, {}) for name in OBJECTIVES}, **MORE}


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def known(request):
  name, options = request.param
  return objective(name, **options)


def random_points(known, count):
  """Points in the window, the same ones for any count."""
  low, high = known.box.T
  return np.random.default_rng(0).uniform(low, high, (count, known.n))


@functools.cache
def measured(known):
  """Values and gradients in float64: at the minima, at random points around each, and in the window."""
  minima = np.concatenate([known.minima, known.local_minima])
  around = np.random.default_rng(0).normal(size=(len(minima), 32, known.n))
  around *= 1e-3 / np.linalg.norm(around, axis=-1, keepdims=True)
  around = (minima[:, None] + around).reshape(-1, known.n)
  with jax.enable_x64(True):
    points = jnp.concatenate([minima, around, random_points(known, 2000)])
    values, gradients = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(known)))(points))
  at, near, anywhere = np.split(values, [len(minima), len(minima) * 33])
  return at, near.reshape(len(minima), 32), anywhere, gradients


def test_the_gradient_is_zero_at_every_minimum(known):
  at, _, _, gradients = measured(known)
  assert np.isfinite(gradients).all()
  np.testing.assert_allclose(gradients[: len(at)], 0, atol=1e-10)


def test_the_value_at_every_minimum_is_the_least(known):
  at, near, anywhere, _ = measured(known)
  least, higher = np.split(at, [len(known.minima)])
  np.testing.assert_allclose(least, known.minimum, rtol=1e-14, atol=1e-14)
  assert (higher > known.minimum + 1e-3).all()
  assert (near > at[:, None]).all()
  assert (anywhere > known.minimum).all()


def test_the_window_holds_the_start_and_the_minima(known):
  low, high = known.box.T
  assert (low < high).all()
  for point in [known.start, *known.minima, *known.local_minima]:
    assert ((low < point) & (point < high)).all()
  assert np.shape(known.window) == ((2,) if known.n == 1 else (known.n, 2))


def test_all_say_what_they_are(known):
  assert known.formula and known.source
  assert known.name in OBJECTIVES
  assert repr(known) == f"<objective {known.name}, n={known.n}: {known.formula}>"
  assert known.minima.shape[1:] == known.local_minima.shape[1:] == known.start.shape == (known.n,)


@pytest.mark.usefixtures("strict", "float64")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_values_and_gradients_have_the_dtype_of_the_point(known, dtype):
  value, gradient = jax.eval_shape(jax.value_and_grad(known.fn), jax.ShapeDtypeStruct((known.n,), dtype))
  assert value.dtype == gradient.dtype == dtype
  assert value.shape == () and gradient.shape == (known.n,)


def test_jit_and_vmap_in_float32_give_the_value_of_each_point(known):
  points = np.stack([known.start, *random_points(known, 4)])
  values, gradients = jax.jit(jax.vmap(jax.value_and_grad(known.fn)))(jnp.asarray(points))
  assert values.dtype == np.float32 and np.isfinite(gradients).all() and gradients[0].any()
  np.testing.assert_allclose(values[0], known(points[0]), rtol=2e-5)
  np.testing.assert_allclose(values[1:], measured(known)[2][:4], rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("float64")
def test_a_constant_hessian_is_the_hessian(known):
  if known.hessian is None:
    with pytest.raises(ValueError, match=f"`{known.name}` has no constant `hessian`"):
      _ = known.curvature
    return
  for hessian in jax.jit(jax.vmap(jax.hessian(known)))(random_points(known, 2)):
    np.testing.assert_allclose(hessian, known.hessian, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
  ("name", "point", "value"),
  [
    ("bowl", [-4, -6], 73.6),
    ("ellipse", [-5, -2], 33),
    ("parabola", [3], 9),
    ("wavy", [-1.528165927635083], -1.1487516580374306),
    ("cosh", [2], math.cosh(1)),
    ("rosenbrock", [-1.2, 1], 24.2),
    ("beale", [1, 1], 14.203125),
    ("himmelblau", [0, 0], 170),
    ("booth", [0, 0], 74),
    ("three_hump_camel", [1, 1], 2 - 1.05 + 1 / 6 + 2),
    ("styblinski_tang", [1, 2], -5 - 19),
    ("rastrigin", [0.5, 1], 0.25 + 20 + 1),
    ("ackley", [1, 0], 20 - 20 * math.exp(-0.2 * math.sqrt(0.5))),
    ("saddle", [3, 2], 5),
    ("cubic_valley", [-1.2, -1], 100 * 0.728**2 + 2.2**2),
    ("quadratic", [1, 1], 50.5),
    ("logistic_regression", [0] * 31, math.log(2)),
  ],
)
def test_values_by_hand(name, point, value):
  np.testing.assert_allclose(objective(name)(np.array(point, float)), value, rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_rosenbrock_is_that_of_scipy():
  point = np.random.default_rng(0).normal(size=9)
  known = objectives.rosenbrock(n=9)
  np.testing.assert_allclose(known(point), scipy.optimize.rosen(point), rtol=1e-13)
  np.testing.assert_allclose(jax.grad(known)(point), scipy.optimize.rosen_der(point), rtol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["rastrigin", "ackley"])
def test_the_forms_that_lose_no_digits_have_the_values_of_the_formula(name):
  points = np.random.default_rng(0).uniform(-5, 5, (100, 3))
  cosines = np.cos(2 * np.pi * points)
  if name == "rastrigin":
    expected = np.sum(points**2 + 10 - 10 * cosines, axis=1)
  else:
    root = np.sqrt(np.mean(points**2, axis=1))
    expected = 20 + math.e - 20 * np.exp(-0.2 * root) - np.exp(np.mean(cosines, axis=1))
  np.testing.assert_allclose(jax.vmap(objective(name, n=3))(points), expected, rtol=1e-12, atol=1e-13)


def test_the_saddle_has_no_minimum_and_falls_without_bound():
  known = objectives.saddle()
  assert known.minima.shape == (0, 2) and known.minimum == -math.inf
  assert known.curvature == (-2, 2)
  with pytest.raises(ValueError, match=r"must be that of a convex quadratic, `saddle` has the curvature -2\.0"):
    _ = known.condition_number


@pytest.mark.parametrize(("n", "kappa", "rotation"), [(2, 7.0, None), (20, 100.0, 3), (50, 1e4, None), (3, 1, 0)])
def test_a_quadratic_has_the_chosen_condition_number(n, kappa, rotation):
  known = objectives.quadratic(n, kappa, rotation=rotation)
  np.testing.assert_allclose(known.curvature, (1, kappa), rtol=1e-9)
  np.testing.assert_allclose(known.condition_number, kappa, rtol=1e-9)
  np.testing.assert_allclose(np.linalg.eigvalsh(known.hessian), np.geomspace(1, kappa, n), rtol=1e-9)
  np.testing.assert_allclose(np.linalg.norm(known.start), math.sqrt(n))


@pytest.mark.usefixtures("float64")
def test_logistic_regression_has_the_minimum_that_scikit_learn_finds():
  from sklearn.datasets import load_breast_cancer
  from sklearn.linear_model import LogisticRegression

  x, y = load_breast_cancer(return_X_y=True)
  x = (x - x.mean(axis=0)) / x.std(axis=0)
  model = LogisticRegression(C=1 / (1e-2 * len(x)), tol=1e-10, max_iter=10_000).fit(x, y)
  expected = np.append(model.coef_[0], model.intercept_)
  np.testing.assert_allclose(objectives.logistic_regression().minima[0], expected, atol=1e-6)


@pytest.mark.usefixtures("float64")
def test_logistic_regression_takes_data():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(40, 3)) * [1, 100, 0.01]
  known = objectives.logistic_regression(x, x[:, 0] > 0, l2=1e-6)  # separable: far from the start
  assert known.n == 4
  np.testing.assert_allclose(jax.grad(known)(known.minima[0]), 0, atol=1e-10)


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (([[1.0]], None), r"`logistic_regression\(y=...\)` must be given together with the other, got None"),
    (([1.0, 2.0], [0, 1]), r"x=...\)` must be finite numbers of shape \(examples, features\), got shape \(2,\)"),
    (([[1.0], [math.nan]], [0, 1]), "must be finite numbers"),
    (
      ([[1.0], [2.0]], [0, 2]),
      r"must be 2 labels 0 and 1, both of them, got shape \(2,\) with the values \[0.0, 2.0\]",
    ),
    (([[1.0], [2.0]], [1, 1]), "both of them"),
    (([[1.0], [2.0]], [0, 1, 1]), r"got shape \(3,\)"),
  ],
)
def test_data_that_do_not_fit_are_refused(data, message):
  with pytest.raises(ValueError, match=message):
    objectives.logistic_regression(*data)


def test_the_same_arguments_give_the_same_objective():
  assert objectives.rosenbrock() is objectives.rosenbrock(2) is objective("rosenbrock", n=2)
  assert objectives.rosenbrock(3) is not objectives.rosenbrock(2)
  assert objectives.logistic_regression() is objectives.logistic_regression()
  first = objectives.quadratic(2)
  for seed in range(40):
    objectives.quadratic(2, rotation=seed)
  assert objectives.quadratic(2) is not first  # only the last ones are kept


def test_what_is_known_cannot_be_changed(known):
  with pytest.raises(ValueError, match="read-only"):
    known.start[0] = 1.0
  with pytest.raises(AttributeError):
    known.name = "other"


def test_an_objective_of_ones_own_needs_a_name_a_function_and_a_start():
  mine = Objective("mine", lambda point: jnp.sum(point**4), start=[1, 2, 3])
  assert mine.n == 3 and mine(mine.start) == 98
  assert mine.minima.shape == (0, 3) and math.isnan(mine.minimum) and mine.box is None


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"start": 1.0}, r"`Objective\(start=...\)` must be a point of shape \(n,\), got shape \(\)"),
    ({"start": []}, r"got shape \(0,\)"),
    ({"minima": [0.0, 0.0]}, r"`Objective\(minima=...\)` must have the shape \(k, 2\) of k points, got \(2,\)"),
    ({"local_minima": [[0.0]]}, r"local_minima=...\)` must have the shape \(k, 2\) of k points, got \(1, 1\)"),
    ({"hessian": [[1.0]]}, r"hessian=...\)` must have the shape \(2, 2\), got \(1, 1\)"),
    ({"window": (-1, 1)}, r"window=...\)` must be 2 pairs \(low, high\), got \(-1, 1\)"),
    ({"start": [1.0], "window": ((-1, 1), (-1, 1))}, r"must be a pair \(low, high\), got \(\("),
  ],
)
def test_shapes_that_do_not_fit_are_refused(fields, message):
  with pytest.raises(ValueError, match=message):
    Objective(**{"name": "mine", "fn": jnp.sum, "start": [0.0, 0.0], **fields})


def test_an_unknown_name_is_refused_with_the_known():
  with pytest.raises(ValueError, match=r"`objective\(name=...\)` must be .*, got 'bow'\. They are: .*bowl.*rosenbrock"):
    objective("bow")


def test_an_unknown_option_is_refused_with_the_known():
  with pytest.raises(TypeError, match=r"`rosenbrock`: .*'m'. Its arguments are: n\."):
    objective("rosenbrock", m=3)
  with pytest.raises(TypeError, match=r"`bowl`: .* Its arguments are: none"):
    objective("bowl", n=3)


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
    ("rosenbrock", {"n": 1}, r"`rosenbrock\(n=...\)` must be at least 2, got 1"),
    ("ackley", {"n": 0}, "must be at least 1, got 0"),
    ("quadratic", {"condition_number": 0.5}, r"`quadratic\(condition_number=...\)` must be at least 1, got 0.5\."),
    ("quadratic", {"condition_number": math.inf}, "must be a finite number, got inf"),
    ("quadratic", {"rotation": -1}, "must be at least 0, got -1"),
    ("logistic_regression", {"l2": 0.0}, "must be greater than 0, got 0.0"),
  ],
)
def test_options_out_of_their_range_are_refused(name, options, message):
  with pytest.raises(ValueError, match=message):
    objective(name, **options)
  assert len(OBJECTIVES) >= 17
