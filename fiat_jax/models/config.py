"""One frozen description of a T5: its shape, its variant, and how it is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fiat_jax.errors import ConfigError

Activation = Literal["gelu_new", "relu", "silu"]
Dtype = Literal["bfloat16", "float32"]
Quantise = Literal["none", "int8", "nf4"]
Remat = Literal["none", "dots", "attention", "full"]


@dataclass(frozen=True)
class T5Config:
    """The T5 network (Raffel et al. 2020; v1.1 as in FLAN-T5, Chung et al. 2022).

    Attributes:
      vocab_size: rows of the embedding, padding rows included.
      d_model: width of the residual stream.
      d_kv: width of one attention head; independent of d_model / num_heads.
      d_ff: inner width of the feed-forward layer.
      num_heads: attention heads.
      num_encoder_layers: encoder blocks.
      num_decoder_layers: decoder blocks.
      relative_buckets: buckets of the relative position bias.
      relative_max_distance: distance from which all positions share the last bucket.
      bias_in_each_layer: whether each layer has a relative bias of its own (UMT5), or a stack one for all.
      norm_epsilon: added to the mean square in RMSNorm.
      dropout: rate on embeddings, residual branches and the inner feed-forward activation.
      activation: feed-forward non-linearity; 'gelu_new' is the tanh approximation.
      gated: whether the activation gates a second projection (v1.1) or stands alone (v1.0).
      tied: whether the head is the embedding (v1.0) or a matrix of its own.
      scale_decoder_output: whether decoder states are scaled by d_model ** -0.5 before the head (v1.0).
      pad_id: padding token.
      eos_id: end of sequence token.
      decoder_start_id: first decoder input.
      dtype: dtype of the matrix products. Norms, softmax, logits and loss are float32 either way.
      remat: what the backward pass computes again: nothing ('none'), all but the products with weights
        ('dots'), all but what attentions read and give ('attention'), or all of every block ('full').
      attention_parts: in how many parts an attention is computed, one after another, to save memory: a
        divisor of the heads, or a multiple, with which rows are parted too.
      quantise: how the kernels inside the blocks are stored, which can then not be learned: in their dtype,
        in 'int8' with a scale an output, or in 'nf4', four bits and a scale for 64 weights.
      answer_in_int8: whether the products of decoding are in int8; see `layout`. Learning never is.
    """

    vocab_size: int
    d_model: int
    d_kv: int
    d_ff: int
    num_heads: int
    num_encoder_layers: int
    num_decoder_layers: int
    relative_buckets: int = 32
    relative_max_distance: int = 128
    bias_in_each_layer: bool = False
    norm_epsilon: float = 1e-6
    dropout: float = 0.1
    activation: Activation = "gelu_new"
    gated: bool = True
    tied: bool = False
    scale_decoder_output: bool = False
    pad_id: int = 0
    eos_id: int = 1
    decoder_start_id: int = 0
    dtype: Dtype = "bfloat16"
    remat: Remat = "none"
    attention_parts: int = 1
    quantise: Quantise = "none"
    answer_in_int8: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Dtype):
            raise ConfigError(
                f"dtype: expected one of {', '.join(get_args(Dtype))}, found {self.dtype!r}; "
                "T5's activations overflow float16, use bfloat16 instead."
            )
        for name, kind in (("activation", Activation), ("remat", Remat), ("quantise", Quantise)):
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(
                    f"{name}: expected one of {', '.join(get_args(kind))}, found {getattr(self, name)!r}."
                )
        heads, parts = self.num_heads, self.attention_parts
        if parts < 1 or (heads % parts and parts % heads):
            raise ConfigError(
                f"attention_parts: expected a divisor or a multiple of the {heads} heads, found {parts}."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout: expected a rate in [0, 1), found {self.dropout}.")

    @property
    def d_attention(self) -> int:
        """Width of all heads together."""
        return self.num_heads * self.d_kv

    @classmethod
    def from_hf(cls, raw: Mapping[str, Any], *, tied: bool, **settings: Any) -> "T5Config":
        """Reads the raw config.json of a Hugging Face T5.

        Args:
          raw: the parsed file. Whether its `tie_word_embeddings` ties is not read: published files contradict
            weights; it tells a T5 that scales from one that does not.
          tied: whether the checkpoint has no head of its own, decided from its tensors.
          **settings: fields to set over what the file says, such as dtype, remat and dropout.

        Raises:
          ConfigError: a model type, activation or missing field that this network does not cover.
        """
        kind = raw.get("model_type")
        if kind not in ("t5", "mt5", "umt5"):
            raise ConfigError(f"config.json: expected model_type t5, mt5 or umt5, found {kind!r}.")
        try:
            activation, gated = _ACTIVATIONS[raw.get("feed_forward_proj") or _FEED_FORWARD[kind]]
            fields = {ours: raw[theirs] for ours, theirs in _REQUIRED.items()}
        except KeyError as error:
            raise ConfigError(
                f"config.json: expected the fields {', '.join(_REQUIRED.values())} and a feed_forward_proj "
                f"among {', '.join(_ACTIVATIONS)}; {error} is missing or not supported."
            ) from None
        fields["num_decoder_layers"] = raw.get("num_decoder_layers") or fields["num_encoder_layers"]
        fields |= {ours: raw[theirs] for ours, theirs in _OPTIONAL.items() if raw.get(theirs) is not None}
        if isinstance(fields.get("eos_id"), list):
            raise ConfigError(f"config.json: expected one eos_token_id, found {fields['eos_id']}.")
        fields |= dict(activation=activation, gated=gated, tied=tied, bias_in_each_layer=kind == "umt5")
        fields["scale_decoder_output"] = _scales(kind, raw, tied)
        return cls(**(fields | settings))


def _scales(kind: str, raw: Mapping[str, Any], tied: bool) -> bool:
    """Whether a decoder's output is scaled, by transformers' rule, whose flag for tying tells it of a T5.

    Version 5 writes that flag as true whatever was so, and `scale_decoder_outputs` beside it, for a T5 alone.
    It scales every UMT5, also one that was trained with a head of its own, as the published ones were; there
    the weights are believed.
    """
    if kind == "t5":
        return raw.get("scale_decoder_outputs", raw.get("tie_word_embeddings") is not False)
    return kind == "umt5" and tied


_ACTIVATIONS = {
    "relu": ("relu", False),
    "gated-gelu": ("gelu_new", True),
    "gated-gelu_new": ("gelu_new", True),
    "gated-silu": ("silu", True),
}
_FEED_FORWARD = {"t5": "relu", "mt5": "gated-gelu", "umt5": "gated-gelu"}
_REQUIRED = {
    "vocab_size": "vocab_size",
    "d_model": "d_model",
    "d_kv": "d_kv",
    "d_ff": "d_ff",
    "num_heads": "num_heads",
    "num_encoder_layers": "num_layers",
}
_OPTIONAL = {
    "relative_buckets": "relative_attention_num_buckets",
    "relative_max_distance": "relative_attention_max_distance",
    "norm_epsilon": "layer_norm_epsilon",
    "dropout": "dropout_rate",
    "pad_id": "pad_token_id",
    "eos_id": "eos_token_id",
    "decoder_start_id": "decoder_start_token_id",
}
