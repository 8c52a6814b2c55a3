"""(IA)³: keys, values and the inner feed-forward activations scaled by learned vectors (Liu et al. 2022).

    h = l * (x W)   for keys and values        h = (l * x) W   for the last product of the feed-forward

Every l starts at 1, where it changes nothing (section 3.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from fiat_jax.adapters.projection import ProjectionAdapter, Weight
from fiat_jax.adapters.targets import matches
from fiat_jax.typing import Array


@dataclass(frozen=True)
class IA3(ProjectionAdapter):
    """Settings of an (IA)³ adapter.

    Attributes:
      inputs: patterns for those of the targets whose inputs are scaled; of the others it is the outputs.
    """

    targets: tuple[str, ...] = (r".*/key", r".*/value", r".*/wo")
    inputs: tuple[str, ...] = (r".*/wo",)

    name: ClassVar[str] = "ia3"

    def patterns(self) -> dict[str, tuple[str, ...]]:
        """See `ProjectionAdapter`."""
        return super().patterns() | {"IA3.inputs": self.inputs}

    def weights(self, path: str, kernel: Array, axes: tuple[str, str]) -> dict[str, Weight]:
        """See `ProjectionAdapter`: one vector."""
        side = 0 if matches(self.inputs, path) else 1
        return {"scale": Weight((kernel.shape[side],), (axes[side],), jax.nn.initializers.ones)}

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
        scale = weights["scale"].astype(x.dtype)
        if matches(self.inputs, path):
            return jnp.matmul(x * scale, kernel, preferred_element_type=out_dtype)
        return jnp.matmul(x, kernel, preferred_element_type=out_dtype) * scale

    def merged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """See `ProjectionAdapter`."""
        return kernel.astype(jnp.float32) * self._column(path, weights)

    def unmerged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """See `ProjectionAdapter`."""
        return kernel.astype(jnp.float32) / self._column(path, weights)

    def _column(self, path: str, weights: Mapping[str, Array]) -> Array:
        """l, to be multiplied with a kernel [..., in, out]."""
        scale = jnp.asarray(weights["scale"], jnp.float32)
        return scale[..., :, None] if matches(self.inputs, path) else scale[..., None, :]
