"""What the adapters of linear layers have in common, and how any adapter declares what it learns."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from fiat_jax.adapters.targets import check_patterns, matches
from fiat_jax.errors import ConfigError
from fiat_jax.typing import Array


class Weight(NamedTuple):
    """An array that an adapter learns.

    Attributes:
      shape: its shape, without an axis of layers.
      axes: its logical axes, as `fiat_jax.parallel` maps them to a mesh.
      init: its start, from a random key and its shape.
    """

    shape: tuple[int, ...]
    axes: tuple[str | None, ...]
    init: Callable[[Array, tuple[int, ...]], Array]


@dataclass(frozen=True)
class ProjectionAdapter(ABC):
    """An adapter of linear layers: h = x W becomes another function of x, W and a few learned weights.

    It can be merged: the function is again a product of x with some kernel.

    Attributes:
      targets: regular expressions, each matched against whole module paths such as
        'encoder/layers/self_attention/query'.
    """

    targets: tuple[str, ...] = (r".*",)

    name: ClassVar[str]
    """Of the weights of one layer in the collection 'adapter', beside the kernel's in 'params'."""

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if not self.targets:
            raise ConfigError(f"{kind}.targets: expected at least one pattern, found none.")
        for field, patterns in self.patterns().items():
            check_patterns(field, patterns)

    def patterns(self) -> dict[str, tuple[str, ...]]:
        """All patterns, by the field that holds them."""
        return {f"{type(self).__name__}.targets": self.targets}

    def places(self, projections: list[str]) -> list[str]:
        """The module paths that may be adapted, of those of a model's linear layers."""
        return projections

    def adapts(self, path: str) -> bool:
        """Whether the linear layer at a module path is adapted."""
        return matches(self.targets, path)

    def dropout_rate(self) -> float:
        """The rate of dropout on the input of what the adapter adds, while training."""
        return 0.0

    @abstractmethod
    def weights(self, path: str, kernel: Array, axes: tuple[str, str]) -> dict[str, Weight]:
        """What is learned for one linear layer.

        Args:
          path: its module path.
          kernel: [in, out]; as it is stored, of which only the shape and `astype` may be used.
          axes: the logical axes of the kernel.
        """

    @abstractmethod
    def project(
        self,
        path: str,
        x: Array,
        kernel: Array,
        weights: Mapping[str, Array],
        dropped: Array | None = None,
        out_dtype: jnp.dtype | None = None,
    ) -> Array:
        """The adapted product.

        Args:
          path: the module path of the layer.
          x: [..., in].
          kernel: [in, out] in x's dtype.
          weights: learned values by name, float32.
          dropped: x after dropout at the adapter's rate; None where nothing is dropped.
          out_dtype: of the base's product; None for x's.

        Returns:
          [..., out].
        """

    @abstractmethod
    def merged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """The kernel [..., in, out] that gives the same product without the adapter, in float32."""

    @abstractmethod
    def unmerged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """The kernel that `merged` made this one of, in float32, up to rounding."""
