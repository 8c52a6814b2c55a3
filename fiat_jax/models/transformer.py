"""The T5 encoder-decoder as one Flax module over two variable collections.

    variables = {'params': base, 'adapter': adapter}
    logits = model.apply(variables, inputs, decoder_inputs)

Blocks are scanned: their variables carry a leading axis of layers, and compile once whatever the depth.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fiat_jax.adapters import Adapter, SoftPrompt
from fiat_jax.adapters.soft_prompt import prepend
from fiat_jax.models.attention import position_bias
from fiat_jax.models.cache import Cache, KeysValues, write
from fiat_jax.models.config import T5Config
from fiat_jax.models.layers import Attention, FeedForward, Learned, RMSNorm
from fiat_jax.typing import Array

STATES = ("batch", "length", "embed")


class Context(NamedTuple):
    """What every block of a stack reads besides its own states and cache."""

    bias: Array  # [1, N, Q, K]
    mask: Array | None  # over the keys of self-attention
    encoded: Array | None = None  # [B, S, D]; not needed once the cache holds its keys and values
    cross_mask: Array | None = None  # [B, 1, 1, S]
    position: Array | None = None  # of a decoding step


class _Block(nn.Module):
    config: T5Config
    adapter: Adapter | None = None
    train: bool = False

    def part(self, kind: type[nn.Module], name: str) -> Any:
        """A layer of this block."""
        return kind(self.config, adapter=self.adapter, train=self.train, name=name)

    def add(self, x: Array, branch: Array) -> Array:
        """Adds a residual branch; where the branch is float32, so is the sum before it is rounded."""
        branch = nn.Dropout(self.config.dropout, deterministic=not self.train)(branch)
        return nn.with_logical_constraint((x + branch).astype(x.dtype), STATES)


class EncoderBlock(_Block):
    """Self-attention and feed-forward over [B, S, D]."""

    @nn.compact
    def __call__(self, x: Array, _, context: Context) -> tuple[Array, None]:
        attention = self.part(Attention, "self_attention")
        h = RMSNorm(self.config, name="self_attention_norm")(x)
        x = self.add(x, attention(h, *attention.keys_values(h), context.bias, context.mask))
        h = RMSNorm(self.config, name="mlp_norm")(x)
        return self.add(x, self.part(FeedForward, "mlp")(h)), None


class DecoderBlock(_Block):
    """Self-attention, cross-attention and feed-forward over [B, T, D]."""

    @nn.compact
    def __call__(self, x: Array, cache: Cache | None, context: Context) -> tuple[Array, Cache | None]:
        attention = self.part(Attention, "self_attention")
        h = RMSNorm(self.config, name="self_attention_norm")(x)
        own = KeysValues(*attention.keys_values(h))
        if cache is not None and context.position is not None:
            own = write(cache.own, own, context.position)
        x = self.add(x, attention(h, *own, context.bias, context.mask))

        attention = self.part(Attention, "cross_attention")
        h = RMSNorm(self.config, name="cross_attention_norm")(x)
        stored = None if cache is None else cache.cross
        cross = stored or KeysValues(*attention.keys_values(context.encoded))
        x = self.add(x, attention(h, *cross, None, context.cross_mask))

        h = RMSNorm(self.config, name="mlp_norm")(x)
        x = self.add(x, self.part(FeedForward, "mlp")(h))
        if cache is None:
            return x, None
        return x, Cache(own, None if stored else cross)


class RelativeBias(nn.Module):
    """The table of relative position biases that all layers of a stack share."""

    config: T5Config
    bidirectional: bool

    @nn.compact
    def __call__(self, query_positions: Array, key_length: int) -> Array:
        c = self.config
        init = nn.with_logical_partitioning(nn.initializers.normal(c.d_model**-0.5), ("buckets", None))
        table = self.param("embedding", init, (c.relative_buckets, c.num_heads), jnp.float32)
        return position_bias(
            table,
            query_positions,
            key_length,
            bidirectional=self.bidirectional,
            num_buckets=c.relative_buckets,
            max_distance=c.relative_max_distance,
        )


class Stack(nn.Module):
    """Scanned blocks between an embedding and a final norm."""

    config: T5Config
    block: type[_Block]
    num_layers: int
    adapter: Adapter | None = None
    train: bool = False

    def setup(self) -> None:
        self.relative_bias = RelativeBias(self.config, bidirectional=self.block is EncoderBlock)
        self.layers = nn.scan(
            _remat(self.block, self.config.remat),
            variable_axes={"params": 0, "adapter": 0},
            split_rngs={"params": True, "adapter": True, "dropout": True},
            in_axes=(0, nn.broadcast),
            length=self.num_layers,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )(self.config, adapter=self.adapter, train=self.train)
        self.final_norm = RMSNorm(self.config)
        self.dropout = nn.Dropout(self.config.dropout, deterministic=not self.train)

    def __call__(self, x: Array, context: Context, cache: Cache | None = None) -> tuple[Array, Cache | None]:
        """States [B, Q, D] through all blocks, and the cache's change."""
        x = nn.with_logical_constraint(self.dropout(x), STATES)
        x, cache = self.layers(x, cache, context)
        return self.dropout(self.final_norm(x)), cache


