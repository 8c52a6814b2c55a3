"""LoRA: a low-rank update of a frozen projection (Hu et al. 2021, equation 3).

    h = x W + (alpha / r) (x A) B        A [in, r] random, B [r, out] zero at the start

The kernels here are Flax's, [in, out], so A and B are the transposes of PEFT's lora_A and lora_B.
"""

import math
import re
from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp

from fiat_jax.errors import ConfigError
from fiat_jax.typing import Array, Params


@dataclass(frozen=True)
class LoRA:
    """Settings of a LoRA adapter.

    Attributes:
      rank: r, the inner width of the update.
      alpha: numerator of the update's scale, alpha / rank.
      dropout: rate on the input of the update while training.
      targets: regular expressions, each matched against whole module paths such as
        'encoder/layers/self_attention/query'. The default adapts every linear layer of every block.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = (r".*",)

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"LoRA.rank: expected 1 or more, found {self.rank}.")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"LoRA.dropout: expected a rate in [0, 1), found {self.dropout}.")
        if not self.targets:
            raise ConfigError("LoRA.targets: expected at least one pattern, found none.")
        for pattern in self.targets:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    f"LoRA.targets: {pattern!r} is not a regular expression: {error}."
                ) from None

    @property
    def scale(self) -> float:
        """What the product of A and B is multiplied by."""
        return self.alpha / self.rank

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{pattern})" for pattern in self.targets))

    def adapts(self, path: str) -> bool:
        """Whether the projection at a module path is adapted."""
        return self._pattern.fullmatch(path) is not None


def init_a(key: Array, shape: tuple[int, int], dtype=jnp.float32) -> Array:
    """A's start: uniform within 1 / sqrt(in), as PEFT's Kaiming law with a = sqrt(5)."""
    bound = 1.0 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def lora_delta(x: Array, a: Array, b: Array, scale: float) -> Array:
    """The update of a projection's output, by its two thin products.

    Args:
      x: [..., in], input of the projection.
      a: [in, R]; b: [R, out].
      scale: alpha / R.

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


def merge(base: Params, adapter: Params, scale: float) -> Params:
    """Adds every low-rank update to its kernel, in float32; scanned layers are merged all at once.

    Args:
      base: kernels [..., in, out] in a tree.
      adapter: a subtree of the same shape whose leaves 'a' [..., in, R] and 'b' [..., R, out] stand beside
        the kernels that they adapt.
      scale: alpha / R.

    Returns:
      A base of the same structure and dtypes, that needs no adapter.
    """
    merged = dict(base)
    for name, below in adapter.items():
        if name == "lora":
            kernel = jnp.asarray(base["kernel"])
            delta = scale * jnp.matmul(
                below["a"].astype(jnp.float32), below["b"].astype(jnp.float32), precision="highest"
            )
            merged["kernel"] = (kernel.astype(jnp.float32) + delta).astype(kernel.dtype)
        else:
            merged[name] = merge(base[name], below, scale)
    return merged
