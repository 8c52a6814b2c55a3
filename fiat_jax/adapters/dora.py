"""DoRA: LoRA whose kernel is split into direction and magnitude (Liu et al. 2024, equations 5 and 11).

    h = x (W + s A B) * m / ||W + s A B||        the norm over inputs, for each output; m starts as ||W||

No gradient passes through the norm, as the paper proposes (section 4.3) and PEFT does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from fiat_jax.adapters.lora import LoRA
from fiat_jax.adapters.projection import Weight
from fiat_jax.errors import ConfigError
from fiat_jax.typing import Array


@dataclass(frozen=True)
class DoRA(LoRA):
    """Settings of a DoRA adapter: those of LoRA."""

    def weights(self, path: str, kernel: Array, axes: tuple[str, str]) -> dict[str, Weight]:
        """See `ProjectionAdapter`: A, B and the magnitude of each output."""
        start = Weight(kernel.shape[1:], axes[1:], lambda key, shape: _norms(kernel.astype(jnp.float32)))
        return super().weights(path, kernel, axes) | {"magnitude": start}

    def project(
        self,
        path: str,
        x: Array,
        kernel: Array,
        weights: Mapping[str, Array],
        dropped: Array | None = None,
        out_dtype: jnp.dtype | None = None,
    ) -> Array:
        """See `ProjectionAdapter`; dropout is on the input of all that is added to x W."""
        norms = _norms(super().merged(path, kernel, weights))
        gain = (weights["magnitude"] / jax.lax.stop_gradient(norms)).astype(x.dtype)
        if dropped is None:
            return gain * super().project(path, x, kernel, weights, out_dtype=out_dtype)
        adapted = super().project(path, dropped, kernel, weights, dropped, out_dtype)
        kept = jnp.matmul(x - dropped, kernel, preferred_element_type=out_dtype)
        return kept + gain * adapted

    def merged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """See `ProjectionAdapter`."""
        together = super().merged(path, kernel, weights)
        return together * (jnp.asarray(weights["magnitude"], jnp.float32) / _norms(together))[..., None, :]

    def unmerged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """Not possible: the merged kernel has forgotten the norms that it was divided by.

        Raises:
          ConfigError: always.
        """
        raise ConfigError(
            f"{path}: expected an adapter that can be taken out of merged weights, found DoRA, whose merged "
            "kernels no longer hold the norms of the base; use the base itself."
        )


def _norms(kernel: Array) -> Array:
    """The norm of each output's weights: [..., in, out] to [..., out]."""
    return jnp.linalg.norm(kernel, axis=-2)
