"""Wrong input: each error names the argument, shows the value and says what to do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradxform as gx

PARAMS = {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}

WRONG_ARGUMENTS = [
  (lambda: gx.moving_average(1.5), ValueError, r"^`moving_average\(decay=...\)` must be in \[0, 1\), got 1.5.$"),
  (lambda: gx.moving_average(decay=1), ValueError, r"`moving_average\(decay=...\)` must be in \[0, 1\), got 1.0"),
  (lambda: gx.moving_average("0.9"), TypeError, r"`moving_average\(decay=...\)` must be a number.*got '0.9'"),
  (lambda: gx.moving_average(None), TypeError, r"must be a number, a scalar array or a schedule, got None"),
  (lambda: gx.moving_average(True), TypeError, r"got True"),
  (lambda: gx.moving_average(0.5j), TypeError, r"got 0.5j"),
  (lambda: gx.moving_average(jnp.float32(1.5)), ValueError, r"must be in \[0, 1\), got .*1.5"),
  (lambda: gx.scale(jnp.array([True])[0]), TypeError, r"`scale\(step_size=...\)` .*got an array of bool"),
  (lambda: gx.moving_average(jnp.ones(3)), ValueError, r"a scalar, got an array of shape \(3,\).*jax.vmap"),
  (lambda: gx.scale(float("nan")), ValueError, r"`scale\(step_size=...\)` must be a finite number, got nan"),
  (lambda: gx.trace(1.1), ValueError, r"`trace\(decay=...\)` must be in \[0, 1\], got 1.1"),
  (lambda: gx.clip(0.0), ValueError, r"`clip\(max_delta=...\)` must be greater than 0, got 0.0"),
  (lambda: gx.root(-1e-8), ValueError, r"`root\(eps=...\)` must be finite and at least 0, got -1e-08"),
  (lambda: gx.bias_correction(0.9, lead=2), ValueError, r"`bias_correction\(lead=...\)` must be from -1 to 1, got 2"),
  (lambda: gx.bias_correction(0.9, lead=0.5), TypeError, r"must be a Python integer, got 0.5"),
  # the outer call's words
  (lambda: gx.adam(-1e-3), ValueError, r"^`adam\(learning_rate=...\)` must be finite and at least 0, got -0.001.$"),
  (lambda: gx.adam(1e-3, b1=1.5), ValueError, r"^`adam\(b1=...\)` must be in \[0, 1\), got 1.5.$"),
  (lambda: gx.nadamw(1e-3, weight_decay=-1), ValueError, r"^`nadamw\(weight_decay=...\)` must be .* got -1.0.$"),
  (lambda: gx.adam(1e-3, beta1=0.9), TypeError, r"^`adam`: .*'beta1'. Its arguments are: learning_rate, b1, b2, eps.$"),
  (lambda: gx.adam(), TypeError, r"^`adam`: missing a required argument: 'learning_rate'. Its arguments are"),
  (lambda: gx.adam(1e-3, 0.9), TypeError, r"^`adam`: too many positional arguments. Its arguments are"),
  # of equal arguments, which may be one object, the one that is meant
  (lambda: gx.whiten(axes=0), ValueError, r"^`whiten\(axes=...\)` must be at least 1, got 0.$"),
  (lambda: gx.muon(0.1, matrix_view={"*": 5}), TypeError, r"^`muon\(matrix_view\['\*'\]=...\)` must be a pattern"),
  (lambda: gx.soap("x"), TypeError, r"^`soap\(learning_rate=...\)` must be a number, .* got 'x'"),
  (lambda: gx.kl_shampoo(jnp.ones(3)), ValueError, r"^`kl_shampoo\(learning_rate=...\)` must be a scalar"),
  (lambda: gx.scion(0.1, radius=-1.0), ValueError, r"^`scion\(radius=...\)` must be greater than 0, got -1.0.$"),
  (lambda: gx.scion(0.1, last=3), TypeError, r"^`scion\(last=...\)` must be a glob of paths, .* got 3.$"),
  # combinators
  (lambda: gx.chain(gx.sgd), TypeError, r"`chain\(stages\[0\]=...\)` must be a gradient .*Call it first: `sgd"),
  (lambda: gx.chain(0.1), TypeError, r"must be a gradient transformation, with `init` and `update`, got 0.1"),
  (lambda: gx.divide(gx.identity(), by=2.0), TypeError, r"`divide\(by=...\)` must be a gradient transformation"),
  (lambda: gx.add(), ValueError, r"`add\(\)` needs at least one part"),
  (lambda: gx.share(gx.identity()), ValueError, r"needs a part to share: write `share\(body, name=part\)`"),
  (lambda: gx.shared(0.1), TypeError, r"`shared\(name=...\)` must be the name of a shared part, got 0.1"),
  (lambda: gx.previous(gx.square()), ValueError, r"`previous\(inner=...\)` must be a filter.*got square\(\)"),
  (lambda: gx.feedback(gx.moving_average(0.9)), ValueError, r"`feedback\(statistic=...\)` must not depend on"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "message"), WRONG_ARGUMENTS)
def test_a_wrong_argument_raises_where_it_is_given(make, kind, message):
  with pytest.raises(kind, match=message) as caught:
    make()
  assert caught.type is kind
  assert caught.traceback[1].path.name == "test_checks.py"  # the user's line is on the stack


def update(transform, updates=PARAMS, state=None, params=PARAMS, **extra):
  return transform.update(updates, transform.init(PARAMS) if state is None else state, params, **extra)


NEEDS_VALUE = gx.elementwise("polyak", lambda u, *, value: u * value)

WRONG_UPDATES = [
  (
    lambda: update(gx.adamw(1e-3), params=None),
    ValueError,
    r"^`add_decayed_weights` needs the parameters: pass `params` to `update`.$",
  ),
  (
    lambda: gx.sgd(1e-3).step(PARAMS, {"count": jnp.int32(0)}, None),
    ValueError,
    r"`sgd\(...\).step` needs the parameters",
  ),
  (
    lambda: update(NEEDS_VALUE),
    ValueError,
    r"^`polyak` needs the extra argument `value`: pass `value=...` to `update` or `step`.$",
  ),
  (
    lambda: update(gx.adamw(1e-3), params={"dense": {"kernel": jnp.ones((2, 3))}}),
    ValueError,
    r"`params` must have the tree structure of the updates, PyTreeDef.*Pass trees made from the same parameters",
  ),
  (
    lambda: update(gx.adam(1e-3), updates={"dense": {"kernel": jnp.ones((2, 3))}}, params=None),
    ValueError,
    r"the state's 'scale_by_adam/numerator/scale_by_momentum/moment' must have the tree structure of the updates",
  ),
  (
    lambda: update(gx.adam(1e-3), updates={"dense": {"kernel": jnp.ones((2, 3)), "bias": None}}),
    ValueError,
    r"the state's 'scale_by_adam/numerator/scale_by_momentum/moment' must have the tree structure of the updates",
  ),
  (
    lambda: update(
      gx.divide(gx.identity(), by=gx.chain(gx.absolute(), gx.moving_average(0.9))),
      state=gx.divide(gx.identity(), by=gx.chain(gx.moving_average(0.9), gx.running_max())).init(PARAMS),
    ),
    ValueError,
    r"entries \['divide/by/moving_average'\], got \['divide/by/moving_average', 'divide/by/running_max'\]",
  ),
  (
    lambda: update(gx.chain(gx.trace(0.9), optax.trace(0.9)), state=gx.trace(0.9).init(PARAMS)),
    ValueError,
    r"the state must have the entries \['trace'\], got \[\]. It was made by another transform",
  ),
  (
    lambda: update(gx.scale(lambda count: None)),
    TypeError,
    r"`scale\(step_size=...\)` must be a number at every step, got None",
  ),
  (
    lambda: update(gx.elementwise("one", lambda u, m: u, slots=("m",))),
    TypeError,
    r"the rule of `one` must return a tuple \(u, m\), got ",
  ),
  (
    lambda: update(gx.elementwise("two", lambda u: (u, u))),
    TypeError,
    r"the rule of `two` must return the update alone, got a tuple of 2",
  ),
  (
    lambda: update(gx.adam(1e-3), updates={"dense": {"kernel": jnp.ones(7), "bias": jnp.ones(3)}}, params=None),
    ValueError,
    r"`moving_average`: the state's 'moment' is \(2, 3\), the update gives \(7,\)",
  ),
  (
    lambda: update(gx.sgd(1e-3), updates={"dense": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(3)}}),
    ValueError,
    r"the update of 'dense/kernel' has shape \(3, 2\), its parameter has shape \(2, 3\).",
  ),
  (
    lambda: update(gx.trace(0.9), updates={"dense": {"kernel": jnp.ones((1, 3)), "bias": jnp.ones(3)}}, params=None),
    ValueError,
    r"`trace`: the state's 'momentum' is \(2, 3\), the update gives \(1, 3\). Pass updates of the parameters",
  ),
  (
    lambda: update(gx.sgd(1e-3), updates=jax.tree.map(lambda x: 1j * x, PARAMS)),
    TypeError,
    r"the update of 'dense/bias' is complex \(complex64\), its parameter is real \(float32\). Take its real part",
  ),
  (
    lambda: update(gx.trace(0.9), updates=jax.tree.map(lambda x: 1j * x, PARAMS), params=None),
    TypeError,
    r"`trace`: the state's 'momentum' is float32, the update gives complex64",
  ),
  (
    lambda: update(gx.sgd(1e-3), updates=jax.tree.map(lambda x: x.astype(int), PARAMS)),
    TypeError,
    r"the update 'dense/bias' has dtype int32; gradients and parameters must be floating-point",
  ),
  (
    lambda: update(gx.adam(1e-3), state=gx.momentum(1e-3).init(PARAMS)),
    ValueError,
    r"the state must have the entries \['scale_by_adam'\], got \['trace'\]. It was made by another transform",
  ),
  (
    lambda: update(gx.sgd(1e-3), state=gx.adam(1e-3).init(PARAMS)),
    ValueError,
    r"the state must have the entries \['count'\], got \['count', 'scale_by_adam'\]",
  ),
  (
    lambda: update(gx.adam(1e-3), state=optax.adam(1e-3).init(PARAMS)),
    ValueError,
    r"the state must have the entries \['count'\], got \['tuple'\]",
  ),
  (
    lambda: gx.chain(gx.shared("m"), gx.scale(1.0)).init(PARAMS),
    ValueError,
    r"`shared\('m'\)` stands outside of a `share` that defines it: write `share\(..., m=...\)` around it",
  ),
  (
    lambda: update(jax.vmap(gx.adam)(jnp.ones(3))),
    ValueError,
    r"`adam\(b1=...\)` must be a scalar, got an array of shape \(3,\).*`jax.vmap\(train\)\(population\)`",
  ),
  (
    lambda: update(gx.scale(lambda count: jnp.ones(2))),
    ValueError,
    r"`scale\(step_size=...\)` must be a scalar, got an array of shape \(2,\)",
  ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "message"), WRONG_UPDATES)
def test_a_wrong_update_names_the_leaf_and_the_remedy(make, kind, message):
  with pytest.raises(kind, match=message):
    make()


def test_a_name_for_what_is_no_transform_is_refused():
  with pytest.raises(TypeError, match=r"must be a gradient transformation, with `init` and `update`, got None"):
    gx.named(lambda: None)()


def test_integers_in_arrays_and_schedules_are_numbers():
  assert update(gx.sgd(jnp.uint8(2)))[0]["dense"]["bias"][0] == -2
  assert update(gx.sgd(lambda count: jnp.uint8(2)))[0]["dense"]["bias"][0] == -2


def test_traced_arguments_and_schedules_pass():
  traced = jax.jit(lambda rate: gx.adam(rate, b1=rate))(0.5)
  assert gx.hyperparameters(traced)["b1"] == 0.5
  scheduled = gx.adam(optax.cosine_decay_schedule(1e-3, 10))
  assert repr(scheduled) == "adam(learning_rate=<cosine_decay_schedule>, b1=0.9, b2=0.999, eps=1e-08)"


def test_numpy_numbers_are_numbers():
  assert gx.adam(np.float32(0.5), b1=np.float64(0.5)) == gx.adam(0.5, b1=0.5)
  assert gx.adam(1) == gx.adam(1.0)
