"""The T5 encoder-decoder as one Flax module over two variable collections.

    variables = {'params': base, 'adapter': adapter}
    logits = model.apply(variables, inputs, decoder_inputs)

Blocks are scanned: their variables carry a leading axis of layers, and compile once whatever the depth. Those
of a decoder that is laid out for decoding (`layout`) stand one by one.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fiat_jax.adapters import Adapter, SoftPrompt
from fiat_jax.adapters.soft_prompt import prepend
from fiat_jax.models.attention import relative_buckets, relative_distances
from fiat_jax.models.axes import STATES, constrain
from fiat_jax.models.cache import Cache, LayerCache, Step, empty_slots
from fiat_jax.models.config import T5Config
from fiat_jax.models.layers import KEPT, Attention, FeedForward, Learned, RMSNorm, classify, held
from fiat_jax.typing import Array


class Context(NamedTuple):
    """What every block of a stack reads besides its own states and cache."""

    buckets: (
        Array  # [Q + K] of relative positions, as `relative_distances` orders them; of a step [Q or 1, M]
    )
    bias: Array | None  # [N, ...], theirs; None where each layer has a table of its own
    mask: Array  # over the keys of self-attention
    encoded: Any = None  # [B, S, D]
    cross_mask: Any = None  # [B, 1, 1 or Q, S]


class _Block(nn.Module):
    config: T5Config
    adapter: Adapter | None = None
    train: bool = False

    def setup(self) -> None:
        part = dict(adapter=self.adapter, train=self.train)
        self.self_attention = Attention(self.config, **part)
        self.self_attention_norm = RMSNorm(self.config)
        self.mlp, self.mlp_norm = FeedForward(self.config, **part), RMSNorm(self.config)
        self.dropout = nn.Dropout(self.config.dropout, deterministic=not self.train)
        if self.config.bias_in_each_layer:
            self.relative_bias = RelativeBias(self.config)

    def bias(self, context: Context) -> Array:
        """Self-attention's bias of the context's buckets, [N, ...]."""
        return self.relative_bias(context.buckets) if context.bias is None else context.bias

    def attend(self, x: Array, context: Context) -> Array:
        """Self-attention of all positions at once, added to the states [B, Q, D]."""
        h = self.self_attention_norm(x)
        # Else XLA expands the bias before the loop over layers, and the whole lies in memory all the while.
        bias = jax.lax.optimization_barrier((self.bias(context), jax.lax.stop_gradient(x)))[0]
        return self.add(x, self.self_attention(h, *self.self_attention.keys_values(h), bias, context.mask))

    def feed_forward(self, x: Array) -> Array:
        """The feed-forward layer added to the states."""
        return self.add(x, self.mlp(self.mlp_norm(x)))

    def add(self, x: Array, branch: Array) -> Array:
        """Adds a residual branch; where the branch is float32, so is the sum before it is rounded."""
        return constrain((x + self.dropout(branch)).astype(x.dtype), STATES)


class EncoderBlock(_Block):
    """Self-attention and feed-forward over [B, S, D]."""

    def __call__(self, x: Array, context: Context) -> tuple[Array, None]:
        return self.feed_forward(self.attend(x, context)), None


class DecoderBlock(_Block):
    """Self-attention, cross-attention and feed-forward over [B, T, D]."""

    def setup(self) -> None:
        super().setup()
        self.cross_attention = Attention(self.config, adapter=self.adapter, train=self.train)
        self.cross_attention_norm = RMSNorm(self.config)

    def __call__(self, x: Array, context: Context) -> tuple[Array, None]:
        x = self.attend(x, context)
        h, attention = self.cross_attention_norm(x), self.cross_attention
        x = self.add(x, attention(h, *attention.keys_values(context.encoded), None, context.cross_mask))
        return self.feed_forward(x), None

    def start(self, encoded: Array, slots: int) -> LayerCache:
        """The cache of so many slots before the first step, of encoder states [B, S, D]."""
        own = self.self_attention.remember(*empty_slots(self.config, encoded.shape[0], slots))
        return LayerCache(own, self.cross_attention.remember(*self.cross_attention.keys_values(encoded)))

    def step(self, x: Array, cache: LayerCache, context: Context, slot: Array) -> tuple[Array, LayerCache]:
        """States [B, Q, D] of a decoding step, which are written at a slot, and the cache then."""
        h = self.self_attention_norm(x)
        branch, own = self.self_attention.step(h, cache.own, self.bias(context), context.mask, slot)
        x = self.add(x, branch)
        h = self.cross_attention_norm(x)
        x = self.add(x, self.cross_attention.step(h, cache.cross, None, context.cross_mask)[0])
        return self.feed_forward(x), cache._replace(own=own)


class RelativeBias(nn.Module):
    """A table of relative position biases: one for all layers of a stack, or one in each."""

    config: T5Config

    @nn.compact
    def __call__(self, buckets: Array) -> Array:
        """[N, ...] of buckets [...]."""
        c = self.config
        init = nn.with_logical_partitioning(nn.initializers.normal(c.d_model**-0.5), ("buckets", "heads"))
        table = self.param("embedding", init, (c.relative_buckets, c.num_heads), jnp.float32)
        return jnp.moveaxis(table[buckets], -1, 0)


class Stack(nn.Module):
    """Blocks between an embedding and a final norm: scanned, or each with variables of its own."""

    config: T5Config
    block: type[_Block]
    num_layers: int
    adapter: Adapter | None = None
    train: bool = False
    unrolled: bool = False

    def setup(self) -> None:
        if not self.config.bias_in_each_layer:
            self.relative_bias = RelativeBias(self.config)
        block, part = _remat(self.block, self.config.remat), dict(adapter=self.adapter, train=self.train)
        if self.unrolled:
            self.layers = [block(self.config, **part) for _ in range(self.num_layers)]
        else:
            self.layers = nn.scan(
                block,
                variable_axes={"params": 0, "adapter": 0},
                split_rngs={"params": True, "adapter": True, "dropout": True},
                in_axes=nn.broadcast,
                length=self.num_layers,
                metadata_params={nn.PARTITION_NAME: "layers"},
            )(self.config, **part)
        self.final_norm = RMSNorm(self.config)
        self.dropout = nn.Dropout(self.config.dropout, deterministic=not self.train)

    def positions(self, distance: Array) -> tuple[Array, Array | None]:
        """Buckets and biases of a Context, of distances between positions."""
        buckets = relative_buckets(
            distance,
            bidirectional=self.block is EncoderBlock,
            num_buckets=self.config.relative_buckets,
            max_distance=self.config.relative_max_distance,
        )
        return buckets, None if self.config.bias_in_each_layer else self.relative_bias(buckets)

    def __call__(self, x: Array, context: Context) -> Array:
        """States [B, Q, D] through all blocks."""
        x = constrain(self.dropout(x), STATES)
        layers: Any = self.layers if self.unrolled else (self.layers,)
        for layer in layers:
            x, _ = layer(x, context)
        return self.dropout(self.final_norm(x))

    def start(self, encoded: Array, slots: int) -> Cache:
        """The cache of unrolled blocks before the first step; see `DecoderBlock.start`."""
        return tuple(layer.start(encoded, slots) for layer in self.layers)

    def step(self, x: Array, cache: Cache, context: Context, slot: Array) -> tuple[Array, Cache]:
        """States [B, Q, D] of a decoding step through unrolled blocks, and the cache then."""
        new = []
        for layer, its_cache in zip(self.layers, cache, strict=True):
            x, its_cache = layer.step(x, its_cache, context, slot)
            new.append(its_cache)
        return self.final_norm(x), tuple(new)


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
      unrolled: whether the decoder's layers have variables each, as `layout.laid_out` gives them; decoding
        step by step needs it.
    """

    config: T5Config
    adapter: Adapter | None = None
    train: bool = False
    unrolled: bool = False

    def setup(self) -> None:
        c = self.config
        stack = dict(adapter=self.adapter, train=self.train)
        self.shared = Embedding(c)
        self.encoder = Stack(c, EncoderBlock, c.num_encoder_layers, **stack)
        self.decoder = Stack(c, DecoderBlock, c.num_decoder_layers, **stack, unrolled=self.unrolled)
        if not c.tied:
            self.lm_head = Head(c)
        if isinstance(self.adapter, SoftPrompt):
            self.soft_prompt = Learned()

    def __call__(
        self, inputs: Array, decoder_inputs: Array, segments: tuple[Array, Array] | None = None
    ) -> Array:
        """Logits of every target position.

        Args:
          inputs: [B, S] int32 token ids, padded.
          decoder_inputs: [B, T] int32, the targets shifted right.
          segments: [B, S] and [B, T] int32, which of a row's examples each token is of, 0 for none, where
            several share a row; not with a soft prompt, which stands before a row.

        Returns:
          [B, T, V] float32.
        """
        if segments is None:
            return self.decode(decoder_inputs, self.encode(inputs), self.source_mask(inputs))
        source, target = segments
        encoded = self.encode(inputs, _together(source, source))
        return self.decode(decoder_inputs, encoded, _together(target, source), _together(target, target))

    def source_mask(self, inputs: Array) -> Array:
        """[B, 1, 1, S], True at the tokens that are not padding; with a soft prompt, P + S for S."""
        seen = inputs != self.config.pad_id
        if isinstance(self.adapter, SoftPrompt):
            seen = jnp.pad(seen, ((0, 0), (self.adapter.length, 0)), constant_values=True)
        return seen[:, None, None, :]

    def encode(self, inputs: Array, mask: Array | None = None) -> Array:
        """Encoder states [B, S, D] of token ids [B, S]; with a soft prompt, P + S for S.

        Args:
          inputs: [B, S].
          mask: [B, 1, S, S], what sees what; by default all see all that is not padding.
        """
        x = self.shared(inputs)
        if isinstance(self.adapter, SoftPrompt):
            x = prepend(self.soft_prompt(self.adapter.weights(self.shared.embedding))["prompt"], x)
        length = x.shape[1]
        distance = relative_distances(length, length)
        mask = self.source_mask(inputs) if mask is None else mask
        return self.encoder(x, Context(*self.encoder.positions(distance), mask))

    def decode(
        self, decoder_inputs: Array, encoded: Array, source_mask: Array, own_mask: Array | None = None
    ) -> Array:
        """Logits [B, T, V] of all target positions at once.

        Args:
          decoder_inputs: [B, T].
          encoded: [B, S, D].
          source_mask: [B, 1, 1 or T, S], what is seen of the source.
          own_mask: [B, 1, T, T], what is seen of earlier targets; by default all.
        """
        length = decoder_inputs.shape[1]
        positions = jnp.arange(length)
        causal = (positions[:, None] >= positions[None, :])[None, None]
        causal = causal if own_mask is None else causal & own_mask
        distance = relative_distances(length, length)
        context = Context(*self.decoder.positions(distance), causal, encoded, source_mask)
        return self._logits(self.decoder(self.shared(decoder_inputs), context))

    def start(self, encoded: Array, slots: int) -> Cache:
        """The decoder's memory before the first step; the encoded input is projected here, once.

        Args:
          encoded: [B, S, D].
          slots: M, for what the decoder will write.
        """
        return self.decoder.start(encoded, slots)

    def decode_step(self, tokens: Array, cache: Cache, step: Step, source_mask: Array) -> tuple[Array, Cache]:
        """A step of decoding.

        Args:
          tokens: [B, Q] int32: the last tokens of Q beams, or Q tokens in a row.
          cache: the past.
          step: where they stand, and what they see.
          source_mask: [B, 1, 1, S].

        Returns:
          Logits [B, Q, V] of what comes next, and the cache with the tokens written.
        """
        buckets = self.decoder.positions(-step.distance)
        context = Context(*buckets, step.seen[:, None], cross_mask=source_mask)
        x, cache = self.decoder.step(self.shared(tokens), cache, context, step.slot)
        return self._logits(x), cache

    def _logits(self, x: Array) -> Array:
        if self.config.scale_decoder_output:
            x = x * self.config.d_model**-0.5
        return self.shared.attend(x) if self.config.tied else self.lm_head(x)


def _together(queries: Array, keys: Array) -> Array:
    """[B, 1, Q, K], True where tokens of segments [B, Q] and [B, K] are of one example."""
    return (queries[:, :, None] == keys[:, None, :])[:, None]


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
        shape = (self.config.d_model, self.config.vocab_size)
        kernel = held(self, "kernel") or self.param("kernel", init, shape, jnp.float32)
        return classify(x, kernel)
