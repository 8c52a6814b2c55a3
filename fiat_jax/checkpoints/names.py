"""One table between our parameter tree and Hugging Face's T5 tensors, read in both directions."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import ml_dtypes  # noqa: F401  so that numpy knows bfloat16
import numpy as np

from fiat_jax.models.config import T5Config


@dataclass(frozen=True)
class Row:
    """One parameter of ours, and the tensor or (one a layer) tensors of theirs it is made of.

    Attributes:
      path: ours, as in 'encoder/layers/mlp/wo/kernel'.
      name: theirs, with {layer} where ours stacks its layers on a leading axis.
      axes: the T5Config sizes of our array, without the axis of layers.
      when: whether a model of this config has the parameter.
    """

    path: str
    name: str
    axes: tuple[str, ...]
    when: Callable[[T5Config], bool] = lambda config: True

    @property
    def transposed(self) -> bool:
        """Kernels are [in, out] here and [out, in] there; all else is the same way round."""
        return self.path.endswith("/kernel")

    def dtype(self, config: T5Config, learned: bool) -> np.dtype:
        """The dtype of our array: a learned one is float32, and so are norms and biases by position."""
        matrix = self.transposed or self.path == "shared/embedding"
        return np.dtype(config.dtype if matrix and not learned else "float32")

    def layers(self, config: T5Config) -> int | None:
        """How many tensors of theirs are stacked; None where one is one."""
        if "{layer}" not in self.name:
            return None
        return config.num_encoder_layers if self.path.startswith("encoder/") else config.num_decoder_layers

    def names(self, config: T5Config) -> list[str]:
        """Their tensors, in the order of our layers."""
        layers = self.layers(config)
        return [self.name.format(layer=layer) for layer in range(1 if layers is None else layers)]

    def shape(self, config: T5Config) -> tuple[int, ...]:
        """The shape of our array, the axis of layers included."""
        layers = self.layers(config)
        return (() if layers is None else (layers,)) + self._sizes(config)

    def their_shape(self, config: T5Config) -> tuple[int, ...]:
        """The shape of each of their tensors."""
        return self._sizes(config)[:: -1 if self.transposed else 1]

    def _sizes(self, config: T5Config) -> tuple[int, ...]:
        return tuple(getattr(config, axis) for axis in self.axes)


def _gated(config: T5Config) -> bool:
    return config.gated


def _plain(config: T5Config) -> bool:
    return not config.gated


def _bias_shared(config: T5Config) -> bool:
    return not config.bias_in_each_layer


def _bias_in_each(config: T5Config) -> bool:
    return config.bias_in_each_layer


def _untied(config: T5Config) -> bool:
    return not config.tied


_NORM = ("d_model",)
_BIAS_NAME = "layer.0.SelfAttention.relative_attention_bias.weight"
_BIAS = ("relative_buckets", "num_heads")
_HEADS = ("d_model", "d_attention")
_OUT = ("d_attention", "d_model")
_WI = ("d_model", "d_ff")
_WO = ("d_ff", "d_model")

_ENCODER = (
    Row("relative_bias/embedding", f"block.0.{_BIAS_NAME}", _BIAS, _bias_shared),
    Row("layers/relative_bias/embedding", f"block.{{layer}}.{_BIAS_NAME}", _BIAS, _bias_in_each),
    Row("layers/self_attention_norm/scale", "block.{layer}.layer.0.layer_norm.weight", _NORM),
    Row("layers/self_attention/query/kernel", "block.{layer}.layer.0.SelfAttention.q.weight", _HEADS),
    Row("layers/self_attention/key/kernel", "block.{layer}.layer.0.SelfAttention.k.weight", _HEADS),
    Row("layers/self_attention/value/kernel", "block.{layer}.layer.0.SelfAttention.v.weight", _HEADS),
    Row("layers/self_attention/out/kernel", "block.{layer}.layer.0.SelfAttention.o.weight", _OUT),
    Row("layers/mlp_norm/scale", "block.{layer}.layer.1.layer_norm.weight", _NORM),
    Row("layers/mlp/wi/kernel", "block.{layer}.layer.1.DenseReluDense.wi.weight", _WI, _plain),
    Row("layers/mlp/wi_0/kernel", "block.{layer}.layer.1.DenseReluDense.wi_0.weight", _WI, _gated),
    Row("layers/mlp/wi_1/kernel", "block.{layer}.layer.1.DenseReluDense.wi_1.weight", _WI, _gated),
    Row("layers/mlp/wo/kernel", "block.{layer}.layer.1.DenseReluDense.wo.weight", _WO),
    Row("final_norm/scale", "final_layer_norm.weight", _NORM),
)
_DECODER = (
    Row("relative_bias/embedding", f"block.0.{_BIAS_NAME}", _BIAS, _bias_shared),
    Row("layers/relative_bias/embedding", f"block.{{layer}}.{_BIAS_NAME}", _BIAS, _bias_in_each),
    Row("layers/self_attention_norm/scale", "block.{layer}.layer.0.layer_norm.weight", _NORM),
    Row("layers/self_attention/query/kernel", "block.{layer}.layer.0.SelfAttention.q.weight", _HEADS),
    Row("layers/self_attention/key/kernel", "block.{layer}.layer.0.SelfAttention.k.weight", _HEADS),
    Row("layers/self_attention/value/kernel", "block.{layer}.layer.0.SelfAttention.v.weight", _HEADS),
    Row("layers/self_attention/out/kernel", "block.{layer}.layer.0.SelfAttention.o.weight", _OUT),
    Row("layers/cross_attention_norm/scale", "block.{layer}.layer.1.layer_norm.weight", _NORM),
    Row("layers/cross_attention/query/kernel", "block.{layer}.layer.1.EncDecAttention.q.weight", _HEADS),
    Row("layers/cross_attention/key/kernel", "block.{layer}.layer.1.EncDecAttention.k.weight", _HEADS),
    Row("layers/cross_attention/value/kernel", "block.{layer}.layer.1.EncDecAttention.v.weight", _HEADS),
    Row("layers/cross_attention/out/kernel", "block.{layer}.layer.1.EncDecAttention.o.weight", _OUT),
    Row("layers/mlp_norm/scale", "block.{layer}.layer.2.layer_norm.weight", _NORM),
    Row("layers/mlp/wi/kernel", "block.{layer}.layer.2.DenseReluDense.wi.weight", _WI, _plain),
    Row("layers/mlp/wi_0/kernel", "block.{layer}.layer.2.DenseReluDense.wi_0.weight", _WI, _gated),
    Row("layers/mlp/wi_1/kernel", "block.{layer}.layer.2.DenseReluDense.wi_1.weight", _WI, _gated),
    Row("layers/mlp/wo/kernel", "block.{layer}.layer.2.DenseReluDense.wo.weight", _WO),
    Row("final_norm/scale", "final_layer_norm.weight", _NORM),
)
TABLE = (
    Row("shared/embedding", "shared.weight", ("vocab_size", "d_model")),
    *(replace(row, path=f"encoder/{row.path}", name=f"encoder.{row.name}") for row in _ENCODER),
    *(replace(row, path=f"decoder/{row.path}", name=f"decoder.{row.name}") for row in _DECODER),
    Row("lm_head/kernel", "lm_head.weight", ("d_model", "vocab_size"), _untied),
)
"""Every parameter of every variant, in the order of the computation."""


def rows(config: T5Config) -> tuple[Row, ...]:
    """The rows of TABLE that a model of this config has."""
    return tuple(row for row in TABLE if row.when(config))
