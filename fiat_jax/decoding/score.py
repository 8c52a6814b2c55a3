"""How likely a model finds given targets: whole ones, each of several labels, or the first token alone.

All in float32, of logits as the model gives them; padding counts for nothing.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from fiat_jax.models import T5
from fiat_jax.models.axes import constrain
from fiat_jax.models.likelihood import picked, shift_right
from fiat_jax.parallel import RULES
from fiat_jax.typing import Array, Variables


@partial(jax.jit, static_argnums=0)
def log_likelihoods(model: T5, variables: Variables, inputs: Array, targets: Array) -> tuple[Array, Array]:
    """The log-likelihood of one target a row.

    Args:
      model: with dropout off.
      variables: 'params', and 'adapter' where the model has one.
      inputs: [B, S] int32, padded.
      targets: [B, T] int32, with the end, padded.

    Returns:
      Sums over the tokens of each target, its end among them, [B] float32 in nats; and how many those are,
      [B] int32. Whole on every device.
    """
    with nn.logical_axis_rules(RULES):
        logits = model.apply(variables, inputs, shift_right(targets, model.config.decoder_start_id))
        sums = _log_likelihoods(logits, targets, model.config.pad_id)
        return constrain(sums, (None,)), constrain(jnp.sum(targets != model.config.pad_id, axis=-1), (None,))


@partial(jax.jit, static_argnums=0)
def label_log_likelihoods(model: T5, variables: Variables, inputs: Array, labels: Array) -> Array:
    """The log-likelihood of every label for every row.

    The inputs are encoded once. The labels are decoded one after another, so that many take no more memory
    than one.

    Args:
      model: with dropout off.
      variables: 'params', and 'adapter' where the model has one.
      inputs: [B, S] int32, padded.
      labels: [C, T] int32, with their ends, padded.

    Returns:
      [B, C] float32 sums over the tokens of a label, in nats; whole on every device.
    """
    with nn.logical_axis_rules(RULES):
        encoded = model.apply(variables, inputs, method="encode")
        source_mask = model.apply(variables, inputs, method="source_mask")

        def of_label(label: Array) -> Array:
            targets = jnp.broadcast_to(label, (inputs.shape[0], *label.shape))
            decoder_inputs = shift_right(targets, model.config.decoder_start_id)
            logits = model.apply(variables, decoder_inputs, encoded, source_mask, method="decode")
            return _log_likelihoods(logits, targets, model.config.pad_id)

        return constrain(jax.lax.map(of_label, labels).T, (None, None))


@partial(jax.jit, static_argnums=0)
def first_step_log_probabilities(model: T5, variables: Variables, inputs: Array, ids: Array) -> Array:
    """The log-probability of some tokens as the first that is written.

    Args:
      model: with dropout off.
      variables: 'params', and 'adapter' where the model has one.
      inputs: [B, S] int32, padded.
      ids: [C] int32.

    Returns:
      [B, C] float32, in nats; whole on every device.
    """
    with nn.logical_axis_rules(RULES):
        start = jnp.full((inputs.shape[0], 1), model.config.decoder_start_id, jnp.int32)
        logits = model.apply(variables, inputs, start).astype(jnp.float32)
        found = picked(logits, ids[:, None]) - jax.nn.logsumexp(logits, axis=-1)
        return constrain(found, (None, None))


@partial(jax.jit, static_argnums=0)
def first_step_probability(
    model: T5, variables: Variables, inputs: Array, true_id: Array | int, false_id: Array | int
) -> Array:
    """P(true) / (P(true) + P(false)) at the first step, as a score of a yes or no question.

    Args:
      model: with dropout off.
      variables: 'params', and 'adapter' where the model has one.
      inputs: [B, S] int32, padded.
      true_id, false_id: the tokens that stand for the two answers.

    Returns:
      [B] float32, whole on every device.
    """
    ids = jnp.stack([jnp.asarray(true_id), jnp.asarray(false_id)])
    found = first_step_log_probabilities(model, variables, inputs, ids)
    return jax.nn.sigmoid(found[:, 0] - found[:, 1])  # of the difference: small ones do not underflow


def _log_likelihoods(logits: Array, targets: Array, pad_id: int) -> Array:
    """Sums [B] of the log-probabilities of targets [B, T] under logits [B, T, V]."""
    logits = logits.astype(jnp.float32)
    found = picked(logits, targets[..., None]) - jax.nn.logsumexp(logits, axis=-1)
    return jnp.sum(jnp.where(targets == pad_id, 0.0, found), axis=-1)
