"""Optimizers: each a named expression that ends in a learning rate."""

from gradxform.optimizers._adam import adam, adamax, adamw, amsgrad, nadam, nadamw
from gradxform.optimizers._adaptive import adadelta, adagrad, centered_rmsprop, rmsprop
from gradxform.optimizers._curvature import bfgs, damped_newton, lbfgs, newton, nonlinear_cg, steepest_descent
from gradxform.optimizers._descent import momentum, nesterov, sgd
from gradxform.optimizers._sign import lion, sign_sgd, signum

__all__ = [
  # gradient descent
  "momentum",
  "nesterov",
  "sgd",
  # the sign alone
  "lion",
  "sign_sgd",
  "signum",
  # a step size for each element
  "adadelta",
  "adagrad",
  "centered_rmsprop",
  "rmsprop",
  # Adam and its kin
  "adam",
  "adamax",
  "adamw",
  "amsgrad",
  "nadam",
  "nadamw",
  # second order and line searches
  "bfgs",
  "damped_newton",
  "lbfgs",
  "newton",
  "nonlinear_cg",
  "steepest_descent",
]
