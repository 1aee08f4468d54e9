"""torch.optim 2.13 as expressions: torch's class names in lower case, arguments, defaults and numbers.

    from gradxform.compat import torch

    optimizer = torch.adamw(lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)
    state = optimizer.init(params)
    params, state = optimizer.step(grads, state, params)

torch itself is not imported. The parameters, torch's first argument, go to `init`. The flags that
choose how torch runs a step (``foreach``, ``fused``, ``capturable``, ``differentiable``) change no
number: they are taken, and dropped. Every number may be a schedule, which is read as torch's
`LambdaLR` sets it. A ``weight_decay`` or ``momentum`` of 0 is left out of the expression. One update
of `lbfgs` is one iteration. Of complex parameters torch treats real and imaginary parts as two real
numbers: so does `optax.contrib.split_real_and_imaginary` around an optimizer from here.

Beside torch's fifteen there are the parts of which two are made: `lbfgs_directions`, `strong_wolfe`,
`matrices_only`.
"""

from gradxform.compat.torch._adam import adam, adamax, adamw, nadam, radam, sparseadam
from gradxform.compat.torch._adaptive import adadelta, adagrad, rmsprop
from gradxform.compat.torch._descent import asgd, rprop, sgd
from gradxform.compat.torch._lbfgs import lbfgs, lbfgs_directions
from gradxform.compat.torch._matrices import adafactor, matrices_only, muon
from gradxform.compat.torch._strong_wolfe import strong_wolfe

__all__ = [
  # gradient descent
  "asgd",
  "rprop",
  "sgd",
  # a step size for each element
  "adadelta",
  "adagrad",
  "rmsprop",
  # Adam and its kin
  "adam",
  "adamax",
  "adamw",
  "nadam",
  "radam",
  "sparseadam",
  # matrices
  "adafactor",
  "matrices_only",
  "muon",
  # L-BFGS, and its parts
  "lbfgs",
  "lbfgs_directions",
  "strong_wolfe",
]
