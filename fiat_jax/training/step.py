"""One update: what it changes, what it reads, what it reports.

`train_step(state, base, batch, key) -> (state, metrics)` closes over nothing. `state.learned` holds the
collections that change and `base` those that do not: {'adapter'} over {'params'} for an adapter, {'params'}
over nothing for full fine-tuning. The code is the same.
"""

from functools import cache, partial
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from fiat_jax.errors import ConfigError
from fiat_jax.models import T5
from fiat_jax.models.likelihood import shift_right
from fiat_jax.parallel import RULES, batch_rows, replicated
from fiat_jax.training.losses import LossSums, cross_entropy
from fiat_jax.training.optimizers import Adafactor, AdamW, Pace
from fiat_jax.typing import Array, Batch, Variables


class TrainState(flax.struct.PyTreeNode):
    """What an update changes, and the static parts that say how."""

    step: Array  # scalar int32, updates made
    learned: Variables
    opt_state: optax.OptState
    pace: Pace  # of the learning rate
    model: T5 = flax.struct.field(pytree_node=False)
    optimizer: optax.GradientTransformationExtraArgs = flax.struct.field(pytree_node=False)
    accumulation: int = flax.struct.field(pytree_node=False, default=1)


def create_state(
    model: T5, optimizer: AdamW | Adafactor, learned: Variables, steps: int, accumulation: int = 1
) -> TrainState:
    """A state before the first step.

    Args:
      model: in training.
      optimizer: its settings.
      learned: what changes, at its start.
      steps: updates in all.
      accumulation: micro-batches of a step.
    """
    built = optimizer.build()
    return TrainState(
        jnp.int32(0), learned, built.init(learned), optimizer.pace(steps), model, built, accumulation
    )


def batch_loss(model: T5, variables: Variables, batch: Batch, key: Array | None = None) -> LossSums:
    """Loss sums of a batch; `key` draws dropout where the model is in training."""
    segments = (batch["inputs_segments"], batch["targets_segments"]) if "targets_segments" in batch else None
    start_id, own = model.config.decoder_start_id, segments[1] if segments else None
    decoder_inputs = shift_right(batch["targets"], start_id, own)
    rngs = None if key is None else {"dropout": key}
    logits = model.apply(variables, batch["inputs"], decoder_inputs, segments, rngs=rngs)
    return cross_entropy(logits, batch["targets"], batch["weights"])


def train_step(
    state: TrainState, base: Variables, batch: Batch, key: Array
) -> tuple[TrainState, dict[str, Array]]:
    """One update from one batch.

    Args:
      state: donated when jitted by `jit_step`.
      base: frozen collections, never differentiated.
      batch: arrays [B, ...]; B is a multiple of the accumulation.
      key: the run's key; the step's randomness is a function of it and the step.

    Returns:
      The next state, and scalars: loss (nats a target token), token_accuracy, grad_norm.
    """
    key = jax.random.fold_in(key, state.step)

    def loss(learned: Variables, micro: Batch, key: Array) -> tuple[Array, LossSums]:
        sums = batch_loss(state.model, {**base, **learned}, micro, key)
        return sums.loss, sums

    gradient = jax.grad(loss, has_aux=True)
    if state.accumulation == 1:
        gradients, sums = gradient(state.learned, batch, key)
    else:
        gradients, sums = _accumulate(partial(gradient, state.learned), batch, key, state.accumulation)
    gradients = jax.tree.map(lambda g: g / jnp.maximum(sums.weight, 1.0), gradients)
    rate = state.pace.rate(state.step)
    updates, opt_state = state.optimizer.update(gradients, state.opt_state, state.learned, rate=rate)
    learned = optax.apply_updates(state.learned, updates)
    weight = jnp.maximum(sums.weight, 1.0)
    metrics = {
        "loss": sums.loss / weight,
        "token_accuracy": sums.correct / weight,
        "grad_norm": optax.global_norm(gradients),
    }
    return state.replace(step=state.step + 1, learned=learned, opt_state=opt_state), metrics


def _accumulate(gradient: Any, batch: Batch, key: Array, parts: int) -> tuple[Variables, LossSums]:
    """Sums gradients and losses over micro-batches, so that the parts weigh as one batch would."""
    # Rows are dealt out in turn, so that each device's share of a batch gives to every micro-batch.
    micro = jax.tree.map(lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), batch)
    keys = jax.random.split(key, parts)

    def add(total, part):
        return jax.tree.map(jnp.add, total, gradient(*part)), None

    zeros = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype),
        jax.eval_shape(gradient, jax.tree.map(lambda x: x[0], micro), keys[0]),
    )
    return jax.lax.scan(add, zeros, (micro, keys))[0]


def state_shardings(state: TrainState, learned: Any, mesh: jax.sharding.Mesh) -> TrainState:
    """Shardings of a state: the optimizer's arrays lie as the parameters they belong to.

    Args:
      state: abstract or real.
      learned: shardings of `state.learned`.
      mesh: the device mesh.
    """
    whole = replicated(mesh)
    opt_state = optax.tree_map_params(
        state.optimizer,
        # Factored moments are smaller than their parameter: every device holds them whole.
        lambda leaf, parameter, sharding: sharding if leaf.shape == parameter.shape else whole,
        state.opt_state,
        state.learned,
        learned,
        transform_non_params=lambda _: whole,
    )
    pace = jax.tree.map(lambda _: whole, state.pace)
    return state.replace(step=whole, learned=learned, opt_state=opt_state, pace=pace)


def jit_step(shardings: TrainState, mesh: jax.sharding.Mesh) -> Any:
    """`train_step` compiled for a mesh: the state is donated, and comes back sharded as it went in.

    The same function comes back for the same shardings, whatever the learning rate and the number of steps.
    Its first call raises a ConfigError where the parts of a batch do not divide among the devices.
    """
    leaves, structure = jax.tree.flatten(shardings)
    return _jitted(tuple(leaves), structure, mesh)


@cache
def _jitted(leaves: tuple[Any, ...], structure: Any, mesh: jax.sharding.Mesh) -> Any:
    shardings = jax.tree.unflatten(structure, leaves)

    def step(state, base, batch, key):
        _check_parts(batch, state.accumulation, batch_rows(mesh))
        with nn.logical_axis_rules(RULES):
            return train_step(state, base, batch, key)

    return jax.jit(step, donate_argnums=0, out_shardings=(shardings, replicated(mesh)))


def _check_parts(batch: Batch, parts: int, shares: int) -> None:
    rows = batch["inputs"].shape[0]
    if rows % (parts * shares):
        raise ConfigError(
            f"Tuning.batch_size: expected a multiple of {parts * shares}, as {shares} devices share each of "
            f"{parts} parts, found {rows}; make it one, or lower Tuning.accumulation."
        )


@partial(jax.jit, static_argnums=0)
def eval_step(model: T5, variables: Variables, batch: Batch) -> LossSums:
    """Loss sums of a batch without dropout."""
    with nn.logical_axis_rules(RULES):
        return batch_loss(model, variables, batch)
