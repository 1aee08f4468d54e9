"""Functions of each element."""

import jax.numpy as jnp

from gradxform._checks import check_integer, check_not_negative, check_number, check_real, is_normal
from gradxform.core import Hyperparameter, named
from gradxform.rules import as_real, elementwise
from gradxform.tree import cbrt, sqrt


@named
def scale(step_size: Hyperparameter):
  """Multiplies the updates by a number.

      u ← c · u

  Args:
    step_size: the factor c; any finite number.

  Source: `optax.scale`; with a schedule, `optax.scale_by_schedule`.
  """
  check_number("scale", step_size=step_size)
  return elementwise("scale", lambda u, *, step_size: step_size * u, step_size=step_size)


@named
def scale_by_count(power: Hyperparameter = 0.5):
  """Multiplies by a power of the number of the step.

      u ← tᵏ · u,   t = 1 at the first update

  Args:
    power: k, any finite number.

  Source: the weights of dual averaging, such as those of Defazio & Jelassi 2021, MADGRAD,
  https://arxiv.org/abs/2101.11075.
  """
  check_number("scale_by_count", power=power)

  def factor(*, t, power):
    return jnp.asarray(t, jnp.result_type(float)) ** power

  return elementwise("scale_by_count", lambda u, *, factor: factor * u, once={"factor": factor}, power=power)


@named
def begin_with(value: Hyperparameter):
  """Replaces the first updates by a number.

      u ← c at the first step, u after it

  Args:
    value: the number c; any finite one.

  Source: the divisor of ACProp's first step, Zhuang et al. 2021, https://arxiv.org/abs/2110.05454.
  """
  check_number("begin_with", value=value)

  def rule(u, *, t, value):
    return jnp.where(t == 1, jnp.asarray(value, u.dtype), u)

  return elementwise("begin_with", rule, value=value)


@named
def stop_after(steps: int):
  """Passes the first updates on, and 0 after them.

      u ← u at the steps 1, …, n;   0 after them

  In an `add` it stands for what begins later.

  Args:
    steps: n, at least 0.

  Source: the first steps of Distributed Shampoo, Shi et al. 2023, https://arxiv.org/abs/2309.06497, which
  are those of another method.

  >>> stop_after(2)
  stop_after(steps=2)
  """
  check_integer("stop_after", minimum=0, steps=steps)

  def rule(u, *, count):
    return jnp.where(count < steps, u, 0)

  return elementwise("stop_after", rule)


@named
def scale_by_learning_rate(learning_rate: Hyperparameter):
  """Makes of an ascent direction a step of descent.

      u ← −a · u

  Args:
    learning_rate: the step a, in parameter units for each unit of the incoming update; at least 0.

  Source: `optax.scale_by_learning_rate` (which can also leave out the sign).
  """
  check_not_negative("scale_by_learning_rate", learning_rate=learning_rate)

  def rule(u, *, learning_rate):
    return -learning_rate * u

  return elementwise("scale_by_learning_rate", rule, learning_rate=learning_rate)


@named
def set_to_zero():
  """Puts 0 in the place of every element.

      u ← 0

  Source: `optax.set_to_zero`.
  """
  return elementwise("set_to_zero", jnp.zeros_like)


@named
def square():
  """Squares each element; of a complex one, its absolute value.

      u ← |u|²

  Source: what second moments average, Kingma & Ba 2015, https://arxiv.org/abs/1412.6980.
  """

  def rule(u):
    return jnp.real(u * jnp.conj(u)) if jnp.iscomplexobj(u) else u * u

  return elementwise("square", rule, output=as_real)


@named
def absolute():
  """Takes the absolute value of each element; the modulus of a complex one.

      u ← |u|

  Source: what Adamax's maximum sees, Kingma & Ba 2015, https://arxiv.org/abs/1412.6980.
  """
  return elementwise("absolute", jnp.abs, output=as_real)


@named
def sign():
  """Takes the sign of each element: −1, 0 or 1, and u / |u| of a complex one; NaN stays NaN.

      u ← sign(u)

  Source: `optax.scale_by_sign`.
  """
  return elementwise("sign", jnp.sign)


@named
def at_least(minimum: Hyperparameter):
  """Raises smaller elements to a minimum; NaN stays NaN.

      u ← max(u, c)

  Args:
    minimum: the bound c; any finite number.

  Raises:
    TypeError: for complex updates.
  """
  check_number("at_least", minimum=minimum)

  def rule(u, *, minimum):
    check_real("at_least", u)
    return jnp.maximum(u, minimum)

  return elementwise("at_least", rule, minimum=minimum)


@named
def root(eps: Hyperparameter = 0.0, eps_root: Hyperparameter = 0.0):
  """Takes the square root, with a constant outside it, or inside.

      u ← √(u + eps_root) + eps

  Its derivative is taken as 0 where the root is 0, so that training runs can be differentiated
  with respect to their optimizer.

  Args:
    eps: added to the root; at least 0. Where Adam and torch have it.
    eps_root: added before; at least 0. Where Optax's RMSprop and Adagrad have theirs.
  """
  check_not_negative("root", eps=eps, eps_root=eps_root)

  def rule(u, *, eps, eps_root):
    return sqrt(u + eps_root) + eps

  positive = is_normal(eps) or is_normal(eps_root)
  return elementwise("root", rule, positive=positive, eps=eps, eps_root=eps_root)


@named
def cube_root(eps: Hyperparameter = 0.0):
  """Takes the cube root, with a constant outside it.

      u ← ∛u + eps

  Its derivative is taken as 0 where the root is 0, as that of `root`.

  Args:
    eps: added to the root; at least 0.

  Raises:
    TypeError: for complex updates.

  Source: the divisor of Defazio & Jelassi 2021, MADGRAD, https://arxiv.org/abs/2101.11075.
  """
  check_not_negative("cube_root", eps=eps)

  def rule(u, *, eps):
    check_real("cube_root", u)
    return cbrt(u) + eps

  return elementwise("cube_root", rule, eps=eps)


@named
def add_constant(constant: Hyperparameter):
  """Adds a number to each element.

      u ← u + c

  Args:
    constant: c; any finite number.
  """
  check_number("add_constant", constant=constant)
  return elementwise("add_constant", lambda u, *, constant: u + constant, constant=constant)


@named
def scale_by_param_size(eta: Hyperparameter = 0.0):
  """Scales each element by the size of its parameter.

      u ← u · (|p| + η)

  Args:
    eta: η, at least 0.

  Raises:
    ValueError: if `update` is not given the parameters.

  Source: the normalization operator of Kwon et al. 2021, section 3, https://arxiv.org/abs/2102.11600.
  """
  check_not_negative("scale_by_param_size", eta=eta)
  return elementwise("scale_by_param_size", lambda u, *, param, eta: u * (jnp.abs(param) + eta), eta=eta)
