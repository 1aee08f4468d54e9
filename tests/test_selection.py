"""Selectors: what they select, how they print, and that a pattern has to match a whole path."""

import copy
import pickle
import re

import jax
import numpy as np
import pytest

import gradxform as gx
from gradxform import selection
from gradxform.selection import labels, selects


def array(*shape):
  return jax.ShapeDtypeStruct(shape, np.float32)


@pytest.mark.parametrize(
  ("selector", "shapes"),
  [
    (gx.at_least_2d, [(2, 3), (2, 3, 4)]), (gx.is_matrix, [(2, 3)]), (gx.is_vector, [(2,)]), (gx.is_scalar, [()]),
    (gx.not_(gx.at_least_2d), [(), (2,)]), (gx.any_of(gx.is_scalar, gx.is_matrix), [(), (2, 3)]),
    (gx.all_of(gx.at_least_2d, gx.not_(gx.is_matrix)), [(2, 3, 4)]),
  ],
  ids=str,
)  # fmt: skip
def test_arrays_are_selected_by_their_axes(selector, shapes):
  assert [s for s in [(), (2,), (2, 3), (2, 3, 4)] if selects(selector, "w", array(*s))] == shapes


@pytest.mark.parametrize("path", ["bias", "b", "b1", "params/Dense_0/bias", "0/b", "in_proj_bias", "Linear/bias/value"])
def test_biases_are_known_by_their_name(path):
  assert gx.is_bias(path, array(3))


@pytest.mark.parametrize("path", ["", "kernel", "bias/kernel", "biases", "ab", "blob", "b/w", "w/value"])
def test_what_has_another_name_is_no_bias(path):
  assert not gx.is_bias(path, array(3))


@pytest.mark.parametrize("path", ["head", "lm_head/kernel", "params/head_0/w", "net.logits", "params/Classifier/bias"])
def test_heads_are_known_by_the_name_of_their_layer(path):
  assert gx.is_head(path, array(2, 3))


@pytest.mark.parametrize("path", ["", "Dense_2/kernel", "multi_head_attention/kernel", "heads/w", "ahead", "embedding"])
def test_what_has_another_name_is_no_head(path):
  assert not gx.is_head(path, array(2, 3))


@pytest.mark.parametrize("path", ["Embed_0/embedding", "pos_embedding", "transformer/wte/weight", "token_embed/w"])
def test_embeddings_are_known_by_their_name(path):
  assert gx.is_embedding(path, array(2, 3))


@pytest.mark.parametrize("path", ["", "embedder_proj/kernel", "unembed/kernel", "kernel", "twte"])
def test_what_has_another_name_is_no_embedding(path):
  assert not gx.is_embedding(path, array(2, 3))


@pytest.mark.parametrize(
  ("pattern", "path", "matches"),
  [
    ("body/*", "body/w", True), ("body/*", "body/0/w", True), ("*", "", True), ("*/w", "body/0/w", True),
    ("body", "body/w", False), ("w", "body/w", False), ("body/*", "Body/w", False), ("[ab]*", "b1", True),
    (re.compile("body/.*"), "body/0/w", True), (re.compile("body"), "body/w", False), (re.compile("w$"), "a/w", False),
  ],
)  # fmt: skip
def test_a_pattern_matches_whole_paths(pattern, path, matches):
  assert selects(pattern, path, array()) is matches


def test_patterns_and_functions_combine():
  selector = gx.all_of(gx.any_of("body/*", re.compile(r"head/\d")), gx.not_(gx.is_bias), lambda path, x: x.ndim)
  selected = [path for path in ("body/w", "body/b", "head/1", "head/w") if selector(path, array(2))]
  assert selected == ["body/w", "head/1"]


SELECTORS = [getattr(gx, name) for name in selection.__all__ if isinstance(getattr(gx, name), selection.Predicate)]
SELECTORS += [gx.not_("embed/*"), gx.any_of(gx.is_bias, gx.all_of("a*", "*b"))]


@pytest.mark.parametrize("selector", SELECTORS, ids=str)
def test_selectors_print_as_python_and_survive_pickle(selector):
  assert eval(repr(selector), vars(gx).copy()) == selector
  assert pickle.loads(pickle.dumps(selector)) == copy.deepcopy(selector) == selector


def test_each_group_has_a_name_of_its_own():
  def tail(path, x):
    return path.endswith("w")

  given = ["body/*", re.compile("body/*"), gx.is_bias, tail, lambda path, x: True, lambda path, x: False]
  assert labels(given) == ["body/*", "body/*_2", "is_bias", "<tail>", "<lambda>", "<lambda>_2"]


@pytest.mark.parametrize("make", [gx.any_of, gx.all_of, gx.not_])
def test_what_selects_nothing_is_refused(make):
  with pytest.raises(TypeError, match=r"must be given a glob of paths, a compiled regular expression.* got 3"):
    make(3)
