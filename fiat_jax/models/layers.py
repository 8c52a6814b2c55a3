"""The parts of a T5 block: projections and attentions that may carry an adapter, RMSNorm, feed-forward.

Modules only declare variables and name their axes; the mathematics is in functions. Parameter axes are
'vocab', 'embed', 'heads' (all heads together), 'mlp', 'rank', 'buckets' and, once scanned, 'layers';
those of activations are in `axes`. `fiat_jax.parallel` maps both to a mesh.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from fiat_jax.adapters import Adapter, PrefixTuning, ProjectionAdapter, Weight
from fiat_jax.adapters.prefix import with_prefix
from fiat_jax.models.attention import attend, weigh
from fiat_jax.models.axes import HEADS, HIDDEN, LOGITS, SPLIT_HEAD, SPLIT_LOGITS, constrain
from fiat_jax.models.cache import KeysValues, to_cache, write
from fiat_jax.models.config import T5Config
from fiat_jax.models.layout import Turned
from fiat_jax.models.quantised import Kernel, boxed, gathered, quantise, with_kernel
from fiat_jax.typing import Array

KEPT = "attention"
"""The name of what attentions read and give, which a backward pass may want to keep."""

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu_new": partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


def place(module: nn.Module) -> str:
    """Where a module stands, the same whether its layers are scanned or each has a name of its own."""
    return re.sub(r"\blayers_\d+\b", "layers", "/".join(module.path))


def held(module: nn.Module, name: str) -> Any:
    """A kernel that is `Turned` for decoding, which Flax would find to be of another shape; else None."""
    kernel = module.get_variable("params", name)
    return kernel if isinstance(kernel, Turned) else None


def rms_norm(x: Array, scale: Array, epsilon: float) -> Array:
    """RMSNorm without mean or bias (Zhang and Sennrich 2019), in float32; x [..., D], scale [D]."""
    wide = x.astype(jnp.float32)
    variance = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
    return (wide * jax.lax.rsqrt(variance + epsilon) * scale).astype(x.dtype)


def classify(x: Array, kernel: Array | Turned) -> Array:
    """Logits in float32 of states and a head.

    Devices that share the base between them share a batch too. With fewer tokens than words it is cheaper to
    send each other the states and have a share of the words each than to gather the head.

    Args:
      x: [B, T, D].
      kernel: [D, V].

    Returns:
      [B, T, V].
    """
    if isinstance(kernel, Turned):
        return constrain(kernel.multiply(x, jnp.float32), LOGITS)
    weights, logits = kernel.astype(x.dtype), LOGITS
    if x.shape[0] * x.shape[1] < kernel.shape[1]:
        weights, logits = constrain(weights, SPLIT_HEAD), SPLIT_LOGITS
    return constrain(jnp.matmul(x, weights, preferred_element_type=jnp.float32), logits)


class RMSNorm(nn.Module):
    """`rms_norm` with a learned scale."""

    config: T5Config

    @nn.compact
    def __call__(self, x: Array) -> Array:
        # Not split: gathering so little would cost more time than keeping it costs memory.
        init = nn.with_logical_partitioning(nn.initializers.ones, (None,))
        return rms_norm(x, self.param("scale", init, x.shape[-1:]), self.config.norm_epsilon)


class Learned(nn.Module):
    """What an adapter learns in one place, in the collection 'adapter'."""

    @nn.compact
    def __call__(self, weights: Mapping[str, Weight]) -> dict[str, Array]:
        """The values of the weights, float32."""

        def value(name: str, weight: Weight) -> Array:
            init = nn.with_logical_partitioning(weight.init, weight.axes)
            held = self.variable("adapter", name, lambda: init(self.make_rng("adapter"), weight.shape)).value
            return gathered(held, weight.axes)

        return {name: value(name, weight) for name, weight in weights.items()}


class Projection(nn.Module):
    """A linear layer without bias, [..., in] to [..., features], as an adapter of such layers changes it."""

    config: T5Config
    features: int
    axes: tuple[str, str]
    init_scale: float
    adapter: Adapter | None = None
    train: bool = False
    out_dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = held(self, "kernel") or self.param("kernel", self._start, (x.shape[-1], self.features))
        adapter, path, out_dtype = self.adapter, place(self), self.out_dtype
        if not isinstance(adapter, ProjectionAdapter) or not adapter.adapts(path):
            if isinstance(kernel, Turned):
                return kernel.multiply(x, out_dtype)
            product = partial(jnp.matmul, preferred_element_type=out_dtype)
            return with_kernel(lambda kernel, x: product(x, kernel), kernel, self.axes, x)
        weights = Learned(name=adapter.name)(adapter.weights(path, kernel, self.axes))
        rate = adapter.dropout_rate() if self.train else 0.0
        dropped = nn.Dropout(rate, deterministic=False)(x) if rate else None

        def adapted(kernel: Array, x: Array, weights: dict[str, Array], dropped: Array | None) -> Array:
            return adapter.project(path, x, kernel, weights, dropped, out_dtype)

        return with_kernel(adapted, kernel, self.axes, x, weights, dropped)

    def _start(self, key: Array, shape: tuple[int, int]) -> Kernel:
        kernel = nn.initializers.normal(self.init_scale)(key, shape)
        return boxed(quantise(kernel, self.config.quantise), self.axes)


class Attention(nn.Module):
    """Multi-head attention, of many positions at once or of a decoding step over a cache."""

    config: T5Config
    adapter: Adapter | None = None
    train: bool = False

    def setup(self) -> None:
        c = self.config
        projection = partial(Projection, c, adapter=self.adapter, train=self.train)
        inner, wide = ("embed", "heads"), c.d_model**-0.5
        self.query = projection(c.d_attention, inner, (c.d_model * c.d_kv) ** -0.5)
        self.key = projection(c.d_attention, inner, wide)
        self.value = projection(c.d_attention, inner, wide)
        self.out = projection(c.d_model, inner[::-1], c.d_attention**-0.5)
        if self._prefix_tuning():
            self.prefix = Learned()

    def keys_values(self, x: Array) -> tuple[Array, Array]:
        """Keys and values [B, K, N, H] of the states [B, K, D] that may be attended to."""
        return self._heads(self.key(x)), self._heads(self.value(x))

    def __call__(
        self, x: Array, key: Array, value: Array, by_distance: Array | None, mask: Array | None
    ) -> Array:
        """Attends from x [B, Q, D]; see `attend` for the other arguments."""
        key, value, mask = self._prefixed(key, value, mask)
        query = self._heads(self.query(x))
        return self._out(attend(query, key, value, by_distance, mask, self.config.attention_parts))

    def remember(self, key: Array, value: Array) -> KeysValues:
        """A cache of keys and values [B, K, N, H], after the prefix where there is one."""
        return to_cache(*self._prefixed(key, value, None)[:2])

    def step(
        self, x: Array, past: KeysValues, bias: Array | None, mask: Array, slot: Array | None = None
    ) -> tuple[Array, KeysValues]:
        """Attends from x [B, Q, D] over a cache, into which it first writes its own keys and values.

        Args:
          x: [B, Q, D].
          past: as `remember` gives it, of P + K slots where there is a prefix of P.
          bias, mask: of K slots; see `weigh`.
          slot: where the first of x is written; None writes nothing.

        Returns:
          [B, Q, D], and the cache as it is then.
        """
        prefix = past.value.shape[2] - mask.shape[-1]
        if slot is not None:
            past = write(past, to_cache(*self.keys_values(x)), slot + prefix)
        if prefix:
            mask = jnp.pad(mask, ((0, 0), (0, 0), (0, 0), (prefix, 0)), constant_values=True)
            bias = bias if bias is None else jnp.pad(bias, ((0, 0), (0, 0), (prefix, 0)))
        return self._out(weigh(self._heads(self.query(x)), *past, bias, mask)), past

    def _prefix_tuning(self) -> PrefixTuning | None:
        """The adapter, where it puts a prefix before this attention's keys and values."""
        adapter = self.adapter
        return adapter if isinstance(adapter, PrefixTuning) and adapter.adapts(place(self)) else None

    def _prefixed(self, key: Array, value: Array, mask: Array | None) -> tuple[Array, Array, Array | None]:
        adapter = self._prefix_tuning()
        if adapter is None:
            return key, value, mask
        return with_prefix(self.prefix(adapter.weights(self.config.d_attention)), key, value, mask)

    def _out(self, y: Array) -> Array:
        """[B, Q, D] of heads [B, Q, N, H]."""
        return self.out(checkpoint_name(y.reshape(*y.shape[:2], self.config.d_attention), KEPT))

    def _heads(self, x: Array) -> Array:
        # Kept while it is wide: the last axis of heads is so small that a TPU would pad it.
        x = checkpoint_name(x, KEPT)
        return constrain(x.reshape(*x.shape[:-1], self.config.num_heads, self.config.d_kv), HEADS)


class FeedForward(nn.Module):
    """The feed-forward layer, gated (Shazeer 2020) or plain; the last product accumulates in float32."""

    config: T5Config
    adapter: Adapter | None = None
    train: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        c = self.config
        projection = partial(Projection, c, adapter=self.adapter, train=self.train)
        inner = partial(projection, c.d_ff, ("embed", "mlp"), c.d_model**-0.5)
        activation = ACTIVATIONS[c.activation]
        if c.gated:
            hidden = activation(inner(name="wi_0")(x)) * inner(name="wi_1")(x)
        else:
            hidden = activation(inner(name="wi")(x))
        hidden = nn.Dropout(c.dropout, deterministic=not self.train)(constrain(hidden, HIDDEN))
        out = projection(c.d_model, ("mlp", "embed"), 1 / math.sqrt(c.d_ff), out_dtype=jnp.float32, name="wo")
        return out(hidden)
