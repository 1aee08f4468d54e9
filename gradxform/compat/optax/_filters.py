"""Optax's filters, and its transforms with one slot."""

import jax.numpy as jnp
import optax

from gradxform import transforms
from gradxform._checks import check_real
from gradxform.combinators import add, chain, divide, identity, previous, subtract
from gradxform.compat.optax._drop_in import called, drop_in
from gradxform.rules import after, elementwise
from gradxform.transforms import bias_correction, moving_average, root, square


@drop_in(optax.trace)
def trace(decay, nesterov, accumulator_dtype):
  """Accumulates the updates with decay. State: ``TraceState``, with ``trace``."""
  kept = transforms.trace(decay)
  ahead = add(identity(), chain(kept, transforms.scale(decay)))
  return called(ahead if nesterov else kept, state="TraceState", trace=accumulator_dtype)


@drop_in(optax.ema)
def ema(decay, debias, accumulator_dtype):
  """Averages the updates. State: ``EmaState``, with ``ema``."""
  average = called(moving_average(decay), state="EmaState", ema=accumulator_dtype)
  return chain(average, bias_correction(decay)) if debias else average


@drop_in(optax.scale_by_rss)
def scale_by_rss(initial_accumulator_value, eps):
  """The core of Adagrad. State: ``ScaleByRssState``, with ``sum_of_squares``."""
  return called(transforms.scale_by_rss(initial_accumulator_value, eps), state="ScaleByRssState", sum_of_squares=None)


def corrected(average, decay, correct):
  """An average, with its bias corrected or not."""
  return chain(average, bias_correction(decay)) if correct else average


def rooted(eps, eps_in_sqrt):
  """The root with its eps inside or outside."""
  return root(eps_root=eps) if eps_in_sqrt else root(eps)


@drop_in(optax.scale_by_rms)
def scale_by_rms(decay, eps, initial_scale, eps_in_sqrt, bias_correction):
  """The core of RMSprop. State: ``ScaleByRmsState``, with ``nu``."""
  squares = chain(square(), corrected(moving_average(decay, initial=initial_scale), decay, bias_correction))
  return called(divide(identity(), by=chain(squares, rooted(eps, eps_in_sqrt))), state="ScaleByRmsState", nu=None)


@drop_in(optax.scale_by_stddev)
def scale_by_stddev(decay, eps, initial_scale, eps_in_sqrt, bias_correction):
  """The core of centred RMSprop. State: ``ScaleByRStdDevState``, with ``mu`` and ``nu``.

  A variance that rounding makes negative counts as 0, where Optax has NaN.
  """
  squares = chain(square(), corrected(moving_average(decay, initial=initial_scale), decay, bias_correction))
  mean = corrected(moving_average(decay), decay, bias_correction)
  variance = chain(subtract(squares, chain(mean, square())), transforms.at_least(0.0))
  core = divide(identity(), by=chain(variance, rooted(eps, eps_in_sqrt)))
  return called(core, state="ScaleByRStdDevState", nu=None, mu=None)


@drop_in(optax.scale_by_lion)
def scale_by_lion(b1, b2, mu_dtype, *, mode, smooth_beta):
  """The core of Lion. State: ``ScaleByLionState``, with ``mu``."""
  kept = chain(previous(moving_average(b2)), transforms.scale(b1))
  mixed = add(kept, transforms.scale(after(lambda b: 1 - b, b1)))
  core = chain(mixed, lion_step(mode, smooth_beta))
  return called(core, state="ScaleByLionState", mu=mu_dtype)


def lion_step(mode, smooth_beta):
  """What Lion makes of its mixture: its sign, or something smoother."""
  match mode:
    case "hard":
      return transforms.sign()
    case "smooth":
      return chain(transforms.scale(smooth_beta), elementwise("tanh", jnp.tanh))
    case "refined":
      return elementwise("refined_sign", lambda u: jnp.where(jnp.abs(u) < 1, u, jnp.sign(u)))
  raise ValueError(f"`scale_by_lion(mode=...)` must be one of 'hard', 'smooth', 'refined', got {mode!r}.")


@drop_in(optax.scale_by_optimistic_gradient)
def scale_by_optimistic_gradient(alpha, beta):
  """Adds to the gradient its change. State: ``ScaleByOptimisticGradientState``, with ``previous_gradient``."""
  core = transforms.scale_by_optimistic_gradient(alpha, beta)
  return called(core, state="ScaleByOptimisticGradientState", previous_gradient=None)


@drop_in(optax.scale_by_rprop)
def scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size):
  """The core of Rprop as Optax has it: one step late, it emits the update of the step before, 0 at first.

  State: ``ScaleByRpropState``, with ``step_sizes`` and ``prev_updates``.
  """

  def rule(u, step_size, last, *, eta_minus, eta_plus, min_step_size, max_step_size):
    check_real("scale_by_rprop", u)
    agreement = u * last
    grown = jnp.clip(step_size * jnp.where(agreement > 0, eta_plus, eta_minus), min_step_size, max_step_size)
    step_size = jnp.where(agreement == 0, step_size, grown)
    turned = agreement < 0
    return jnp.where(turned, 0, last), step_size, jnp.where(turned, 0, step_size * jnp.sign(u))

  late = elementwise(
    "late_rprop",
    rule,
    slots={"step_size": learning_rate, "last": 0.0},
    eta_minus=eta_minus,
    eta_plus=eta_plus,
    min_step_size=min_step_size,
    max_step_size=max_step_size,
  )
  return called(late, state="ScaleByRpropState", step_sizes=None, prev_updates=None)