def _remat(block: type[_Block], remat: str) -> type[_Block]:
    if remat == "none":
        return block
    policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if remat == "dots" else None
    return nn.remat(block, policy=policy, prevent_cse=False)


class T5(nn.Module):
    """T5 with an optional adapter.

    Attributes:
      config: shape, variant and computation.
      adapter: what is learned on the base, and where; None for the bare base.
      train: whether dropout is on; the RNG 'dropout' is then needed.
    """

    config: T5Config
    adapter: Adapter | None = None
    train: bool = False

    def setup(self) -> None:
        c = self.config
        stack = dict(adapter=self.adapter, train=self.train)
        self.shared = Embedding(c)
        self.encoder = Stack(c, EncoderBlock, c.num_encoder_layers, **stack)
        self.decoder = Stack(c, DecoderBlock, c.num_decoder_layers, **stack)
        if not c.tied:
            self.lm_head = Head(c)
        if isinstance(self.adapter, SoftPrompt):
            self.soft_prompt = Learned()

    def __call__(self, inputs: Array, decoder_inputs: Array) -> Array:
        """Logits of every target position.

        Args:
          inputs: [B, S] int32 token ids, padded.
          decoder_inputs: [B, T] int32, the targets shifted right.

        Returns:
          [B, T, V] float32.
        """
        return self.decode(decoder_inputs, self.encode(inputs), self.source_mask(inputs))

    def source_mask(self, inputs: Array) -> Array:
        """[B, 1, 1, S], True at the tokens that are not padding; with a soft prompt, P + S for S."""
        seen = inputs != self.config.pad_id
        if isinstance(self.adapter, SoftPrompt):
            seen = jnp.pad(seen, ((0, 0), (self.adapter.length, 0)), constant_values=True)
        return seen[:, None, None, :]

    def encode(self, inputs: Array) -> Array:
        """Encoder states [B, S, D] of token ids [B, S]; with a soft prompt, P + S for S."""
        x = self.shared(inputs)
        if isinstance(self.adapter, SoftPrompt):
            x = prepend(self.soft_prompt(self.adapter.weights(self.shared.embedding))["prompt"], x)
        length = x.shape[1]
        bias = self.encoder.relative_bias(jnp.arange(length), length)
        return self.encoder(x, Context(bias, self.source_mask(inputs)))[0]

    def decode(self, decoder_inputs: Array, encoded: Array, source_mask: Array) -> Array:
        """Logits [B, T, V] of all target positions at once."""
        length = decoder_inputs.shape[1]
        positions = jnp.arange(length)
        bias = self.decoder.relative_bias(positions, length)
        causal = (positions[:, None] >= positions[None, :])[None, None]
        x, _ = self.decoder(self.shared(decoder_inputs), Context(bias, causal, encoded, source_mask))
        return self._logits(x)

    def decode_step(
        self, tokens: Array, cache: Cache, position: Array, source_mask: Array, encoded: Array | None = None
    ) -> tuple[Array, Cache]:
        """One step of decoding.

        Args:
          tokens: [B] int32, the tokens at `position`.
          cache: the past; `write`-s of the positions before.
          position: scalar int32.
          source_mask: [B, 1, 1, S].
          encoded: [B, S, D], at the first step only, whose cache has no cross-attention yet.

        Returns:
          Logits [B, V] of the next position, and the cache with this position written.
        """
        length = cache.own.key.shape[2]
        bias = self.decoder.relative_bias(position[None], length)
        seen = (jnp.arange(length) <= position)[None, None, None]
        context = Context(bias, seen, encoded, source_mask, position)
        x, new = self.decoder(self.shared(tokens[:, None]), context, cache)
        assert new is not None
        return self._logits(x)[:, 0], Cache(new.own, cache.cross or new.cross)

    def _logits(self, x: Array) -> Array:
        if self.config.scale_decoder_output:
            x = x * self.config.d_model**-0.5
        logits = self.shared.attend(x) if self.config.tied else self.lm_head(x)
        return nn.with_logical_constraint(logits, ("batch", "length", "vocab"))


class Embedding(nn.Module):
    """The token embedding, which is also the head of a tied model."""

    config: T5Config

    def setup(self) -> None:
        init = nn.with_logical_partitioning(nn.initializers.normal(1.0), ("vocab", "embed"))
        self.embedding = self.param(
            "embedding", init, (self.config.vocab_size, self.config.d_model), jnp.float32
        )

    def __call__(self, tokens: Array) -> Array:
        return jnp.take(self.embedding, tokens, axis=0).astype(self.config.dtype)

    def attend(self, x: Array) -> Array:
        """Logits of states by their product with the embeddings."""
        return jnp.matmul(x, self.embedding.T.astype(x.dtype), preferred_element_type=jnp.float32)


class Head(nn.Module):
    """The output matrix of a model that is not tied."""

    config: T5Config

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = nn.with_logical_partitioning(nn.initializers.normal(1.0), ("embed", "vocab"))
        kernel = self.param("kernel", init, (self.config.d_model, self.config.vocab_size), jnp.float32)
        return jnp.matmul(x, kernel.astype(x.dtype), preferred_element_type=jnp.float32)
