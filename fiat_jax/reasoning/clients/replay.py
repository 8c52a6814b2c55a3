"""The large model replayed from a file."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fiat_jax.reasoning.calls import CallError, Completion, Request, Wait
from fiat_jax.reasoning.store import open_rationales


@dataclass(frozen=True)
class Replay:
    """Rationales that were written before, answered by example id.

    Attributes:
      path: a JSONL file of {"id", "rationale"} rows, or a rationale store.
    """

    path: str

    @property
    def model(self) -> str:
        """What a store names as the writer."""
        return "replay"

    def payload(self, request: Request) -> dict[str, Any]:
        """The id and its rationale: an edited row counts as a new answer, an edited prompt does not."""
        return {"model": self.model, "id": request.id, "rationale": self._rationales.get(request.id)}

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Looks the rationale up; see `Client.complete`."""
        if request.id not in self._rationales:
            raise CallError(f"{self.path} has no rationale for it")
        return Completion(self._rationales[request.id])

    @cached_property
    def _rationales(self) -> Mapping[str, str]:
        return open_rationales(self.path)
