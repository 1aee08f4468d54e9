"""`minimize` with our L-BFGS against the same loop with `optax.lbfgs`, on Rosenbrock's function.

Both sides run from the same start until the norm of the gradient is below 1e-8, in float64, compiled
before. `theirs` is the loop of Optax's own documentation, which takes value and gradient from the
line search's state; `theirs_in_minimize` is `optax.lbfgs()` given to our `minimize`.
"""

import harness
import jax
import jax.numpy as jnp
import optax

import gradxform as gx

ROUNDS, TOLERANCE, MAX_STEPS = 201, 1e-8, 5000


def rosenbrock(x):
  return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@jax.jit
def theirs(start):
  """The loop of Optax's documentation."""
  optimizer = optax.lbfgs()
  value_and_grad = optax.value_and_grad_from_state(rosenbrock)

  def step(carry):
    point, state = carry
    value, grad = value_and_grad(point, state=state)
    updates, state = optimizer.update(grad, state, point, value=value, grad=grad, value_fn=rosenbrock)
    return optax.apply_updates(point, updates), state

  def go_on(carry):
    _, state = carry
    count, grad = optax.tree.get(state, "count"), optax.tree.get(state, "grad")
    return (count == 0) | ((count < MAX_STEPS) & (optax.tree.norm(grad) > TOLERANCE))

  return jax.lax.while_loop(go_on, step, (start, optimizer.init(start)))


def ours(optimizer, start):
  return gx.minimize(optimizer, rosenbrock, start, tolerance=TOLERANCE, max_steps=MAX_STEPS)


def main():
  jax.config.update("jax_enable_x64", True)
  rows = []
  for n in (2, 100, 1000):
    start = jnp.tile(jnp.array([-1.2, 1.0]), n // 2)
    lbfgs, optax_s = gx.lbfgs(), optax.lbfgs()
    result, their_result, (_, their_state) = ours(lbfgs, start), ours(optax_s, start), theirs(start)
    assert result.converged
    assert their_result.converged
    assert float(optax.tree.norm(optax.tree.get(their_state, "grad"))) <= TOLERANCE
    sides = [lambda: ours(lbfgs, start), lambda: theirs(start), lambda: ours(optax_s, start)]  # noqa: B023  used in this round
    rounds = ROUNDS if n <= 100 else ROUNDS // 10
    times = harness.by_turns(sides, rounds)
    for name, seconds, other in (("theirs", times[1], None), ("theirs_in_minimize", times[2], their_result)):
      median, low, high = harness.ratio(times[0], seconds)
      steps = int(optax.tree.get(their_state, "count")) if other is None else int(other.steps)
      rows.append(
        {"n": n, "against": name, "ours/theirs": median, "low": low, "high": high, "our_steps": int(result.steps)}
        | {"our_evaluations": int(result.evaluations), "their_steps": steps}
      )
  harness.record("minimization", rows)


if __name__ == "__main__":
  main()
