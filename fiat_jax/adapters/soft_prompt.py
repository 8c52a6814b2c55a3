"""Soft prompts: learned vectors before the embedded input, the model itself frozen (Lester et al. 2021).

encoder input = [P; E(x)]        P [length, D]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from fiat_jax.adapters.projection import Weight
from fiat_jax.errors import ConfigError
from fiat_jax.typing import Array

COMMON = 5000
"""A vocabulary sample is drawn from so many first ids, which are the most common pieces (section 3.2)."""


@dataclass(frozen=True)
class SoftPrompt:
    """Settings of a soft prompt.

    Attributes:
      length: vectors.
      start: what they are at first (section 3.2): 'random', a 'vocabulary' sample of embeddings, or 'labels',
        the mean embedding of each label text and a vocabulary sample for the rest.
      labels: the labels or other texts, for start = 'labels'; of a label what is written for it is taken.
    """

    length: int = 100
    start: Literal["random", "vocabulary", "labels"] = "vocabulary"
    labels: tuple[str, ...] = ()

    name: ClassVar[str] = "soft_prompt"

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigError(f"SoftPrompt.length: expected 1 or more, found {self.length}.")
        if (self.start == "labels") != bool(self.labels):
            raise ConfigError(
                "SoftPrompt.labels: expected the label texts with start = 'labels' and none without it, "
                f"found {self.labels} with start = {self.start!r}."
            )

    def patterns(self) -> dict[str, tuple[str, ...]]:
        """None: there is nothing to choose."""
        return {}

    def places(self, projections: list[str]) -> list[str]:
        """The module path where the prompt is learned."""
        return [self.name]

    def weights(self, embedding: Array) -> dict[str, Weight]:
        """What is learned, before any start but a random one.

        Args:
          embedding: [V, D], the base's.
        """
        return {"prompt": Weight((self.length, embedding.shape[1]), (None, "embed"), self._init(embedding))}

    def _init(self, embedding: Array):
        def init(key: Array, shape: tuple[int, ...]) -> Array:
            if self.start == "random":
                return jax.random.uniform(key, shape, jnp.float32, -0.5, 0.5)
            ids = jax.random.randint(key, (self.length,), 3, min(COMMON, embedding.shape[0]))
            return embedding[ids].astype(jnp.float32)

        return init

    def with_labels(self, prompt: Array, embedding: Array, ids: Sequence[Sequence[int]]) -> Array:
        """The prompt [length, D] with its first vectors made from label texts.

        Args:
          prompt: a vocabulary sample.
          embedding: [V, D], the base's.
          ids: token ids of each label text.

        Raises:
          ConfigError: there are more labels than vectors, or one without tokens.
        """
        if len(ids) > self.length or not all(ids):
            raise ConfigError(
                f"SoftPrompt.labels: expected at most {self.length} labels (SoftPrompt.length) that the "
                f"vocabulary can write, found {len(ids)} labels: {', '.join(map(repr, self.labels))}."
            )
        means = [jnp.mean(embedding[jnp.array(one)].astype(jnp.float32), axis=0) for one in ids]
        return prompt.at[: len(ids)].set(jnp.stack(means))


def prepend(prompt: Array, embedded: Array) -> Array:
    """[P; E(x)]: a prompt [P, D] before embedded inputs [B, S, D], in their dtype."""
    rows = jnp.broadcast_to(prompt.astype(embedded.dtype), (embedded.shape[0], *prompt.shape))
    return jnp.concatenate([rows, embedded], axis=1)
