"""The README's examples run, and its commands are what they say."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)\n```", README, re.S)


@pytest.mark.filterwarnings("error")
def test_the_examples_run_one_after_the_other():
  scope = {}
  blocks = re.findall(r"```python\n(.*?)```", README, re.S)
  assert len(blocks) == 3
  for block in blocks:
    exec(block, scope)
  assert scope["losses"].shape == (8,)
  assert repr(scope["slope"])[: len("adam(learning_rate=-53.6")] in README


def test_the_two_commands_do_all_the_set_up():
  train, test = COMMANDS
  assert train.startswith("python3 -m venv .venv && . .venv/bin/activate && pip install")
  assert train.endswith("&& gradxform train")
  assert "&& pytest" in test
  for command in COMMANDS:
    assert "\n" not in command


def test_it_is_short_and_its_pictures_and_links_exist():
  assert len(README.splitlines()) <= 80
  for target in re.findall(r"\]\(([^)]+)\)", README):
    assert (ROOT / target).exists(), target
