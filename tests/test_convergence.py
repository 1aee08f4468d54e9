"""Orders and rates of convergence, against what is known of them."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx
from gradxform import objectives
from gradxform.objectives import Objective
from gradxform.trajectories import best_rates, convergence, convergence_table, linear_rate, race, record

pytestmark = pytest.mark.usefixtures("float64")


def bowl():
  return objectives.bowl()


def test_the_best_rates_on_the_bowl_are_those_of_theory():
  best = best_rates(bowl())  # m = 0.2, L = 4
  np.testing.assert_allclose(best.rate, 19 / 21)
  np.testing.assert_allclose(best.learning_rate, 2 / 4.2)
  np.testing.assert_allclose([best.momentum_learning_rate, best.momentum], [0.667907, 0.402605], atol=1e-6)
  np.testing.assert_allclose(best.momentum_rate, 0.634512, atol=1e-6)
  assert best.conjugate_gradient_steps == 2
  with pytest.raises(ValueError, match="quadratic"):
    best_rates(objectives.rosenbrock())


@pytest.mark.parametrize(
  ("optimizer", "rate", "within"),
  [
    (gx.sgd(2 / 4.2), 19 / 21, 1e-6),
    (gx.sgd(0.4), 0.92, 1e-6),
    (gx.momentum(0.667907, momentum=0.402605), 0.6345, 0.02),  # a double root: t·ρᵗ
    (gx.momentum(0.4, momentum=0.9), np.sqrt(0.9), 2e-3),  # complex roots: the errors oscillate
    (gx.momentum(0.4, momentum=0.5), 0.774031, 1e-3),
  ],
)
def test_linear_convergence_has_the_rate_of_theory(optimizer, rate, within):
  found = convergence(record(optimizer, bowl(), 120))
  assert found.kind == "linear"
  assert found.order == 1
  np.testing.assert_allclose(found.rate, rate, atol=within)
  np.testing.assert_allclose(found.theory, rate, atol=1e-3)


def test_the_theory_of_a_linear_step_is_its_spectral_radius():
  known = objectives.quadratic(6, 30.0, rotation=1)
  eigenvalues = np.linalg.eigvalsh(known.hessian)
  np.testing.assert_allclose(linear_rate(gx.sgd(0.01), known), np.abs(1 - 0.01 * eigenvalues).max(), rtol=1e-9)
  roots = [np.abs(np.roots([1, -(1 + 0.5 - 0.01 * x), 0.5])).max() for x in eigenvalues]
  np.testing.assert_allclose(linear_rate(gx.momentum(0.01, momentum=0.5), known), max(roots), rtol=1e-9)
  np.testing.assert_allclose(linear_rate(gx.newton(), known), 0, atol=1e-9)


@pytest.mark.parametrize("optimizer", [gx.adam(0.1), gx.lbfgs(), gx.adagrad(0.1), gx.chain(gx.sign(), gx.scale(-0.1))])
def test_a_step_that_is_not_linear_has_no_rate_in_theory(optimizer):
  assert np.isnan(linear_rate(optimizer, bowl()))
  assert np.isnan(linear_rate(gx.sgd(0.1), objectives.rosenbrock()))


@pytest.mark.parametrize(
  ("optimizer", "known", "kind", "low", "high"),
  [
    (gx.newton(), objectives.rosenbrock(), "quadratic", 1.75, 2.2),
    (gx.newton(), objectives.cosh(), "cubic", 2.6, 3.1),  # at its minimum the third derivative is 0
    (gx.bfgs(), objectives.rosenbrock(), "superlinear", 1.1, 1.75),
    (gx.bfgs(), objectives.beale(), "superlinear", 1.05, 1.75),
  ],
)
def test_fast_convergence_has_its_order(optimizer, known, kind, low, high):
  found = convergence(record(optimizer, known, 60))
  assert found.kind == kind
  assert low < found.order < high
  assert found.steps is not None


def test_the_quadratic_rate_of_newton_is_half_the_ratio_of_the_derivatives():
  # f = eˣ − x: e' = f'''/(2 f'') e² = e²/2 at 0
  known = Objective("exp", lambda x: jnp.sum(jnp.exp(x) - x), start=[1.0], minima=[[0.0]], minimum=1.0)
  found = convergence(record(gx.newton(), known, 8))
  assert found.kind == "quadratic"
  np.testing.assert_allclose(found.order, 2, atol=0.05)
  np.testing.assert_allclose(found.rate, 0.5, rtol=0.2)


@pytest.mark.parametrize("n", [2, 8])
def test_conjugate_gradients_and_newton_end_on_a_quadratic(n):
  known = objectives.quadratic(n, 10.0)
  paths = race([gx.nonlinear_cg(linesearch=gx.exact_line_search()), gx.newton()], known, 20)
  cg, newton = (convergence(t) for t in paths.values())
  assert (cg.kind, newton.kind) == ("finite", "finite")
  assert cg.steps <= n
  assert newton.steps == 1
  assert np.isnan(cg.order)


def test_gradient_descent_on_a_quartic_is_sublinear():
  quartic = Objective("quartic", lambda x: jnp.sum(x**4), start=[1.0], minima=[[0.0]], minimum=0.0)
  found = convergence(record(gx.sgd(0.1), quartic, 400))  # xₖ ~ 1 / √(8 a k)
  assert found.kind == "sublinear"
  assert 0.99 < found.rate < 1


@pytest.mark.parametrize(
  ("optimizer", "known", "steps", "kind"),
  [
    (gx.sgd(10.0), bowl, 400, "diverged"),
    (gx.sgd(0.52), bowl, 40, "diverging"),
    (gx.sgd(0.1), bowl, 1, "too short"),
    (gx.newton(), objectives.beale, 20, "stalled"),  # at a saddle
    (gx.sgd(0.0), bowl, 20, "stalled"),
  ],
)
def test_other_endings_are_named(optimizer, known, steps, kind):
  found = convergence(record(optimizer, known(), steps))
  assert found.kind == kind
  assert np.isnan(found.order) == (kind in ("diverged", "too short"))


def test_a_start_at_the_minimum_is_there_after_no_step():
  found = convergence(record(gx.sgd(0.1), bowl(), 10, start=[0.0, 0.0]))
  assert (found.kind, found.steps) == ("finite", 0)


def test_values_fall_with_the_square_of_the_distance_and_gradients_with_it():
  path = record(gx.sgd(0.4), bowl(), 80)
  np.testing.assert_allclose(convergence(path, measure="value").rate, 0.92**2, rtol=1e-6)
  np.testing.assert_allclose(convergence(path, measure="gradient_norm").rate, 0.92, rtol=1e-6)


def test_a_measure_that_is_not_known_is_refused():
  unknown = Objective("unknown", lambda x: jnp.sum(x**2), start=[1.0])
  path = record(gx.sgd(0.1), unknown, 20)
  with pytest.raises(ValueError, match="must be 'value' or 'gradient_norm' for 'unknown'"):
    convergence(path)
  with pytest.raises(ValueError, match="whose least value is not known, got 'value'"):
    convergence(path, measure="value")
  assert convergence(path, measure="gradient_norm").kind == "linear"
  with pytest.raises(ValueError, match=r"`convergence\(measure=...\)` must be one of 'distance'"):
    convergence(path, measure="regret")


def test_the_table_is_aligned_and_has_a_line_for_each():
  paths = race({"gradient descent": gx.sgd(0.4), "cg": gx.nonlinear_cg(linesearch=gx.exact_line_search())}, bowl(), 30)
  lines = convergence_table([convergence(t) for t in paths.values()]).splitlines()
  assert lines[0].split() == ["kind", "order", "rate", "theory", "steps"]
  assert lines[1].split() == ["gradient", "descent", "linear", "1.00", "0.92", "0.92", "—"]
  assert lines[2].split() == ["cg", "finite", "—", "—", "—", "2"]
  assert lines[1].index("linear") == lines[2].index("finite")


def test_gains_that_are_large_and_unequal_are_not_called_a_linear_rate():
  found = convergence(record(gx.bfgs(), objectives.bowl(), 200))
  assert found.kind == "superlinear"
  assert np.isnan(found.rate)
