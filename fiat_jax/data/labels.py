"""Labels of a task whose answers are chosen among a few: as token ids, and which of them a target is."""

from collections.abc import Sequence

import numpy as np

from fiat_jax.data.pipeline import Examples
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import check_target
from fiat_jax.errors import ConfigError, DataError


def encode_labels(task: Task, labels: Sequence[str], name: str = "Rank.labels") -> list[list[int]]:
    """The token ids of labels, with their ends.

    Args:
      task: its vocabulary, and the most tokens of an answer.
      labels: texts.
      name: the setting that they stand in, for messages.

    Raises:
      ConfigError: the vocabulary cannot write one.
      DataError: one is too long.
    """
    tokens = task.tokens()
    every = [tokens.encode(label) for label in labels]
    for label, ids in zip(labels, every, strict=True):
        if tokens.unk_id in ids or tokens.decode(ids) != label:
            raise ConfigError(
                f"{name}: expected texts that the vocabulary {task.vocabulary} can write, but {label!r} "
                f"comes back as {tokens.decode(ids)!r}; name that label otherwise, in the rows too."
            )
        check_target(label, tokens, task.targets_length, name)
    return [[*ids, tokens.eos_id] for ids in every]


def right_labels(examples: Examples, task: Task, labels: Sequence[str]) -> np.ndarray:
    """Which of the labels each example's target is, [N] int.

    Raises:
      DataError: a target is none of them; the message names the example.
      ConfigError, DataError: as `encode_labels`.
    """
    places = {tuple(ids): at for at, ids in enumerate(encode_labels(task, labels))}
    right = [places.get(tuple(target.tolist()), -1) for target in examples.targets]
    if -1 in right:
        at = right.index(-1)
        raise DataError(
            f"task {task.name}, example {examples.ids[at]}: expected a target among the labels "
            f"{', '.join(map(repr, labels))}, found {task.tokens().decode(examples.targets[at])!r}; "
            "add it to Rank.labels, or mend the row."
        )
    return np.array(right)
