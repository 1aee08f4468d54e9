"""`gradxform race`: what it prints, writes and draws, which settings reach which optimizer, and how it refuses."""

import contextlib
import csv
import os
import re
import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import gradxform as gx
from gradxform import _cli_race, plotting, trajectories
from gradxform.cli import main

PROG = "gradxform race"
FIELD = ["sgd", "momentum", "adagrad", "rmsprop", "adam"]
FIGURES = ["level_sets", "line", "surface", "values"]
HEAVY = gx.momentum(0.4, momentum=0.5)
QUICK = ["--optimizers", "sgd", "--steps", "2"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
  """Runs a race in an empty folder: its exit code, and what it printed."""
  monkeypatch.chdir(tmp_path)

  def run(*argv):
    code = main(["race", *argv])
    return code, *capsys.readouterr()

  return run


@pytest.fixture
def drawn(monkeypatch):
  """Has no picture drawn, which takes seconds: tells which would have been, and of which paths."""
  asked = {}

  class Picture:
    def __init__(self, name, paths, title):
      self.name, self.paths, self.title = name, paths, title

    def savefig(self, path):
      asked[self.name] = self.paths
      path.write_text(f"{self.name} of {self.title}")

  for name in FIGURES:
    monkeypatch.setattr(plotting, name, lambda paths, *, title, name=name: Picture(name, paths, title))
  monkeypatch.setattr(plotting, "animate", lambda paths, path, *, title: Picture("animate", paths, title).savefig(path))
  return asked


def refused(run, *argv):
  """The one line on the error stream with which a race is refused, before it writes anything."""
  code, out, err = run(*argv)
  assert (code, out) == (2, "")
  assert re.fullmatch(r"gradxform: [^\n]+\n", err)
  assert not os.listdir()
  return err


def paths_of(folder):
  """The rows of paths.csv by optimizer, as arrays."""
  with open(folder / "paths.csv", newline="") as file:
    header, *rows = csv.reader(file)
  assert header[:2] == ["optimizer", "step"]
  names = dict.fromkeys(row[0] for row in rows)
  return {name: np.array([row[2:] for row in rows if row[0] == name], np.float64) for name in names}


def optimizers_of(*argv):
  return _cli_race.parse(list(argv), PROG).optimizers


def row_of(out, name):
  """The cells of an optimizer's line in the table."""
  return re.search(rf"^  {re.escape(name)}  +(.*?) *$", out, flags=re.M)[1].split()


# What it prints and writes.


def test_the_default_race_draws_five_paths_on_the_bowl_and_prints_a_table(run, drawn, tmp_path):
  code, out, err = run()
  folder = tmp_path / "runs" / "race-bowl"
  assert code == 0
  assert sorted(os.listdir(folder)) == ["levels.png", "paths.csv", "surface.png", "values.png"]
  assert list(drawn) == ["level_sets", "surface", "values"]
  assert [*drawn["level_sets"]] == FIELD
  assert "bowl: 0.1·x² + 2·y²" in out
  assert "momentum(learning_rate=0.4, momentum=0.5)" in out
  assert "20 steps from (-4, -6); the least value is 0" in out
  assert "steps to 0.001   final value   final distance" in out
  assert row_of(out, "sgd") == ["—", "0.05697", "0.7548"]
  assert row_of(out, "momentum") == ["18", "0.0002788", "0.0504"]
  assert row_of(out, "adagrad") == ["—", "22.07", "3.652"]
  assert row_of(out, "rmsprop") == ["—", "0.01119", "0.0748"]
  assert row_of(out, "adam") == ["—", "0.7139", "1.214"]
  assert out.endswith("".join(f"{folder.relative_to(tmp_path) / name}\n" for name in [
    "paths.csv", "levels.png", "surface.png", "values.png",
  ]))  # fmt: skip
  assert "5/5" in err and "adam" in err  # the progress bar


def in_numpy(rule):
  """Twenty steps on the bowl of a rule `(g, t, memory) -> step`."""
  point, memory, path = np.array([-4.0, -6.0]), {}, []
  for t in range(1, 21):
    path.append(point)
    point = point - 0.4 * rule(np.array([0.2, 4.0]) * point, t, memory)
  return np.array([*path, point])


def heavy_ball(g, t, memory):
  memory["m"] = 0.5 * memory.get("m", 0.0) + g
  return memory["m"]


def adagrad(g, t, memory):
  memory["v"] = memory.get("v", 0.1) + g**2
  return g / np.sqrt(memory["v"] + 1e-7)


def rmsprop(g, t, memory):
  memory["v"] = 0.9 * memory.get("v", 0.0) + 0.1 * g**2
  return g / np.sqrt(memory["v"] + 1e-8)


def adam(g, t, memory):
  memory["m"] = 0.9 * memory.get("m", 0.0) + 0.1 * g
  memory["v"] = 0.999 * memory.get("v", 0.0) + 0.001 * g**2
  return memory["m"] / (1 - 0.9**t) / (np.sqrt(memory["v"] / (1 - 0.999**t)) + 1e-8)


def test_the_paths_are_those_of_d2l_and_of_a_loop_in_numpy_to_twelve_digits(run, drawn, tmp_path):
  run()
  paths = paths_of(tmp_path / "runs" / "race-bowl")
  rules = [lambda g, t, memory: g, heavy_ball, adagrad, rmsprop, adam]
  assert list(paths) == FIELD
  for path, rule in zip(paths.values(), rules, strict=True):
    x, y = in_numpy(rule).T
    columns = np.stack([x, y, 0.1 * x**2 + 2 * y**2, np.hypot(0.2 * x, 4 * y)], axis=1)
    np.testing.assert_allclose(path, columns, rtol=1e-11, atol=1e-12)
  published = {
    "sgd": (-0.754773316651186, -0.000219369506403779),
    "momentum": (-0.0502747640243029, 0.00360700671535038),
    "adagrad": (-1.55707868005756, -3.30382408016585),
    "adam": (1.08461637354442, 0.546011835635368),
  }
  for name, last in published.items():
    np.testing.assert_allclose(paths[name][-1, :2], last, rtol=1e-12, atol=1e-12)


def test_every_option_reaches_the_race(run, drawn, tmp_path, monkeypatch):
  seen, real = [], trajectories.race

  def recorded(optimizers, objective, steps, **settings):
    seen.append((optimizers, objective.name, objective.n, steps, settings, jnp.zeros(()).dtype))
    return real(optimizers, objective, steps, **settings)

  monkeypatch.setattr(trajectories, "race", recorded)
  options = (
    "--objective quadratic(n=2,condition_number=9) --steps 3 --start -1,.5 --seed 7 --output here/it/is --animate"
  )
  code, out, _ = run(*options.split(), "--optimizers", "adam(learning_rate=0.1, b1=0.8),sgd", "--learning-rate=1e-2")
  assert code == 0
  settings = {"start": [-1.0, 0.5], "seed": 7}
  assert seen == [
    ({"adam": gx.adam(0.1, b1=0.8)}, "quadratic", 2, 3, settings, np.float64),
    ({"sgd": gx.sgd(0.01)}, "quadratic", 2, 3, settings, np.float64),
  ]
  assert "quadratic(n=2,condition_number=9): ½ xᵀHx, κ = 9" in out
  assert "3 steps from (-1, 0.5)" in out
  assert {path.suffix: path.read_text() for path in (tmp_path / "here" / "it" / "is").iterdir()}[".gif"] == (
    "animate of quadratic(n=2,condition_number=9)"
  )
  assert jnp.zeros(()).dtype == np.float32  # as it was


def test_of_one_variable_the_graph_is_drawn(run, drawn, tmp_path):
  code, out, _ = run("--objective", "parabola", *QUICK, "--start", "-3")
  assert code == 0
  assert list(drawn) == ["line", "values"]
  assert "2 steps from -3;" in out
  assert paths_of(tmp_path / "runs" / "race-parabola")["sgd"][:, 0].tolist() == pytest.approx([-3.0, -0.6, -0.12])


def test_of_many_variables_the_values_are_drawn_and_it_says_so(run, drawn):
  code, out, _ = run("--objective", "styblinski_tang(n=5)", *QUICK, "--learning-rate", "0.01")
  assert code == 0
  assert list(drawn) == ["values"]
  assert "from (-1, 4, -1, 4, …);" in out
  assert "The values alone are drawn: level sets and surface are of two variables, this has 5." in out


def test_the_tolerance_decides_which_step_counts(run, drawn):
  out = run(*QUICK, "--tolerance", "30")[1]
  assert "steps to 30" in out
  assert row_of(out, "sgd")[0] == "1"


def test_an_optimizer_that_diverges_says_so_and_the_race_goes_on(run, drawn, tmp_path):
  code, out, err = run("--objective", "rosenbrock", "--optimizers", "adam,sgd", "--learning-rate", "0.4")
  assert code == 0
  assert row_of(out, "sgd") == ["—", "diverged", "—"]
  assert "diverged: sgd. Try a smaller --learning-rate, or one in the brackets." in out
  assert "gradxform:" not in err
  assert not np.isfinite(paths_of(tmp_path / "runs" / "race-rosenbrock")["sgd"][-1]).all()


def test_where_there_is_no_minimum_there_is_no_distance_to_it(run, drawn):
  out = run("--objective", "saddle", *QUICK)[1]
  steps, value, distance = row_of(out, "sgd")
  assert (steps, distance) == ("—", "—")
  assert float(value) < 1
  assert "no value is the least" in out


def test_optimizers_of_one_name_are_told_apart_by_their_settings(run, drawn, tmp_path):
  run("--optimizers", "sgd(0.1),sgd(0.2),sgd(0.2)", "--steps", "2")
  paths = paths_of(tmp_path / "runs" / "race-bowl")
  assert list(paths) == ["sgd(learning_rate=0.1)", "sgd(learning_rate=0.2)", "sgd(learning_rate=0.2) 2"]


# Which settings reach which optimizer.


@pytest.mark.parametrize(
  ("text", "optimizer"),
  [
    ("sgd", gx.sgd(0.4)),
    ("sgd(0.1)", gx.sgd(0.1)),
    ("adam(b1=0.8)", gx.adam(0.4, b1=0.8)),
    ("momentum", HEAVY),
    ("momentum(momentum=0.9)", gx.momentum(0.4, momentum=0.9)),
    ("nesterov(0.1)", gx.nesterov(0.1, momentum=0.5)),
    ("scale_by_learning_rate", gx.scale_by_learning_rate(0.4)),
    ("chain(clip_by_global_norm(1.0), momentum)", gx.chain(gx.clip_by_global_norm(1.0), HEAVY)),
    ("chain(learning_rate=momentum)", gx.chain(learning_rate=HEAVY)),
    # a learning rate with a default stays, and a line search has none
    ("adadelta", gx.adadelta()),
    ("newton", gx.newton()),
    ("damped_newton(damping=0.1)", gx.damped_newton(damping=0.1)),
    ("newton(0.5)", gx.newton(0.5)),
    ("lbfgs", gx.lbfgs()),
  ],
)  # fmt: skip
def test_shared_settings_reach_those_that_need_them_and_were_given_none(text, optimizer):
  assert optimizers_of("--optimizers", text) == [optimizer]


def test_shared_settings_may_be_given():
  given = optimizers_of("--optimizers", "momentum,newton,sgd(1)", "--learning-rate", "0.01", "--momentum", "0.9")
  assert given == [gx.momentum(0.01), gx.newton(), gx.sgd(1.0)]


def test_what_was_printed_may_be_given_again(run, drawn):
  out = run("--optimizers", "chain(clip(0.5), nesterov),bfgs,rmsprop(decay=0.8)", "--steps", "1")[1]
  printed = out.splitlines()[1:4]
  assert list(map(repr, optimizers_of("--optimizers", ",".join(printed), "--learning-rate", "9"))) == printed


# How it refuses.


@pytest.mark.parametrize(
  ("argv", "message"),
  [
    (["--optimizers", "sgd,adm"], "'adm': no optimizer or transform has the name 'adm'. Did you mean 'adam'?"),
    (["--optimizers", "sgd,,adam"], "--optimizers 'sgd,,adam': entry 2 of the list is empty."),
    (["--optimizers", "sgd,adam(0.1"], "the '(' is never closed."),
    (["--optimizers", "sgd(lr=0.1)"], "Did you mean 'learning_rate'? Its arguments are: learning_rate."),
    (["--optimizers", "sgd,adam(b1=2)"], "--optimizers 'adam(b1=2)': `adam(b1=...)` must be in [0, 1), got 2.0."),
    (["--learning-rate", "-1"], "'sgd': `sgd(learning_rate=...)` must be finite and at least 0, got -1.0."),
    (["--learning-rate", "high"], "must be a number, a scalar array or a schedule, got 'high'."),
    (["--momentum", "2"], "--optimizers 'momentum': `momentum(momentum=...)` must be in [0, 1], got 2.0."),
    (["--objective", "bwl"], "--objective 'bwl': no objective has the name 'bwl'. Did you mean 'bowl'?"),
    (["--objective", "rosenbrock(n=1)"], "`rosenbrock(n=...)` must be at least 2, got 1."),
    (["--objective", "ackley(100000000)"], "`ackley(n=...)` must be at most 1000 here, got 100000000."),
    (["--start", "1"], "--start must be 2 numbers for bowl, got 1."),
    (["--start", "1,2", "--objective", "wavy"], "--start must be 1 number for wavy, got 2."),
    (["--start", "1;2"], "argument --start: must be finite numbers, with commas between them, got '1;2'."),
    (["--start", "1,nan"], "got '1,nan'."),
    (["--tolerance", "0"], "argument --tolerance: must be a number greater than 0, got '0'."),
    (["--tolerance", "true"], "argument --tolerance: must be a number greater than 0, got 'true'."),
    (["--steps", "0"], "argument --steps: must be a whole number from 1 to 1000000, got '0'."),
    (["--seed", "-1"], "argument --seed: must be a whole number"),
    (["--animate", "--objective", "rosenbrock(n=3)"], "--animate draws one or two variables, rosenbrock(n=3) has 3."),
    (["--b1", "0.9"], "`race` has no option '--b1'."),
    (["--opt", "sgd"], "`race` has no option '--opt'."),
    (["--optimizers", "sgd", "adam"], '`race` has no option \'adam\'. The list of optimizers is one word, in quotes'),
  ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_the_remedy(run, argv, message):
  assert message in refused(run, *argv)


def test_what_an_expression_lacks_when_it_runs_is_told(run):
  code, out, err = run("--optimizers", "sgd,chain(shared('m'), sgd)", "--steps", "1")
  assert (code, out) == (2, "")
  assert err.endswith(
    "`shared('m')` stands outside of a `share` that defines it: write `share(..., m=...)` around it.\n"
  )
  assert "gradxform: --optimizers 'shared → sgd': " in err
  assert "Traceback" not in err


def test_an_output_that_cannot_be_written_is_refused_before_the_race(run, tmp_path, monkeypatch):
  (tmp_path / "file").write_text("")
  monkeypatch.setattr(trajectories, "race", lambda *args, **settings: pytest.fail("it raced"))
  code, out, err = run("--output", "file")
  assert (code, out) == (2, "")
  assert "cannot write 'file'" in err


@pytest.mark.parametrize(("module", "package"), [("tqdm", "tqdm"), ("rich", "rich"), ("matplotlib", "matplotlib")])
def test_a_missing_demo_package_is_named_with_how_to_install_it(run, monkeypatch, module, package):
  for name in [name for name in sys.modules if name.partition(".")[0] == module]:
    monkeypatch.delitem(sys.modules, name)
  for name in [name for name in sys.modules if name.startswith("gradxform.plotting")]:
    monkeypatch.delitem(sys.modules, name)
  monkeypatch.delattr(gx, "plotting", raising=False)  # an import sets it anew: put the old one back at the end
  monkeypatch.setitem(sys.modules, module, None)
  message = refused(run, *QUICK)
  assert message == f"gradxform: this needs {package}, which is not installed: pip install 'gradxform[demo]'\n"


def test_help_tells_of_the_defaults_the_precision_and_whom_the_learning_rate_reaches(run):
  code, out, _ = run("--help")
  words = " ".join(out.split())
  assert code == 0
  assert ",".join(FIELD) in words
  assert "in float64" in words
  assert "where it has a default, as in newton, it keeps that (default: 0.4)" in words
  assert "(default: 0.5)" in words


# Ctrl-C.


def test_an_interrupt_of_the_race_saves_nothing(run, drawn, tmp_path, monkeypatch):
  def interrupt(*args, **settings):
    raise KeyboardInterrupt

  monkeypatch.setattr(trajectories, "race", interrupt)
  code, out, err = run()
  assert (code, out) == (130, "")
  assert err.endswith("gradxform: interrupted before the race was over: there is nothing to save.\n")
  assert not list((tmp_path / "runs" / "race-bowl").iterdir())


def test_an_interrupt_that_jax_swallows_ends_the_race_after_the_optimizer(run, drawn, monkeypatch):
  real, raced = trajectories.race, []

  def swallowing(optimizers, *args, **settings):
    raced.extend(optimizers)
    with contextlib.suppress(KeyboardInterrupt):  # as in a callback of the garbage collector
      signal.raise_signal(signal.SIGINT)
    return real(optimizers, *args, **settings)

  monkeypatch.setattr(trajectories, "race", swallowing)
  before = signal.getsignal(signal.SIGINT)
  assert run()[0] == 130
  assert raced == ["sgd"]
  assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_of_the_drawing_leaves_the_paths_and_the_table(run, drawn, tmp_path, monkeypatch):
  def interrupt(paths, **settings):
    raise KeyboardInterrupt

  monkeypatch.setattr(plotting, "level_sets", interrupt)
  code, out, err = run(*QUICK)
  assert code == 130
  assert row_of(out, "sgd")
  assert err.endswith("gradxform: interrupted.\n")
  assert len(paths_of(tmp_path / "runs" / "race-bowl")["sgd"]) == 3


def test_an_interrupt_that_jax_swallows_ends_the_drawing_after_the_file(run, drawn, tmp_path, monkeypatch):
  real = trajectories.write_csv

  def swallowing(paths, path):
    with contextlib.suppress(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)
    real(paths, path)

  monkeypatch.setattr(trajectories, "write_csv", swallowing)
  assert run(*QUICK)[0] == 130
  assert os.listdir(tmp_path / "runs" / "race-bowl") == ["paths.csv"]
  assert not drawn


# With real pictures.


def test_the_command_draws_and_animates(tmp_path):
  command = [sys.executable, "-W", "error", "-m", "gradxform", "race", "--optimizers", "sgd,adam(0.2)", "--steps", "4"]
  out = subprocess.check_output([*command, "--animate", "--output", "."], cwd=tmp_path, encoding="utf-8")
  assert out.splitlines()[-5:] == ["paths.csv", "levels.png", "surface.png", "values.png", "race.gif"]
  for name in ("levels.png", "surface.png", "values.png"):
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
  assert (tmp_path / "race.gif").read_bytes().startswith(b"GIF8")
