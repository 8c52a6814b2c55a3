"""Training examples apart: some for proposals, others to score on, others still to confirm with."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError, DataError


@dataclass(frozen=True)
class Slices:
    """How many training examples do what in a search; none does two things.

    Attributes:
      propose: those that proposals may see and exemplars are made of.
      score: those that candidates are chosen by.
      confirm: those on which the winner and the start are scored at the end.
      minibatch: how many of `score` every candidate is tried on.
      apart: a field of the rows, such as 'context': rows with the same value lie in one slice. '' lets only
        rows of the same input do so.
      seed: of which example goes where.
    """

    propose: int = 60
    score: int = 100
    confirm: int = 100
    minibatch: int = 25
    apart: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.propose, self.confirm, self.minibatch) < 1 or self.score < self.minibatch:
            raise ConfigError(
                "Slices: expected propose, confirm and minibatch of 1 or more and score of at least "
                f"minibatch, found {self}."
            )


class Sliced(NamedTuple):
    """Training rows, each in one slice at most."""

    propose: list[dict[str, Any]]
    score: list[dict[str, Any]]
    confirm: list[dict[str, Any]]


def slice_train(
    task: Task,
    slices: Slices,
    text: Callable[[Mapping[str, Any]], str],
    without: Collection[str] = (),
) -> Sliced:
    """Cuts slices out of the training split; which row goes where follows from its text and the seed.

    Args:
      task: whose rows; a validation split that it holds out is no part of train.
      slices: how many.
      text: an input as the model reads it. Of rows with the same the first is used.
      without: ids and inputs of the start's exemplars, which stay out.

    Raises:
      DataError: there are too few rows, or they lack the field that keeps them apart.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    seen = {_plain(one) for one in without}
    for row in task.rows("train"):
        if _plain(row["id"]) in seen or (read := _plain(text(row))) in seen:
            continue
        seen.add(read)
        if slices.apart and slices.apart not in row:
            raise DataError(
                f"example {row['id']!r}: expected the field {slices.apart!r} that Slices.apart names, "
                f"found {', '.join(map(repr, row))}."
            )
        groups[_plain(str(row[slices.apart])) if slices.apart else read].append(row)
    ordered = iter(sorted(groups, key=lambda group: _hash(slices.seed, group)))
    found = []
    for size in (slices.propose, slices.score, slices.confirm):
        rows: list[dict[str, Any]] = []
        while len(rows) < size:
            group = next(ordered, None)
            if group is None:
                wanted = f"{slices.propose} + {slices.score} + {slices.confirm}"
                raise DataError(
                    f"task {task.name}: expected {wanted} training examples for {slices}, found "
                    f"{sum(map(len, groups.values()))} with inputs of their own in {len(groups)} groups that "
                    "stay together; lower the numbers."
                )
            rows += groups[group]
        found.append(rows[:size])  # what is left of the last group stays unused
    return Sliced(*found)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _hash(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()
