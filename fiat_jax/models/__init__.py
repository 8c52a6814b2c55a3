"""What a T5 is: its config, its parts, the network, the decoder's cache, and the layout for decoding."""

from fiat_jax.models.cache import Cache, Step
from fiat_jax.models.config import T5Config
from fiat_jax.models.layout import laid_out
from fiat_jax.models.transformer import T5

__all__ = ["T5", "Cache", "Step", "T5Config", "laid_out"]
