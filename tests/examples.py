"""An example of everything exported, and the small trees and runs that the laws share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradxform as gx
from gradxform import combinators, optimizers, transforms, wrappers

# What cannot be called without arguments, or would be trivial with its defaults.
EXAMPLES = {
  "accumulate": gx.accumulate(gx.adam(0.1), every=2),
  "adafactor": gx.adafactor(0.1, min_dim_size_to_factor=2, weight_decay_rate=1e-3),
  "adaptive_sharpness_aware": gx.adaptive_sharpness_aware(gx.sgd(0.1), 0.2),
  "adaptive_grad_clip": gx.adaptive_grad_clip(0.1),
  "add": gx.add(gx.identity(), gx.trace(0.9)),
  "add_constant": gx.add_constant(0.1),
  "add_cautiously_decayed_weights": gx.add_cautiously_decayed_weights(0.01),
  "add_decayed_weights": gx.add_decayed_weights(0.01),
  "add_noise": gx.add_noise(0.01, 0.55),
  "adjustable": gx.adjustable(gx.adam(0.1)),
  "additive_average": gx.additive_average(0.9, initial=0.1),
  "anticipate": gx.anticipate(gx.scale_by_adam()),
  "arctan2": gx.arctan2(gx.trace(0.9), by=gx.chain(gx.absolute(), gx.root(1e-3))),
  "as_matrices": gx.as_matrices(gx.trace(0.9), {gx.is_matrix: "rows columns -> columns rows"}),
  "average_parameters": gx.average_parameters(gx.momentum(0.1), 0.9),
  "average_from_first": gx.average_from_first(0.9),
  "begin_with": gx.begin_with(0.5),
  "bias_correction": gx.bias_correction(0.9),
  "came": gx.came(0.1, eps=1e-20),  # with 1e-30 its derivatives overflow in float32
  "cautious": gx.cautious(gx.momentum(0.1), floor=0.1),
  "chain": gx.chain(gx.moving_average(0.9), gx.scale(-0.1)),
  "clip": gx.clip(0.5),
  "clip_by_block_rms": gx.clip_by_block_rms(0.5),
  "clip_by_global_norm": gx.clip_by_global_norm(0.5),
  "cube_root": gx.chain(gx.square(), gx.cube_root(1e-3)),
  "decayed_max": gx.decayed_max(0.9, 1e-8),
  "divide": gx.divide(gx.identity(), by=gx.chain(gx.absolute(), gx.root(1e-3))),
  "every": gx.every(gx.trace(0.9), 2),
  "factored_moving_average": gx.factored_moving_average(0.9, power=0.7, min_dim_size_to_factor=2, eps=1e-8),
  "differentially_private_aggregate": gx.differentially_private_aggregate(0.5, 0.1, 7),
  "dynamic_loss_scale": gx.dynamic_loss_scale(gx.adam(0.1), initial=4.0, every=2),
  "ema": gx.ema(0.9),
  "feedback": gx.feedback(gx.chain(gx.square(), gx.previous(gx.moving_average(0.9)), gx.root(eps_root=1e-2))),
  "gradient_at": gx.gradient_at(gx.chain(gx.trace(0.9), gx.scale(-0.1))),
  "generalised_primal_averaging": gx.generalised_primal_averaging(gx.momentum(0.1), b1=0.8, decay=0.9),
  "graft": gx.graft(gx.sign(), magnitude=gx.trace(0.9)),
  "lookahead": gx.lookahead(gx.momentum(0.1), every=2, slow=0.5),
  "freeze": gx.freeze(gx.is_bias),
  "masked": gx.masked(gx.trace(0.9), where=gx.at_least_2d),
  "mechanize": gx.mechanize(gx.adam(1.0), s_init=0.01),
  "in_eigenbasis": gx.in_eigenbasis(gx.scale_by_rms(), 0.9, 2),
  "in_exact_eigenbasis": gx.in_exact_eigenbasis(gx.trace(0.9), 0.9, 2),
  "in_low_rank": gx.in_low_rank(gx.scale_by_rms(), 2, 2, 0.5),
  "in_low_rank_and_rest": gx.in_low_rank_and_rest(gx.scale_by_rms(), gx.trace(0.5), 2, 2, 0.5),
  "rescale_in_low_rank": gx.rescale_in_low_rank(gx.scale_by_rms(), 2, 2),
  "scale_by_apollo": gx.scale_by_apollo(2, 2),
  "scale_by_fira": gx.scale_by_fira(2, 2),
  "matrix_norm": gx.divide(gx.identity(), by=gx.chain(gx.matrix_norm(), gx.add_constant(1e-3))),
  "mean_over": gx.divide(gx.identity(), by=gx.chain(gx.absolute(), gx.mean_over("columns"), gx.root(1e-3))),
  "mean_of_squares": gx.divide(gx.identity(), by=gx.chain(gx.mean_of_squares(), gx.root(1e-3))),
  "monitor": gx.monitor(gx.adam(0.1), every=2),
  "multiply": gx.multiply(gx.identity(), gx.moving_average(0.9)),
  "moving_average": gx.moving_average(0.9, initial=0.1),
  "nesterov_moment": gx.nesterov_moment(0.9),
  "newton_schulz": gx.chain(gx.scale(0.3), gx.newton_schulz((1.5, -0.5, 0.1), 2)),
  "partition": gx.partition({gx.is_matrix: gx.trace(0.9), "*": gx.scale_by_adam()}),
  "precondition_by_factors": gx.precondition_by_factors(gx.trace(0.9), 0.9, 1e-3, 2, 1, block_size=2),
  "previous": gx.previous(gx.moving_average(0.9, initial=0.1)),
  "rectify": gx.rectify(0.9),
  "root": gx.chain(gx.square(), gx.root(1e-3, 1e-3)),
  "route_matrices": gx.route_matrices(gx.trace(0.9), others=gx.scale_by_adam()),
  "scale": gx.scale(-0.1),
  "scale_by_madgrad": gx.scale_by_madgrad(0.1),
  "scale_by_galore": gx.scale_by_galore(2, 2, 0.5),
  "scale_by_factored_rms": gx.scale_by_factored_rms(min_dim_size_to_factor=2),
  "scale_by_shampoo": gx.scale_by_shampoo(0.9, 0.9, 1e-3, 2, 1, block_size=3),
  "scaled": gx.scaled({gx.is_bias: 0.5, "*": 2.0}),
  "scale_by_momentum": gx.scale_by_momentum(0.9),
  "scale_by_rprop": gx.scale_by_rprop(0.1),
  "scale_by_trust_ratio": gx.scale_by_trust_ratio(0.01, 0.1, 1e-3),
  "schedule_free": gx.schedule_free(gx.momentum(0.1), 0.8, learning_rate=0.1),
  "scion": gx.scion(0.1, radius=1.0, last_radius=4.0, weight_decay=0.1),
  "share": gx.share(gx.subtract(gx.identity(), gx.shared("m")), m=gx.moving_average(0.9)),
  "shared": gx.share(gx.shared("m"), m=gx.trace(0.9)),
  "shampoo": gx.shampoo(0.1, b2=0.9, precondition_frequency=2, block_size=3),
  "sharpness_aware": gx.sharpness_aware(gx.adam(0.1), 0.2),
  "skip_nonfinite": gx.skip_nonfinite(gx.adam(0.1), max_consecutive=4),
  "skip_spikes": gx.skip_spikes(gx.adam(0.1), window=3),
  "soap": gx.soap(0.1, max_precond_dim=4),  # in more directions than gradients have, Adam would see only rounding
  "split_real_and_imaginary": gx.split_real_and_imaginary(gx.trace(0.9)),
  "stochastic_weight_average": gx.stochastic_weight_average(gx.momentum(0.1), start=2, every=2),
  "stop_after": gx.stop_after(2),
  "subtract": gx.subtract(gx.identity(), gx.moving_average(0.9)),
  "sum_of_squares": gx.divide(gx.identity(), by=gx.chain(gx.sum_of_squares(), gx.root(1e-3))),
  "train_only": gx.train_only(gx.momentum(0.1), where=gx.at_least_2d),
  "trace": gx.trace(0.9),
  "where_positive": gx.multiply(gx.identity(), gx.where_positive(0.1)),
  "at_least": gx.at_least(-0.2),
}

# Every wrapper, as a function of what it wraps: the pair laws nest each in each.
WRAPPERS = {
  "accumulate": lambda inner: gx.accumulate(inner, every=2),
  "adaptive_sharpness_aware": gx.adaptive_sharpness_aware,
  "adjustable": lambda inner: gx.adjustable(gx.chain(gx.scale(1.5), inner)),  # Optax's have nothing to adjust
  "anticipate": gx.anticipate,
  "as_matrices": lambda inner: gx.as_matrices(inner, {gx.is_matrix: "rows columns -> columns rows"}),
  "average_parameters": lambda inner: gx.average_parameters(inner, 0.9),
  "cautious": gx.cautious,
  "dynamic_loss_scale": lambda inner: gx.dynamic_loss_scale(inner, initial=4.0),
  "every": lambda inner: gx.every(inner, 2),
  "generalised_primal_averaging": lambda inner: gx.generalised_primal_averaging(inner, b1=0.8, decay=0.9),
  "gradient_at": gx.gradient_at,
  "in_eigenbasis": lambda inner: gx.in_eigenbasis(inner, 0.9, 1),
  "in_exact_eigenbasis": lambda inner: gx.in_exact_eigenbasis(inner, 0.9, 2),
  "in_low_rank": lambda inner: gx.in_low_rank(inner, 1, 2),
  "in_low_rank_and_rest": lambda inner: gx.in_low_rank_and_rest(inner, gx.trace(0.5), 1, 2),
  "lookahead": lambda inner: gx.lookahead(inner, every=2),
  "masked": lambda inner: gx.masked(inner, where=gx.at_least_2d),
  "mechanize": lambda inner: gx.mechanize(inner, s_init=0.01),
  "monitor": gx.monitor,
  "partition": lambda inner: gx.partition({gx.is_matrix: gx.sgd(0.1), "*": inner}),
  "rescale_in_low_rank": lambda inner: gx.rescale_in_low_rank(inner, 1, 2),
  "route_matrices": lambda inner: gx.route_matrices(inner, others=gx.sgd(0.1)),
  "precondition_by_factors": lambda inner: gx.precondition_by_factors(inner, 0.9, 1e-3, 2, 1),
  "schedule_free": gx.schedule_free,
  "sharpness_aware": gx.sharpness_aware,
  "skip_nonfinite": gx.skip_nonfinite,
  "skip_spikes": lambda inner: gx.skip_spikes(inner, window=3),
  "split_real_and_imaginary": gx.split_real_and_imaginary,
  "stochastic_weight_average": lambda inner: gx.stochastic_weight_average(inner, start=2, every=2),
  "train_only": lambda inner: gx.train_only(inner, where=gx.not_(gx.is_bias)),
}

EXPORTED = [*combinators.__all__, *transforms.__all__, *wrappers.__all__, *optimizers.__all__]


def example(name):
  """The example of an exported name; those that need only a learning rate are made here."""
  if name in EXAMPLES:
    return EXAMPLES[name]
  factory = getattr(gx, name)
  takes_rate = "learning_rate" in factory.signature.parameters
  return factory(learning_rate=0.1) if takes_rate else factory()


# Where there is no model to ask for logits, such as on a surface.
WITHOUT_A_MODEL = [name for name in optimizers.__all__ if "logits_fn" not in example(name).part.reads]


def extras(params, grads):
  """What some rules ask for besides the gradients, of a convex quadratic that has these gradients here."""
  flat = jax.tree.leaves(grads)

  def objective(q):
    """g·(q − p) + ½ (q − p)·C (q − p), with another curvature C for each leaf."""
    moved = [wide(x) - y for x, y in zip(jax.tree.leaves(q), start, strict=True)]
    linear = [jnp.sum(jnp.real(g * m)) for g, m in zip(slopes, moved, strict=True)]
    bowl = [(0.5 + 0.25 * i) * jnp.sum(jnp.square(jnp.abs(m))) for i, m in enumerate(moved)]
    return sum(linear, start=jnp.zeros(())) + sum(bowl, start=jnp.zeros(()))

  wide = lambda x: jnp.asarray(x, gx.tree.computing_dtype(x))
  start, slopes = [wide(x) for x in jax.tree.leaves(params)], [wide(g) for g in flat]

  def logits_of(q):
    """Of two examples among three classes, linear in the parameters."""
    sums = sum((jnp.sum(jnp.real(wide(x))) for x in jax.tree.leaves(q)), start=jnp.zeros(()))
    return jnp.asarray([[0.1, -0.2, 0.3], [0.5, 0.0, -0.1]], sums.dtype) * sums

  given = {"value": objective(params), "grad": grads, "value_fn": objective, "grad_fn": jax.grad(objective)}
  return {**given, "logits_fn": logits_of, "key": jax.random.key(0)}


def given(transform, grads):
  """The gradients as the transform wants them: a few that are like these, for one that takes those of examples."""
  if isinstance(transform, gx.Transform) and transform.part.takes_examples:
    return jax.tree.map(lambda g: jnp.stack([g, g]), grads)
  return grads


def update(transform, grads, state, params):
  """One update, with all that any rule may ask for."""
  return transform.update(given(transform, grads), state, params, **extras(params, grads))


def step(transform, grads, state, params):
  """One step, with all that any rule may ask for."""
  return transform.step(given(transform, grads), state, params, **extras(params, grads))


def scheduled(name):
  """The example with a constant schedule in place of every number."""
  numbers = {path: v for path, v in gx.hyperparameters(example(name)).items() if isinstance(v, float)}
  return gx.replace(example(name), {path: optax.constant_schedule(v) for path, v in numbers.items()})


def params_like(dtype=jnp.float32):
  """A tree with a matrix, a vector twice (so that leaves share a trace), a scalar, and holes."""
  rng = np.random.default_rng(0)
  shapes = {"w": (3, 4), "b": (4,), "c": (4,), "s": (), "empty": (0, 2)}
  leaves = {name: rng.normal(size=shape) for name, shape in shapes.items()}
  if jnp.issubdtype(dtype, jnp.complexfloating):
    leaves = {name: leaf + 1j * rng.normal(size=np.shape(leaf)) for name, leaf in leaves.items()}
  return {"layer": {k: jnp.asarray(v, dtype) for k, v in leaves.items()}, "none": None}


def grads_like(params, step, dtype=None):
  """Gradients of the shapes of the parameters, other ones at each step."""
  rng = np.random.default_rng(100 + step)

  def leaf(p):
    g = rng.normal(size=p.shape)
    if jnp.iscomplexobj(p):
      g = g + 1j * rng.normal(size=p.shape)
    return jnp.asarray(g, dtype or p.dtype)

  return jax.tree.map(leaf, params)


def run(transform, params, steps=3, dtype=None):
  """Some updates without applying them: all updates, and the last state."""
  state = transform.init(params)
  compiled = jax.jit(functools.partial(update, optax.with_extra_args_support(transform)))
  outs = []
  for index in range(steps):
    updates, state = compiled(grads_like(params, index, dtype), state, params)
    outs.append(updates)
  return outs, state


@functools.cache
def run_of(name):
  """That of an example, compiled once for all the laws that compare with it."""
  return run(example(name), params_like())


def signature_of(tree):
  """Structure, shapes, dtypes and weak types."""
  leaves, structure = jax.tree.flatten(tree)
  return structure, [(jnp.shape(x), jnp.result_type(x), getattr(x, "weak_type", False)) for x in leaves]


def equations(jaxpr):
  """All equations of a program, those of its functions, loops and branches too, at each call."""
  for equation in jaxpr.eqns:
    yield equation
    for inner in jax.tree.leaves(list(equation.params.values())):
      if hasattr(inner, "jaxpr") or hasattr(inner, "eqns"):
        yield from equations(getattr(inner, "jaxpr", inner))
