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
from fiat_jax.models.attention import relative_buckets, relative_distances
from fiat_jax.models.axes import STATES, constrain
from fiat_jax.models.cache import Cache, KeysValues, write
from fiat_jax.models.config import T5Config
from fiat_jax.models.layers import KEPT, Attention, FeedForward, Learned, RMSNorm, classify
from fiat_jax.typing import Array


class Context(NamedTuple):
    """What every block of a stack reads besides its own states and cache."""

    buckets: Array  # [Q + K] of relative positions, as `relative_distances` orders them
    bias: Array | None  # [N, Q + K], theirs; None where each layer has a table of its own
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

    def bias(self, x: Array, context: Context) -> Array:
        """Self-attention's bias by distance [N, Q + K], of states [B, Q, D]."""
        by_distance = context.bias
        if by_distance is None:
            by_distance = RelativeBias(self.config, name="relative_bias")(context.buckets)
        # Else XLA expands it before the loop over layers, and the whole lies in memory all the while.
        return jax.lax.optimization_barrier((by_distance, jax.lax.stop_gradient(x)))[0]

    def add(self, x: Array, branch: Array) -> Array:
        """Adds a residual branch; where the branch is float32, so is the sum before it is rounded."""
        branch = nn.Dropout(self.config.dropout, deterministic=not self.train)(branch)
        return constrain((x + branch).astype(x.dtype), STATES)


class EncoderBlock(_Block):
    """Self-attention and feed-forward over [B, S, D]."""

    @nn.compact
    def __call__(self, x: Array, _, context: Context) -> tuple[Array, None]:
        attention = self.part(Attention, "self_attention")
        h = RMSNorm(self.config, name="self_attention_norm")(x)
        x = self.add(x, attention(h, *attention.keys_values(h), self.bias(x, context), context.mask))
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
        x = self.add(x, attention(h, *own, self.bias(x, context), context.mask))

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
    """A table of relative position biases: one for all layers of a stack, or one in each."""

    config: T5Config

    @nn.compact
    def __call__(self, buckets: Array) -> Array:
        """[N, M] of buckets [M]."""
        c = self.config
        init = nn.with_logical_partitioning(nn.initializers.normal(c.d_model**-0.5), ("buckets", "heads"))
        table = self.param("embedding", init, (c.relative_buckets, c.num_heads), jnp.float32)
        return table[buckets].T


class Stack(nn.Module):
    """Scanned blocks between an embedding and a final norm."""

    config: T5Config
    block: type[_Block]
    num_layers: int
    adapter: Adapter | None = None
    train: bool = False

    def setup(self) -> None:
        if not self.config.bias_in_each_layer:
            self.relative_bias = RelativeBias(self.config)
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

    def positions(self, first: Array | int, queries: int, keys: int) -> tuple[Array, Array | None]:
        """Buckets and biases of a Context; arguments as for `relative_distances`."""
        buckets = relative_buckets(
            relative_distances(first, queries, keys),
            bidirectional=self.block is EncoderBlock,
            num_buckets=self.config.relative_buckets,
            max_distance=self.config.relative_max_distance,
        )
        return buckets, None if self.config.bias_in_each_layer else self.relative_bias(buckets)

    def __call__(self, x: Array, context: Context, cache: Cache | None = None) -> tuple[Array, Cache | None]:
        """States [B, Q, D] through all blocks, and the cache's change."""
        x = constrain(self.dropout(x), STATES)
        x, cache = self.layers(x, cache, context)
        return self.dropout(self.final_norm(x)), cache


def _remat(block: type[_Block], remat: str) -> type[_Block]:
    if remat == "none":
        return block
    policies = {
        "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
        "attention": jax.checkpoint_policies.save_only_these_names(KEPT),
        "full": None,
    }
    return nn.remat(block, policy=policies[remat], prevent_cse=False)


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
        context = Context(*self.encoder.positions(0, length, length), self.source_mask(inputs))
        return self.encoder(x, context)[0]

    def decode(self, decoder_inputs: Array, encoded: Array, source_mask: Array) -> Array:
        """Logits [B, T, V] of all target positions at once."""
        length = decoder_inputs.shape[1]
        positions = jnp.arange(length)
        causal = (positions[:, None] >= positions[None, :])[None, None]
        context = Context(*self.decoder.positions(0, length, length), causal, encoded, source_mask)
        return self._logits(self.decoder(self.shared(decoder_inputs), context)[0])

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
        seen = (jnp.arange(length) <= position)[None, None, None]
        context = Context(*self.decoder.positions(position, 1, length), seen, encoded, source_mask, position)
        x, new = self.decoder(self.shared(tokens[:, None]), context, cache)
        assert new is not None
        return self._logits(x)[:, 0], Cache(new.own, cache.cross or new.cross)

    def _logits(self, x: Array) -> Array:
        if self.config.scale_decoder_output:
            x = x * self.config.d_model**-0.5
        return self.shared.attend(x) if self.config.tied else self.lm_head(x)


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
        return classify(x, self.embedding.T)


class Head(nn.Module):
    """The output matrix of a model that is not tied."""

    config: T5Config

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = nn.with_logical_partitioning(nn.initializers.normal(1.0), ("embed", "vocab"))
        kernel = self.param("kernel", init, (self.config.d_model, self.config.vocab_size), jnp.float32)
        return classify(x, kernel)
