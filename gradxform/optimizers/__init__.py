"""Optimizers: each a named expression that ends in a learning rate."""

from gradxform.optimizers._adam import adam, adamax, adamw, amsgrad, nadam, nadamw
from gradxform.optimizers._adam_kin import acprop, adabelief, adamaxw, adopt, laprop, novograd, radam, yogi
from gradxform.optimizers._adam_mini import adam_mini
from gradxform.optimizers._adam_steadied import adam_atan2, grams, mars, stable_adamw
from gradxform.optimizers._adaptive import adadelta, adagrad, centered_rmsprop, rmsprop
from gradxform.optimizers._curvature import (
  bfgs,
  damped_newton,
  lbfgs,
  newton,
  nonlinear_cg,
  sophia,
  sophia_g,
  steepest_descent,
)
from gradxform.optimizers._descent import momentum, nesterov, noisy_sgd, sgd
from gradxform.optimizers._factored import adafactor, came, sm3
from gradxform.optimizers._kron import kron
from gradxform.optimizers._layerwise import fromage, lamb, lars
from gradxform.optimizers._lookback import (
  adan,
  ademamix,
  optimistic_adam_v2,
  optimistic_gradient_descent,
  simplified_ademamix,
)
from gradxform.optimizers._loss_aware import momo, momo_adam, polyak_sgd
from gradxform.optimizers._low_rank import apollo, apollo_mini, dion, fira
from gradxform.optimizers._matrix import adamuon, galore, muon, normuon, soap
from gradxform.optimizers._parameter_free import cocob, dadapt_adamw, dog, dowg, madgrad, prodigy
from gradxform.optimizers._preconditioned import kl_shampoo, shampoo, splus
from gradxform.optimizers._schedule_free import schedule_free_adamw, schedule_free_sgd
from gradxform.optimizers._scion import scion
from gradxform.optimizers._sign import lion, rprop, sign_sgd, signum

__all__ = [
  # gradient descent
  "momentum",
  "nesterov",
  "noisy_sgd",
  "optimistic_gradient_descent",
  "sgd",
  # the sign alone
  "lion",
  "rprop",
  "sign_sgd",
  "signum",
  # a step size for each element
  "adadelta",
  "adagrad",
  "centered_rmsprop",
  "rmsprop",
  # Adam and its kin
  "acprop",
  "adabelief",
  "adam",
  "adam_atan2",
  "adamax",
  "adamaxw",
  "adamw",
  "adan",
  "ademamix",
  "adopt",
  "amsgrad",
  "grams",
  "laprop",
  "mars",
  "nadam",
  "nadamw",
  "novograd",
  "optimistic_adam_v2",
  "radam",
  "simplified_ademamix",
  "stable_adamw",
  "yogi",
  # a step size for each array
  "fromage",
  "lamb",
  "lars",
  # reckoned from the start
  "cocob",
  "dadapt_adamw",
  "dog",
  "dowg",
  "madgrad",
  "prodigy",
  # between the iterates and their mean
  "schedule_free_adamw",
  "schedule_free_sgd",
  # steps by the value of the objective
  "momo",
  "momo_adam",
  "polyak_sgd",
  # matrices as matrices
  "adamuon",
  "dion",
  "kron",
  "muon",
  "normuon",
  "kl_shampoo",
  "scion",
  "shampoo",
  "soap",
  "splus",
  # less memory than the parameters
  "adafactor",
  "adam_mini",
  "apollo",
  "apollo_mini",
  "came",
  "fira",
  "galore",
  "sm3",
  # second order and line searches
  "bfgs",
  "damped_newton",
  "lbfgs",
  "newton",
  "nonlinear_cg",
  "sophia",
  "sophia_g",
  "steepest_descent",
]
