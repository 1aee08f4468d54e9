"""gradxform: composable gradient transformations for JAX, where an optimizer is an expression.

    adam = gx.chain(
        gx.divide(
            gx.chain(gx.scale_by_momentum(0.9), gx.bias_correction(0.9)),
            by=gx.chain(gx.square(), gx.moving_average(0.999), gx.bias_correction(0.999), gx.root(eps=1e-8)),
        ),
        gx.scale_by_learning_rate(1e-3),
    )
    state = adam.init(params)
    params, state = adam.step(grads, state, params)

Five concepts:

    transform    init(params) -> state, update(updates, state, params) -> (updates, state): an
                 `optax.GradientTransformationExtraArgs` that prints as its expression and is a
                 pytree, whose leaves are its hyperparameters                          core.py
    rule         the maths of one transform on one array, lifted to pytrees by
                 `elementwise`, `per_array`, `per_matrix`, `whole_tree`   rules.py, beside each transform
    combinator   builds a transform from transforms: `chain` one after the other; `divide`, `add`,
                 … each gets the same updates and the results are combined      combinators.py
    optimizer    a named expression that ends in a learning rate                optimizers/
    wrapper      transform -> transform, for any transform, ours or Optax's     wrappers/

A call goes down: an optimizer's arguments → its body, an expression of primitives → parts, which run
leaf by leaf over the flow of updates (expression.py → parts.py, compounds.py, knots.py, lifted.py;
Optax's transforms in foreign.py). `explain` shows an expansion, `hyperparameters` and `replace` read
and rewrite (introspect.py), `layout` describes the state (layouts.py), `averaged` and
`evaluation_params` read the parameters that it holds (views.py), `check` what guards have skipped
(health.py), `metrics` and `watch` what a `monitor` has measured, and `set_hyperparameters` sets what is
`adjustable` (telemetry.py); `minimize` runs an optimizer until the gradient is small (minimization.py).
Leaves are selected by paths and shapes (selection.py), and which axes of one make a matrix is said by
path (`as_matrices`; matrices of one shape are computed as one stack, stacks.py). `gradxform.compat.optax`
and `gradxform.compat.torch` are those libraries' namespaces, as expressions of ours (compat/).
"""

from gradxform.combinators import *
from gradxform.core import *
from gradxform.health import *
from gradxform.introspect import *
from gradxform.layouts import *
from gradxform.minimization import *
from gradxform.optimizers import *
from gradxform.rules import *
from gradxform.selection import *
from gradxform.telemetry import *
from gradxform.transforms import *
from gradxform.tree import *
from gradxform.views import *
from gradxform.wrappers import *

__version__ = "0.1.0"
