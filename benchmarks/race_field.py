"""Who takes part in `race.py`: each optimizer with the one number that is tuned, and where its values lie."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import gradxform as gx

WARM_UP = 0.05  # of the steps


@dataclasses.dataclass(frozen=True)
class Competitor:
  """An optimizer that takes part.

  Attributes:
    make: the transform of a schedule and of the paths of embeddings and head.
    rate: about where its learning rate lies; the sweep goes as far up as down from it.
    falls: whether its learning rate falls to 0.
    view: the parameters to measure, of the state and the parameters.
  """

  make: Callable[[Any, tuple[str, ...]], Any]
  rate: float
  falls: bool = True
  view: Callable[[Any, Any], Any] = lambda state, params: params

  def optimizer(self, rate: jax.Array, steps: int, others: tuple[str, ...]) -> Any:
    """The transform for a run of so many steps, whose learning rate rises to this one, and falls if it does."""

    def schedule(count: jax.Array) -> jax.Array:
      fall = (steps - count) / (steps * (1 - WARM_UP)) if self.falls else 1.0
      return rate * jnp.minimum(jnp.minimum(1.0, (count + 1) / (steps * WARM_UP)), fall)

    return self.make(schedule, others)


def of_rate(optimizer: Callable[..., Any]) -> Callable[[Any, tuple[str, ...]], Any]:
  """All leaves alike."""
  return lambda rate, others: optimizer(rate)


def muon(rate: Any, others: tuple[str, ...]) -> Any:
  """Hidden matrices move as far as AdamW moves them, so that one rate is for all; AdamW moves the others."""
  matrix = gx.chain(gx.scale_by_muon(), gx.scale_by_shape("longer_side"), gx.scale(0.2))
  hidden = gx.route_matrices(gx.chain(matrix, gx.scale_by_learning_rate(rate)), others=gx.adamw(rate))
  return gx.partition({gx.any_of(*others): gx.adamw(rate), "*": hidden})


FIELD = {
  "adamw": Competitor(of_rate(gx.adamw), 4e-3),
  "muon": Competitor(muon, 8e-3),
  "soap": Competitor(of_rate(gx.soap), 4e-3),
  "shampoo": Competitor(of_rate(gx.shampoo), 4e-3),
  "kron": Competitor(of_rate(gx.kron), 4e-3),
  "schedule_free_adamw": Competitor(of_rate(gx.schedule_free_adamw), 8e-3, falls=False, view=gx.evaluation_params),
  "lion": Competitor(of_rate(gx.lion), 1e-3),
  "prodigy": Competitor(of_rate(gx.prodigy), 1.0),
  "ademamix": Competitor(of_rate(gx.ademamix), 4e-3),
  "mars": Competitor(of_rate(gx.mars), 4e-3),
  "cautious adamw": Competitor(of_rate(lambda rate: gx.cautious(gx.adamw(rate))), 4e-3),
}
