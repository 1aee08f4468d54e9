"""Parts made of parts: slots, scalars and names find their way."""

import jax
import jax.numpy as jnp

import gradxform as gx
from gradxform.compounds import Chain, number
from gradxform.core import part_of, stages_of
from gradxform.parts import is_by_leaf


def chain_of(transform):
  return Chain(stages_of(transform))


def test_the_slots_of_a_chain_are_those_of_its_stages_under_their_keys():
  part = chain_of(gx.adam(1e-3))
  assert part.slots == (
    ("scale_by_adam", "numerator", "scale_by_momentum", "moment"),
    ("scale_by_adam", "by", "moving_average", "moment"),
  )
  assert part.scalars == ()


def test_the_scalars_of_schedules_are_kept_beside_the_slots():
  part = chain_of(gx.scale_by_adam(b1=lambda count: 0.9))
  assert part.scalars == (("scale_by_adam", "numerator", "bias_correction", "correction"),)


def test_only_stages_with_state_are_numbered():
  stateless, stateful = part_of(gx.sign()), part_of(gx.trace(0.9))
  names = number([("x", stateless), ("x", stateful), ("x", stateless), ("x", stateful), ("x_2", stateful)])
  assert names == ["x", "x", "x", "x_2", "x_2_2"]


def test_what_reads_the_parameters_says_so():
  assert chain_of(gx.adamw(1e-3)).reads == {"param"}
  assert chain_of(gx.adam(1e-3)).reads == set()


def test_free_names_are_those_without_a_share_around():
  m = gx.shared("m")
  assert part_of(gx.add(m, gx.shared("n"))).free == {"m", "n"}
  assert part_of(gx.share(gx.add(m, gx.shared("n")), m=gx.identity())).free == {"n"}
  assert part_of(gx.share(m, m=gx.shared("m"))).free == {"m"}


def test_delay_passes_through_what_comes_after():
  late = gx.previous(gx.moving_average(0.9))
  assert part_of(gx.chain(gx.square(), late, gx.root())).delayed
  assert part_of(gx.add(late, late)).delayed
  assert not part_of(gx.add(late, gx.identity())).delayed


def test_a_divisor_known_to_be_positive_is_not_guarded():
  def equations(divisor):
    transform = gx.divide(gx.identity(), by=divisor)
    return str(jax.make_jaxpr(transform.update)(jnp.ones(2), transform.init(jnp.ones(2))))

  assert part_of(gx.root(1e-8)).positive
  assert not part_of(gx.root(0.0)).positive
  assert not part_of(gx.root(1e-60)).positive  # zero in float32
  assert not part_of(gx.chain(gx.root(1e-8), gx.scale(-1.0))).positive
  guarded = equations(gx.absolute()).count("eq ")
  assert guarded == equations(gx.chain(gx.absolute(), gx.root(1e-8))).count("eq ") + 1


def test_by_leaf_or_by_tree():
  assert is_by_leaf(part_of(gx.adam(1e-3)))
  assert not is_by_leaf(part_of(gx.chain(gx.clip_by_global_norm(1.0), gx.adam(1e-3))))
