"""How it learns: the loss, one pure step, its optimizers, and the loop around it."""

from fiat_jax.training.logs import MetricsLog, Silence
from fiat_jax.training.loop import Plan, fit, show
from fiat_jax.training.losses import LossSums, cross_entropy
from fiat_jax.training.optimizers import Adafactor, AdamW
from fiat_jax.training.step import TrainState, create_state, eval_step, jit_step, state_shardings, train_step

__all__ = [
    "Adafactor",
    "AdamW",
    "LossSums",
    "MetricsLog",
    "Plan",
    "Silence",
    "TrainState",
    "create_state",
    "cross_entropy",
    "eval_step",
    "fit",
    "jit_step",
    "show",
    "state_shardings",
    "train_step",
]
