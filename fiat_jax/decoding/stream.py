"""Requests answered as they come: a fixed number of rows decoded together, a new one wherever one is done."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fiat_jax.decoding.generate import greedy
from fiat_jax.decoding.search import Greedy, Search
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5
from fiat_jax.parallel import fetch, own_rows, put_batch
from fiat_jax.typing import Variables


class Request(NamedTuple):
    """What is to be answered.

    Attributes:
      inputs: int32 [S] token ids with the end, without padding.
      seed: which of the random answers to give, where a search draws.
      spans: the token sequences of which the answer must be a run, as `decoding.spans` makes them, or None.
      adapter: the number of an adapter of a bank; -1 for the bare base.
    """

    inputs: np.ndarray
    seed: int = 0
    spans: Any = None
    adapter: int = -1


class Answer(NamedTuple):
    """What was written for a request.

    Attributes:
      tokens: int32 ids of each of the answers, the best first, without end and padding.
      scores: of each: its log-probability with the end, or for beams their score.
    """

    tokens: tuple[np.ndarray, ...]
    scores: tuple[float, ...]


Take = Callable[[int, bool], Sequence[tuple[Any, Request]] | None]
"""Gives up to so many requests, each with a key of the caller's. None says that no more will come, an empty
list that there is none yet. It may wait only if the second argument, whether nothing is being decoded, is
True."""


class Decoder:
    """A model that answers requests.

    Attributes:
      batch_size: rows that are decoded together.
    """

    def __init__(
        self,
        model: T5,
        variables: Variables,
        mesh: jax.sharding.Mesh,
        max_length: int,
        search: Search = Greedy(),
        batch_size: int = 32,
        buckets: tuple[int, ...] = (64, 128, 256, 512, 1024),
    ) -> None:
        self.model, self.variables, self.mesh = model, variables, mesh
        self.max_length, self.search, self.batch_size, self.buckets = max_length, search, batch_size, buckets

    def run(self, take: Take) -> Iterator[tuple[Any, Answer]]:
        """Answers requests until there are no more, each as soon as it is done, with the caller's key."""
        while (given := take(self.batch_size, True)) is not None:
            for (key, _), ids in zip(given, self._ids([request for _, request in given]), strict=True):
                yield key, Answer((ids[ids != self.model.config.pad_id],), (0.0,))

    def _ids(self, requests: Sequence[Request]) -> np.ndarray:
        longest = max(len(one.inputs) for one in requests)
        width = next((size for size in self.buckets if size >= longest), longest)
        inputs = np.zeros((self.batch_size, width), np.int32)
        for row, one in zip(inputs, requests, strict=False):
            row[: len(one.inputs)] = one.inputs
        with jax.set_mesh(self.mesh):
            placed = put_batch({"inputs": inputs[own_rows(self.batch_size, self.mesh)]}, self.mesh)
            ids = fetch(greedy(self.model, self.variables, placed["inputs"], self.max_length))
        return ids[: len(requests)]
