"""The notebooks: each runs from top to bottom, is what its script says, and is committed with its output."""

import json
import os
import pathlib
import subprocess
import sys

import jupytext
import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells_of(path):
  cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
  return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def test_every_script_has_its_notebook():
  assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in FOLDER.glob("*.py"))
  assert len(NOTEBOOKS) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path):
  # in a process of its own: what it sets, such as double precision, is global
  code = [cell["source"] for cell in cells_of(path) if cell["cell_type"] == "code"]
  command = [sys.executable, "-W", "error", "-c", "\n".join(code)]
  ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "agg"})
  assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_what_its_script_says(path):
  script = jupytext.read(path.with_suffix(".py"))
  assert [(c["cell_type"], c["source"]) for c in cells_of(path)] == [(c.cell_type, c.source) for c in script.cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_holds_the_outputs_and_pictures_of_a_run_without_errors(path):
  code = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]
  assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
  outputs = [output for cell in code for output in cell["outputs"]]
  assert not [output for output in outputs if output["output_type"] == "error"]
  assert not [output for output in outputs if output.get("name") == "stderr"]
  assert len([output for output in outputs if "image/png" in output.get("data", {})]) >= 3
  assert path.stat().st_size < 1_500_000
