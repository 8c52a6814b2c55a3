"""What a T5 is: its config, its parts, the network, and the decoder's cache."""

from fiat_jax.models.cache import Cache, empty_cache
from fiat_jax.models.config import T5Config
from fiat_jax.models.transformer import T5

__all__ = ["T5", "Cache", "T5Config", "empty_cache"]
