"""Prefix tuning: learned keys and values before those of every attention (Li and Liang 2021, section 4).

    attention(q, [P_K; K], [P_V; V])

Learned directly and not through the paper's feed-forward network, which is thrown away after training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from fiat_jax.adapters.projection import Weight
from fiat_jax.adapters.targets import check_patterns, matches
from fiat_jax.errors import ConfigError
from fiat_jax.typing import Array


@dataclass(frozen=True)
class PrefixTuning:
    """Settings of learned prefixes.

    Attributes:
      length: keys and values before those of each attention.
      targets: regular expressions for whole module paths of attentions: 'encoder/layers/self_attention',
        'decoder/layers/self_attention', 'decoder/layers/cross_attention'.
    """

    length: int = 20
    targets: tuple[str, ...] = (r".*",)

    name: ClassVar[str] = "prefix"

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigError(f"PrefixTuning.length: expected 1 or more, found {self.length}.")
        if not self.targets:
            raise ConfigError("PrefixTuning.targets: expected at least one pattern, found none.")
        check_patterns("PrefixTuning.targets", self.targets)

    def patterns(self) -> dict[str, tuple[str, ...]]:
        """All patterns, by the field that holds them."""
        return {"PrefixTuning.targets": self.targets}

    def places(self, projections: list[str]) -> list[str]:
        """The module paths of attentions, of those of a model's linear layers."""
        return sorted(path.removesuffix("/query") for path in projections if path.endswith("/query"))

    def adapts(self, path: str) -> bool:
        """Whether the attention at a module path has a prefix."""
        return matches(self.targets, path)

    def weights(self, width: int) -> dict[str, Weight]:
        """What is learned for one attention.

        Args:
          width: of all heads together.
        """
        shape, axes = (self.length, width), (None, "heads")
        # Values of zero leave the direction of what is attended to as it was at the start.
        return {
            "key": Weight(shape, axes, jax.nn.initializers.normal(1.0)),
            "value": Weight(shape, axes, jax.nn.initializers.zeros),
        }


def with_prefix(
    weights: Mapping[str, Array], key: Array, value: Array, mask: Array | None
) -> tuple[Array, Array, Array | None]:
    """Puts a prefix before keys and values, which every query sees.

    Args:
      weights: 'key' and 'value', each [P, N * H].
      key, value: [B, K, N, H].
      mask: broadcastable to [B, N, Q, K], or None.

    Returns:
      The same three with P + K in the place of K.
    """

    def before(prefix: Array, rows: Array) -> Array:
        prefix = prefix.astype(rows.dtype).reshape(1, -1, *rows.shape[2:])
        return jnp.concatenate([jnp.broadcast_to(prefix, (rows.shape[0], *prefix.shape[1:])), rows], axis=1)

    if mask is not None:
        mask = jnp.pad(mask, ((0, 0), (0, 0), (0, 0), (weights["key"].shape[0], 0)), constant_values=True)
    return before(weights["key"], key), before(weights["value"], value), mask
