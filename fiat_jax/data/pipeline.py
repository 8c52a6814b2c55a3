"""From a task to token ids."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fiat_jax.data import cache
from fiat_jax.data.columns import Column, columns_of
from fiat_jax.data.given_labels import label_given
from fiat_jax.data.registry import register
from fiat_jax.data.rendering import render
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import VARIANTS, Cut, Loss, Reading, Tally, describe_losses
from fiat_jax.errors import DataError, FiatError

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
      longest: what batches are padded to at most, input and target; None for the longest of these. It is that
        of those which these were chosen from, where that is known: what a regime leaves out changes no shape
        of a batch then. `Task.buckets` says it of inputs.
    """

    ids: Sequence[str]
    languages: Sequence[str]
    answers: Sequence[tuple[str, ...]]
    texts: Sequence[str]
    inputs: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]
    cut: Sequence[Cut]
    unknown: Sequence[int]
    pad_id: int = 0
    longest: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> tuple[int, int]:
        """What the inputs and targets of batches are padded to at most."""
        return self.longest or (max(map(len, self.inputs)), max(map(len, self.targets)))

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
    """The token ids of a split, language after language, in file order: from the task's cache, or made now.

    How many examples were cut by how much, and the share of unknown tokens, is logged.

    Args:
      task: the task; without a cache it is registered if it is not yet.
      reading: what the model reads; of distillation these are the labels, 'explanation' has the rationales.
      split: which examples.
      languages: only these; by default all of the task's.

    Raises:
      ConfigError: the task has no such reading, split or language, or there should be a cache and is none.
      DataError: a row is wrong, has no rationale or does not fit; the message names it. Or a cache is stale.
    """
    examples = (_tokenise if task.cache is None else _cached)(task, reading, split, languages)
    examples = in_buckets(task, examples)
    _report(task, reading, split, examples)
    return examples


def in_buckets(task: Task, examples: Examples) -> Examples:
    """Examples that are padded to the whole of the last length of `Task.buckets`, where there are some."""
    if not task.buckets:
        return examples
    return replace(examples, longest=(task.buckets[-1], examples.lengths[1]))


def write_cache(task: Task) -> list[tuple[Reading, str, str]]:
    """Writes the cache of a task, in the place of any there is: all readings of all splits.

    It holds what every regime chooses from, and serves them all.

    A reading that cannot be made, such as one whose rationales are not there yet, is left out; it then is an
    error where it is read. That is so for none without rationales.

    Args:
      task: the task; its `cache` is the folder.

    Returns:
      Each reading and split, and its counts or why there is none.

    Raises:
      ConfigError, DataError: as `load_examples` and `cache.write`.
    """
    bare, task = replace(task, cache=None, regime=None), replace(task, regime=None)
    done: list[tuple[Reading, str, str]] = []

    def made() -> Iterator[cache.Entry]:
        for split in task.splits():
            for reading in task.readings():
                try:
                    examples = _tokenise(bare, reading, split, ())
                    done.append((reading, split, str(examples.counts())))
                    yield cache.Entry(reading, split, examples)
                except FiatError as error:
                    if reading in VARIANTS[:2]:
                        raise
                    done.append((reading, split, f"left out: {error}"))
                    yield cache.Entry(reading, split, absent=str(error))

    given = {}
    for language in task.languages or ("",):
        with contextlib.suppress(DataError):  # no rationales yet
            given[language] = label_given(bare, bare.readings()[-1], (language,) if language else ())
    cache.write(task, made(), given)
    return done


def _tokenise(task: Task, reading: Reading, split: str, languages: tuple[str, ...]) -> Examples:
    """Reads, joins, renders and tokenises through seqio."""
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
    return examples


def _cached(task: Task, reading: Reading, split: str, languages: tuple[str, ...]) -> Examples:
    """Reads the task's cache, which may be foreign, and chooses as a regime does that reads the rows."""
    task.check_reading(reading)
    task.check_part(split, languages)
    whole = replace(task, regime=None)
    examples = _sound(whole, reading, split)
    used = None
    if task.regime is not None and split == "train":
        # This reading may be without examples that have no rationale, which a regime may choose.
        every = cache.read(whole, "plain", split, Examples)
        used = task.regime.choose(zip(every.languages, every.ids, strict=True), task.name)
    if used is None and not languages:
        return examples
    keys = list(zip(examples.languages, examples.ids, strict=True))
    chosen = [
        at
        for one in languages or task.languages or ("",)
        for at, key in enumerate(keys)
        if one in ("", key[0]) and (used is None or key in used)
    ]
    if not chosen:
        raise DataError(f"task {task.name}: expected rationales of split {split!r}, found none.")
    picked: dict[str, Any] = {
        name: tuple(getattr(examples, name)[at] for at in chosen) for name in columns_of(Examples)
    }
    return replace(examples, **picked)


def _sound(task: Task, reading: Reading, split: str) -> Examples:
    """The examples of a cache, their token ids checked.

    Raises:
      ConfigError, DataError: as `cache.read`, or lengths or ids are not the task's.
    """
    examples = cache.read(task, reading, split, Examples)
    size, longest = task.tokens().size, {}
    for name, limit in (("inputs", task.inputs_length), ("targets", task.targets_length)):
        rows: Column[np.ndarray] = getattr(examples, name)
        lengths, ids = np.diff(rows.offsets), rows.flat
        if not len(rows) or lengths.min() < 1 or lengths.max() > limit or ids.min() < 0 or ids.max() >= size:
            raise DataError(
                f"{task.cache}: expected {name} of 1 to {limit} token ids below {size}, found others; "
                "run `fiat cache` again."
            )
        longest[name] = int(lengths.max())
    return replace(examples, longest=(longest["inputs"], longest["targets"]))


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
