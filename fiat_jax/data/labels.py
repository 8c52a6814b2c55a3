"""Labels of a task whose answers are chosen among a few: as token ids, and which of them a target is."""

from collections.abc import Sequence

import numpy as np

from fiat_jax.data.pipeline import Examples
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import check_target
from fiat_jax.errors import ConfigError, DataError


def encode_labels(task: Task, labels: Sequence[str], name: str = "Rank.labels") -> list[list[int]]:
    """The token ids of labels as they are written, with their ends.

    Args:
      task: its verbaliser and vocabulary, and the most tokens of an answer.
      labels: as the rows have them.
      name: the setting that they stand in, for messages.

    Raises:
      ConfigError: the verbaliser has none of that name, or the vocabulary cannot write one.
      DataError: one is too long.
    """
    tokens = task.tokens()
    for label in labels:
        if not task.template.knows(label):
            known = ", ".join(map(repr, task.template.verbaliser))
            raise ConfigError(
                f"{name}: expected labels of Template.verbaliser ({known}), found {label!r}; add it there."
            )
    texts = [*map(task.template.write, labels)]
    every = [tokens.encode(text) for text in texts]
    for text, ids in zip(texts, every, strict=True):
        if tokens.unk_id in ids or tokens.decode(ids) != text:
            raise ConfigError(
                f"{name}: expected texts that the vocabulary {task.vocabulary} can write, but {text!r} "
                f"comes back as {tokens.decode(ids)!r}; give that label another text in Template.verbaliser."
            )
        check_target(text, tokens, task.targets_length, name)
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
        found = task.read(task.tokens().decode(examples.targets[at]))
        raise DataError(
            f"task {task.name}, example {examples.ids[at]}: expected a target among the labels "
            f"{', '.join(map(repr, labels))}, found {found!r}; "
            "add it to Rank.labels, or mend the row."
        )
    return np.array(right)
