"""An adapter put into the weights of its base, or taken out of them, with what that changes."""

from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from fiat_jax.adapters import ProjectionAdapter, largest_change, merge, unmerge
from fiat_jax.checkpoints import huggingface, read_adapter
from fiat_jax.checkpoints.derived import check_new, write_like
from fiat_jax.checkpoints.tensors import some
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.models import T5
from fiat_jax.models.config import Dtype, Quantise, T5Config
from fiat_jax.models.quantised import dequantised
from fiat_jax.typing import Array, Params, Variables

_SHAPES = ((2, 32), (2, 16))
"""Of the inputs and targets that logits are compared on."""


@dataclass(frozen=True)
class Merged:
    """What merging changed.

    Attributes:
      change: the largest absolute change of a weight.
      difference: the largest difference of a logit, merged against base and adapter apart, over the largest
        logit; on random tokens, in float32.
    """

    change: float
    difference: float


def merge_folder(
    base: str,
    folder: Path,
    output: Path,
    dtype: Dtype = "float32",
    undo: bool = False,
    quantise: Quantise = "none",
) -> Merged:
    """Merges an adapter into its base in float32, and writes a Hugging Face folder.

    Args:
      base: the folder or hub id of the base; to undo, of what was merged.
      folder: of the adapter, as PEFT has it.
      output: a new folder for the result, with the base's config and vocabulary.
      dtype: of the weights in it.
      undo: whether the adapter is taken out of merged weights instead.
      quantise: how the base was stored that the adapter was tuned on; it is merged into the floats that this
        base stands for, and the result is not quantised.

    Raises:
      ConfigError: an adapter that weights cannot hold or, to undo, that they do not give back.
      DataError: the adapter is for another base, or the result is not finite.
    """
    check_new(output)
    pretrained = huggingface.open_model(base, dtype="float32", quantise="none" if undo else quantise)
    config = replace(pretrained.config, quantise="none")
    before = dequantised(pretrained.params(), jnp.float32)
    adapter, weights = read_adapter(folder, config, None if undo else pretrained.fingerprint())
    if not isinstance(adapter, ProjectionAdapter):
        raise ConfigError(
            f"{folder}: expected an adapter of linear layers, found {type(adapter).__name__}, which cannot "
            "be put into weights; keep it beside the base."
        )
    with jax.default_matmul_precision("highest"):
        exact = (unmerge if undo else merge)(before, weights, adapter)
        after = jax.tree.map(lambda x: np.asarray(x).astype(jnp.dtype(dtype)).astype(np.float32), exact)
        _check_finite(after, folder)
        apart, together = (after, before) if undo else (before, after)
        expected = _logits(config, {"params": apart, "adapter": weights}, adapter)
        found = _logits(config, {"params": together})
    difference = float(jnp.abs(found - expected).max() / jnp.abs(expected).max())
    write_like(output, base, config, after, dtype)
    return Merged(float(largest_change(before, after)), difference)


def _check_finite(params: Params, folder: Path) -> None:
    broken = [path for path, value in flatten_dict(params, sep="/").items() if not np.isfinite(value).all()]
    if broken:
        raise DataError(
            f"{folder}: expected finite weights as the result, found others in {some(broken)}; "
            "nothing was written."
        )


def _logits(config: T5Config, variables: Variables, adapter: ProjectionAdapter | None = None) -> Array:
    random = np.random.default_rng(0)
    inputs, targets = (random.integers(2, config.vocab_size, shape, np.int32) for shape in _SHAPES)
    return jax.jit(T5(config, adapter).apply)(variables, inputs, targets)
