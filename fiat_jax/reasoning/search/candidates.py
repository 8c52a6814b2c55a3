"""What a search tries, and what those who propose it may see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""An example of the task, with its 'id'."""


@dataclass(frozen=True)
class Demonstration:
    """An example as proposals see it: never one that candidates are scored on."""

    id: str
    input: str
    answer: str


@dataclass(frozen=True)
class Worked:
    """An example that the large model has worked: what it wrote, and the score of its answer."""

    row: Row
    rationale: str
    score: float


@dataclass(frozen=True)
class Candidate:
    """A prompt that is tried.

    Attributes:
      name: such as 'ape-3'.
      instruction: what it says.
      exemplars: rows with a 'rationale'; None for those of the start.
      parent: the name of what it was made from.
    """

    name: str
    instruction: str
    exemplars: tuple[Row, ...] | None = None
    parent: str | None = None

    @property
    def method(self) -> str:
        """What proposed it."""
        return self.name.partition("-")[0]

    @property
    def ids(self) -> list[str] | None:
        """Of its exemplars; None for those of the start."""
        return None if self.exemplars is None else [str(row["id"]) for row in self.exemplars]
