"""The core of Adam-mini: its blocks, and what it keeps of them. Its numbers are tested as those of the optimizer."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

import gradxform as gx

KEPT = {
  "attention/query/kernel": ((4, 2, 3), (2, 1)),
  "attention/value/kernel": ((4, 2, 3), (6, 1)),
  "attention/out/kernel": ((2, 3, 4), (4, 1)),
  "attention/key/bias": ((2, 3), (2, 3, 1)),
  "scanned/query/kernel": ((5, 4, 2, 3), (5, 2, 1)),
  "scanned/mlp/kernel": ((5, 4, 3), (5, 3, 1)),
  "scanned/norm/scale": ((5, 4), (5, 1)),
  "norm/scale": ((4,), (1,)),
  "embed/embedding": ((6, 4), (6, 1)),
  "Conv_0/kernel": ((2, 2, 3, 5), (5, 1)),
  "number": ((), ()),
}


def test_it_keeps_one_second_moment_for_each_block():
  params = {name: jnp.zeros(shape) for name, (shape, _) in KEPT.items()}
  state = gx.scale_by_adam_mini().init(params)["scale_by_adam_mini"]
  moment = state["by"]["as_matrices"]["moving_average"]["moment"]
  assert {name: leaf.shape for name, leaf in moment.items()} == {name: kept for name, (_, kept) in KEPT.items()}
  described = gx.layout(gx.scale_by_adam_mini(), params)["scale_by_adam_mini"]["by"]
  leaf = described["as_matrices"]["moving_average"]["moment"]["attention/query/kernel"]
  assert (leaf.kind, leaf.parameter) == ("factor", "attention/query/kernel")


def test_the_blocks_of_a_layer_of_flax_are_found_by_its_names():
  class Model(nn.Module):
    @nn.compact
    def __call__(self, tokens):
      x = nn.LayerNorm()(nn.Embed(7, 8)(tokens))
      x = x + nn.MultiHeadDotProductAttention(num_heads=2)(x)
      return nn.Dense(7)(x)

  params = jax.eval_shape(Model().init, jax.random.key(0), jnp.zeros((1, 3), jnp.int32))["params"]
  state = jax.eval_shape(gx.scale_by_adam_mini().init, params)["scale_by_adam_mini"]
  moment = state["by"]["as_matrices"]["moving_average"]["moment"]
  attention = moment["MultiHeadDotProductAttention_0"]
  assert attention["query"]["kernel"].size == attention["key"]["kernel"].size == 2
  assert attention["value"]["kernel"].size == attention["out"]["kernel"].size == 8
  assert attention["query"]["bias"].size == 8
  assert (moment["Embed_0"]["embedding"].size, moment["Dense_0"]["kernel"].size) == (7, 7)
  assert (moment["LayerNorm_0"]["scale"].size, moment["LayerNorm_0"]["bias"].size) == (1, 8)


@pytest.mark.parametrize(
  ("blocks", "error", "message"),
  [
    ("flax", TypeError, r"`scale_by_adam_mini\(blocks=...\)` must be a dict of views by paths"),
    ({"*": 3}, TypeError, "must be a pattern"),
    ({"*": "d -> d d"}, ValueError, "each axis once on each side"),
  ],
)
def test_blocks_that_cannot_be_are_refused(blocks, error, message):
  with pytest.raises(error, match=message):
    gx.scale_by_adam_mini(blocks=blocks)


def test_a_pattern_of_blocks_that_fits_no_path_or_shape_is_refused_when_the_state_is_made():
  params = {"w": jnp.zeros((3, 4))}
  with pytest.raises(ValueError, match=r"'v' matches no leaf"):
    gx.scale_by_adam_mini(blocks={"v": "i o -> o i"}).init(params)
  with pytest.raises(ValueError, match=r"does not fit 'w' of shape \(3, 4\)"):
    gx.scale_by_adam_mini(blocks={"w": "d (3 h) -> 3 (d h)"}).init(params)
