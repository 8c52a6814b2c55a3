"""From a task to token ids."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fiat_jax.data.registry import register
from fiat_jax.data.rendering import render
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Cut, Loss, Reading, Tally, describe_losses
from fiat_jax.errors import DataError

_log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """What became of some examples.

    Attributes:
      examples: how many.
      cut: how many of them are shortened.
      losses: by field, how many lost some of it, and what share in the mean.
      tokens: of their inputs, ends not counted.
      unknown: how many of those stand for text that the vocabulary cannot write.
    """

    examples: int
    cut: int
    losses: Mapping[str, Loss]
    tokens: int
    unknown: int

    def __str__(self) -> str:
        share = 100 * self.unknown / max(self.tokens, 1)
        cut = describe_losses(self.cut, self.losses)
        return f"{self.examples} examples, {cut}, {share:.1f} % of the tokens unknown"


@dataclass(frozen=True)
class Examples:
    """Tokenised examples in a fixed order; each field holds one item an example.

    Attributes:
      ids: example ids.
      languages: '' where a row has none.
      answers: the good answers.
      texts: the inputs as text.
      inputs, targets: int32 token ids [length], with the end and without padding.
      cut: what was shortened, and by how much.
      unknown: how many input tokens are unknown.
      pad_id: what fills up the rows of a batch.
    """

    ids: tuple[str, ...]
    languages: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    inputs: tuple[np.ndarray, ...]
    targets: tuple[np.ndarray, ...]
    cut: tuple[Cut, ...]
    unknown: tuple[int, ...]
    pad_id: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def counts(self, *languages: str) -> Counts:
        """Counts of some languages, or of all."""
        rows = [i for i, one in enumerate(self.languages) if not languages or one in languages]
        tally = Tally(self.cut[i] for i in rows)
        return Counts(
            examples=len(rows),
            cut=tally.examples,
            losses=tally.losses(),
            tokens=sum(len(self.inputs[i]) - 1 for i in rows),
            unknown=sum(self.unknown[i] for i in rows),
        )


def load_examples(task: Task, reading: Reading, split: str, languages: tuple[str, ...] = ()) -> Examples:
    """Reads, joins, renders and tokenises a split through seqio, language after language, in file order.

    How many examples were cut by how much, and the share of unknown tokens, is logged.

    Args:
      task: the task; it is registered if it is not yet.
      reading: what the model reads; of distillation these are the labels, 'explanation' has the rationales.
      split: which examples.
      languages: only these; by default all of the task's.

    Raises:
      ConfigError: the task has no such reading, split or language.
      DataError: a row is wrong, has no rationale or does not fit; the message names it.
    """
    rendered = list(render(task, reading, split, languages))  # first: seqio would bury what is wrong in a row
    register(task)
    read: Reading = "instruction" if reading == "distillation" else reading  # in seqio that one is a mixture
    names = [task.seqio_name(read, language) for language in languages or task.languages or ("",)]
    ids = {one.id for one in rendered}  # distillation may leave some of the instruction's out
    rows = [row for name in names for row in _tokenised(task, name, split) if row["id"].decode() in ids]
    tokens = task.tokens()
    examples = Examples(
        ids=tuple(one.id for one in rendered),
        languages=tuple(one.language for one in rendered),
        answers=tuple(one.answers for one in rendered),
        texts=tuple(one.input for one in rendered),
        cut=tuple(one.cut for one in rendered),
        inputs=tuple(row["inputs"] for row in rows),
        targets=tuple(row["targets"] for row in rows),
        unknown=tuple(int((row["inputs"] == tokens.unk_id).sum()) for row in rows),
        pad_id=tokens.pad_id,
    )
    if [row["inputs_pretokenized"].decode() for row in rows] != list(examples.texts):
        raise DataError(f"task {task.name}, split {split}: the files changed while being read; start again.")
    _report(task, reading, split, examples)
    return examples


def _tokenised(task: Task, name: str, split: str) -> Iterator[dict[str, Any]]:
    from fiat_jax.data.tensorflow import seqio

    lengths = {"inputs": task.inputs_length, "targets": task.targets_length}
    dataset = seqio.get_mixture_or_task(name).get_dataset(
        sequence_length=lengths, split=split, shuffle=False, num_epochs=1
    )
    yield from dataset.as_numpy_iterator()


def _report(task: Task, reading: Reading, split: str, examples: Examples) -> None:
    _log.info("%s %s: %s", task.seqio_name(reading), split, examples.counts())
    for language in sorted(set(examples.languages) - {""}):
        _log.info("  %s: %s", language, examples.counts(language))
