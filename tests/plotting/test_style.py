"""The look of an optimizer is its own in every picture; figures show themselves, and texts are wrapped."""

import itertools
import subprocess
import sys

import numpy as np
import optax
import pytest
from matplotlib.colors import to_rgb
from pictures import path

import gradxform as gx
from gradxform.optimizers import __all__ as OPTIMIZERS
from gradxform.plotting import Style, level_sets, style_of
from gradxform.plotting._looks import styles_of
from gradxform.plotting._style import entry, legend_size, number

# Machado, Oliveira & Fernandes 2009, table 1, severity 1.0: what those see who lack a kind of cones.
SIGHTS = {
  "all": np.eye(3),
  "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
OFTEN_TOGETHER = [gx.sgd, gx.momentum, gx.nesterov, gx.adagrad, gx.rmsprop, gx.adam]


def made(name):
  factory = getattr(gx, name)
  rate = factory.signature.parameters.get("learning_rate")
  return factory(0.1) if rate is not None and rate.default is rate.empty else factory()


def drawn(optimizer):
  return path([[1, 1], [0.5, 0.5]], optimizer=optimizer)


def lab(color, sight):
  """CIELAB coordinates of a colour, as a kind of sight sees it."""
  rgb = np.array(to_rgb(color))
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  seen = np.clip(np.array(SIGHTS[sight]) @ linear, 0, 1)
  to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
  xyz = to_xyz @ seen / [0.9505, 1.0, 1.089]
  f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
  return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
def test_the_colours_of_optimizers_often_drawn_together_differ_for_colour_blind_readers_too(sight):
  colors = [style_of(drawn(factory(0.1))).color for factory in OFTEN_TOGETHER]
  for one, other in itertools.combinations(colors, 2):
    assert np.linalg.norm(lab(one, sight) - lab(other, sight)) > 15, (one, other)


def test_all_optimizers_of_the_package_look_different():
  looks = {name: style_of(drawn(made(name))) for name in OPTIMIZERS}
  shared = {name: look for name, look in looks.items() if list(looks.values()).count(look) > 1}
  assert not shared, "give one of them another entry in the table of gradxform/plotting/_looks.py"


def test_an_optimizer_looks_the_same_whatever_else_is_drawn_and_whatever_its_settings():
  alone = level_sets(drawn(gx.adam(0.1)))
  among = level_sets([drawn(gx.sgd(0.1)), drawn(gx.momentum(0.1)), drawn(gx.adam(3.0, b1=0.5))])
  looks = [
    (line.get_color(), line.get_marker(), line.get_linestyle())
    for figure in (alone, among)
    for line in figure.axes[0].lines
    if line.get_label() == "adam"
  ]
  assert len(looks) == 2 and looks[0] == looks[1]
  assert looks[0][0] == style_of(drawn(gx.adam(7.0))).color


def test_names_without_an_entry_have_a_look_that_never_changes():
  chain = gx.chain(gx.scale(-0.1), gx.clip_by_global_norm(1.0))
  code = """
import gradxform as gx, sys
sys.path.insert(0, sys.argv[1])
from pictures import path
from gradxform.plotting import style_of
print(style_of(path([[1, 1]], optimizer=gx.chain(gx.scale(-2.0), gx.clip_by_global_norm(9.0)))))
"""
  printed = subprocess.check_output([sys.executable, "-c", code, next(p for p in sys.path if p.endswith("tests"))])
  assert printed.decode().strip() == repr(style_of(drawn(chain)))


def test_a_chain_has_the_colour_of_the_optimizer_that_its_stages_name():
  for optimizer, named in [
    (gx.chain(gx.scale_by_lbfgs(), gx.scale(-1.0), gx.zoom_line_search()), gx.lbfgs()),
    (gx.chain(gx.clip_by_global_norm(1.0), gx.adam(0.1)), gx.adam(0.1)),
    (gx.chain(optax.scale_by_adam(), gx.scale(-0.1)), gx.adam(0.1)),
  ]:
    look, other = style_of(drawn(optimizer)), style_of(drawn(named))
    assert look.color == other.color
    assert look != other


def test_several_of_one_look_differ_and_the_first_keeps_it():
  rates = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
  for factory in (gx.sgd, gx.adam, gx.rmsprop, gx.adamw):
    styles = styles_of([drawn(factory(rate)) for rate in rates])
    assert styles[0] == style_of(drawn(factory(0.1)))
    assert len(set(styles)) == len(styles)
    assert len({style.color for style in styles}) >= 4
    assert styles[:3] == styles_of([drawn(factory(rate)) for rate in rates[:3]])


def test_a_figure_shows_itself_in_a_notebook_as_a_sharp_picture_of_its_width():
  figure = level_sets(drawn(gx.sgd(0.1)))
  data, size = figure._repr_png_()
  assert data.startswith(b"\x89PNG")
  pixels = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
  assert size["width"] / size["height"] == pytest.approx(pixels[0] / pixels[1], rel=0.01)
  assert pixels[0] > size["width"] == round(96 * figure.get_figwidth())


def test_drawing_uses_neither_pyplot_nor_a_kernel():
  code = """
import sys
sys.path.insert(0, sys.argv[1])
from pictures import path
from gradxform import plotting
plotting.surface(path([[1, 1], [0, 0]]))._repr_png_()
print([name for name in ("matplotlib.pyplot", "IPython", "tkinter") if name in sys.modules])
"""
  tests = next(p for p in sys.path if p.endswith("tests"))
  assert subprocess.check_output([sys.executable, "-W", "error", "-c", code, tests], text=True).strip() == "[]"


def test_an_entry_of_a_legend_is_a_name_and_indented_notes_in_short_lines():
  text = entry("sgd", ["leaves the window at step 3", "looks like a very long name of an optimizer"])
  lines = text.split("\n")
  assert lines[:2] == ["sgd", "  leaves the window at step 3"]
  assert max(map(len, lines)) <= 31
  width, height = legend_size([text])
  assert 1.5 < width < 3 and 0.4 < height < 1.2


@pytest.mark.parametrize(
  ("value", "written"),
  [
    (0, "0"),
    (-4.0, "−4"),
    (3033.7, "3030"),
    (0.59123, "0.591"),
    (999.9, "1000"),
    (2.71e38, "2.71e+38"),
    (1e-7, "1e−07"),
  ],
)
def test_numbers_have_three_digits(value, written):
  assert number(value) == written


def test_a_style_makes_the_arguments_of_a_line():
  arguments = Style("#123456", "o").drawn(2.0, 6.0)
  assert (arguments["color"], arguments["marker"], arguments["linewidth"]) == ("#123456", "o", 2.0)
