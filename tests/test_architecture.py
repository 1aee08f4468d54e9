"""The house rules that a program can check: imports point down, exports are documented and sorted out."""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest
from examples import EXPORTED

import gradxform as gx
from gradxform import combinators, optimizers, rules, transforms, wrappers

PACKAGE = pathlib.Path(gx.__file__).parent
LAYERS = [
  "_checks", "selection", "tree", "stacks", "parts", "compounds", "knots", "foreign", "lifted", "expression", "core",
  "rules", "combinators", "reader", "introspect", "layouts", "views", "health", "telemetry", "transforms", "wrappers",
  "optimizers", "minimization", "compat", "objectives", "trajectories", "data", "training", "sweeping", "plotting",
  "cli", "__main__",
]  # fmt: skip
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
IMPORTED_ONCE = {
  "flax": ["training"],
  "matplotlib": ["plotting"],
  "torch": [],
  "sklearn": ["data", "objectives"],
  "mlxtend": ["data"],
}


def layer_of(module):
  name = module.parts[0].removesuffix(".py")
  return "cli" if name.startswith("_cli") else name


def imports_of(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield node.module
      if node.module == "gradxform":
        yield from (f"gradxform.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_down(module):
  if module == pathlib.Path("__init__.py"):
    return
  layer = LAYERS.index(layer_of(module))
  for imported in imports_of(PACKAGE / module):
    if imported.startswith("gradxform."):
      target = imported.split(".")[1]
      assert LAYERS.index("cli" if target.startswith("_cli") else target) <= layer, imported


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_heavy_packages_are_imported_in_their_one_place(module):
  for imported in imports_of(PACKAGE / module):
    homes = IMPORTED_ONCE.get(imported.split(".")[0])
    assert homes is None or layer_of(module) in homes, imported


def test_importing_the_package_loads_no_flax_matplotlib_or_torch():
  code = "import gradxform, sys; print([m for m in ('flax', 'matplotlib', 'torch', 'sklearn') if m in sys.modules])"
  assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_says_what_it_is(module):
  assert ast.get_docstring(ast.parse((PACKAGE / module).read_text())), module


@pytest.mark.parametrize("name", EXPORTED)
def test_docstrings_have_a_sentence_a_formula_arguments_and_a_source(name):
  factory = getattr(gx, name)
  doc = inspect.getdoc(factory)
  first = doc.split("\n\n")[0]
  assert first.endswith((".", ".  ")) or "\n" in first, "a sentence"
  assert gx.formula(factory), "a formula"
  for argument, parameter in factory.signature.parameters.items():
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    assert f"  {stars}{argument}: " in doc, argument
  if name in optimizers.__all__:
    assert "Source: " in doc


@pytest.mark.parametrize("name", optimizers.__all__)
def test_optimizers_take_all_but_the_learning_rate_by_keyword(name):
  parameters = getattr(gx, name).signature.parameters.values()
  positional = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
  has_rate = any(parameter.name == "learning_rate" for parameter in parameters)
  assert positional == (["learning_rate"] if has_rate else [])


@pytest.mark.parametrize("name", optimizers.__all__)
def test_optimizers_are_one_expression_of_at_most_fifteen_lines(name):
  source = inspect.getsource(inspect.unwrap(getattr(gx, name)))
  function = ast.parse(source).body[0]
  assert isinstance(function, ast.FunctionDef)
  body = function.body[1:]
  assert isinstance(body[-1], ast.Return)
  assert sum(node.end_lineno - node.lineno + 1 for node in body) <= 15


def test_the_modules_export_what_they_say():
  for module in (combinators, rules, transforms, wrappers, optimizers):
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
      assert getattr(gx, name) is getattr(module, name)


def test_files_fit_in_a_head():
  for module in MODULES:
    assert len((PACKAGE / module).read_text().splitlines()) <= 300, module


def test_the_package_asserts_nothing():
  # An assertion is gone under `python -O`, and says neither argument nor remedy.
  asserted = {
    f"{path}:{node.lineno}"
    for path in MODULES
    for node in ast.walk(ast.parse((PACKAGE / path).read_text()))
    if isinstance(node, ast.Assert)
  }
  assert not asserted
