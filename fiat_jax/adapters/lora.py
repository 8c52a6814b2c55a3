"""LoRA: a low-rank update of a frozen linear layer (Hu et al. 2021, equation 3).

    h = x W + s (x A) B        A [in, r] random, B [r, out] zero at the start

with the scale s = alpha / r, or alpha / sqrt(r) when it is rank-stabilised (rsLoRA, Kalajdzievski 2023).
The kernels here are Flax's, [in, out], so A and B are the transposes of PEFT's lora_A and lora_B.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp

from fiat_jax.adapters.projection import ProjectionAdapter, Weight
from fiat_jax.adapters.targets import Overrides, override
from fiat_jax.errors import ConfigError
from fiat_jax.typing import Array


@dataclass(frozen=True)
class LoRA(ProjectionAdapter):
    """Settings of a LoRA adapter; the default adapts every linear layer of every block.

    Attributes:
      rank: r, the inner width of the update.
      alpha: numerator of the update's scale.
      dropout: rate on the input of the update while training.
      rank_stabilised: whether the scale is alpha / sqrt(rank) and not alpha / rank.
      ranks: pairs of a pattern and the rank of the layers it matches.
      alphas: pairs of a pattern and the alpha of the layers it matches.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    rank_stabilised: bool = False
    ranks: tuple[tuple[str, int], ...] = ()
    alphas: tuple[tuple[str, float], ...] = ()

    name: ClassVar[str] = "lora"

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = type(self).__name__
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"{kind}.dropout: expected a rate in [0, 1), found {self.dropout}.")
        for field, rank in (("rank", self.rank), *((f"ranks {p!r}", rank) for p, rank in self.ranks)):
            if rank < 1:
                raise ConfigError(f"{kind}.{field}: expected 1 or more, found {rank}.")

    def patterns(self) -> dict[str, tuple[str, ...]]:
        """See `ProjectionAdapter`."""
        kind = type(self).__name__
        overrides: dict[str, Overrides] = {"ranks": self.ranks, "alphas": self.alphas}
        by_field = {f"{kind}.{field}": tuple(p for p, _ in pairs) for field, pairs in overrides.items()}
        return super().patterns() | by_field

    def dropout_rate(self) -> float:
        """See `ProjectionAdapter`."""
        return self.dropout

    def rank_of(self, path: str) -> int:
        """The rank of the layer at a module path."""
        return override(self.ranks, path, self.rank)

    def alpha_of(self, path: str) -> float:
        """The alpha of the layer at a module path."""
        return override(self.alphas, path, self.alpha)

    def scale(self, path: str) -> float:
        """What the product of A and B is multiplied by."""
        rank = self.rank_of(path)
        return self.alpha_of(path) / (math.sqrt(rank) if self.rank_stabilised else rank)

    def weights(self, path: str, kernel: Array, axes: tuple[str, str]) -> dict[str, Weight]:
        """See `ProjectionAdapter`: A and B."""
        inputs, features = kernel.shape
        rank = self.rank_of(path)
        return {
            "a": Weight((inputs, rank), (axes[0], "rank"), init_a),
            "b": Weight((rank, features), ("rank", axes[1]), jax.nn.initializers.zeros),
        }

    def project(
        self,
        path: str,
        x: Array,
        kernel: Array,
        weights: Mapping[str, Array],
        dropped: Array | None = None,
        out_dtype: jnp.dtype | None = None,
    ) -> Array:
        """See `ProjectionAdapter`."""
        a, b, scale = weights["a"], weights["b"], self.scale(path)
        if x.dtype == jnp.float32 and dropped is None:
            return lora_projection(x, kernel, a, b, scale)
        y = jnp.matmul(x, kernel, preferred_element_type=out_dtype)
        return y + lora_delta(x if dropped is None else dropped, a, b, scale)

    def merged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """See `ProjectionAdapter`."""
        return kernel.astype(jnp.float32) + self.update(path, weights)

    def unmerged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """See `ProjectionAdapter`."""
        return kernel.astype(jnp.float32) - self.update(path, weights)

    def update(self, path: str, weights: Mapping[str, Array]) -> Array:
        """s A B, [..., in, out] in float32."""
        a, b = (jnp.asarray(weights[name], jnp.float32) for name in ("a", "b"))
        return self.scale(path) * jnp.matmul(a, b, precision="highest")


def init_a(key: Array, shape: tuple[int, ...]) -> Array:
    """A's start: uniform within 1 / sqrt(in), as PEFT's Kaiming law with a = sqrt(5)."""
    bound = 1.0 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, jnp.float32, -bound, bound)


def lora_delta(x: Array, a: Array, b: Array, scale: float) -> Array:
    """The update of a projection's output, by its two thin products.

    Args:
      x: [..., in], input of the projection.
      a: [in, R]; b: [R, out].
      scale: s.

    Returns:
      [..., out] in x's dtype.
    """
    return (x @ a.astype(x.dtype)) @ (b.astype(x.dtype) * scale)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def lora_projection(x: Array, kernel: Array, a: Array, b: Array, scale: float) -> Array:
    """`x @ kernel + lora_delta(x, a, b, scale)` as one product each way over all tokens.

    The update is added to the kernel, which costs in * out * R and not a pass over all tokens, and the
    gradients of A and B are still taken through their thin products, never through the kernel's. Meant for
    float32: a lower precision would round small updates away in the sum.

    Args:
      x: [..., in].
      kernel: [in, out].
      a, b, scale: as for `lora_delta`.

    Returns:
      [..., out].
    """
    return x @ (kernel + scale * (a @ b))


def _forward(x, kernel, a, b, scale):
    return lora_projection(x, kernel, a, b, scale), (x, kernel, a, b)


def _backward(scale, saved, dy):
    x, kernel, a, b = saved
    dx = dy @ (kernel + scale * (a @ b)).T
    x, dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    da = scale * (x.T @ (dy @ b.T))
    db = scale * ((x @ a).T @ dy)
    # The kernel is frozen: its gradient is right, and the compiler drops it where nobody asks for it.
    return dx, x.T @ dy, da, db


lora_projection.defvjp(_forward, _backward)
