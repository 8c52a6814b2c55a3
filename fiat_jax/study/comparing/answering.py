"""The answers of a cell on the test examples, whoever gives them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fiat_jax.data.given_labels import check_unaided
from fiat_jax.data.pipeline import Examples, load_examples
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning.parsing import parse
from fiat_jax.reasoning.store import open_rationales
from fiat_jax.records import fill
from fiat_jax.study.answering import Graded, answer
from fiat_jax.study.bases import Bases
from fiat_jax.study.cascading import choose, trade_off
from fiat_jax.study.comparing.paradigms import Paradigm
from fiat_jax.study.comparing.results import Result
from fiat_jax.study.comparing.sweep import Cell
from fiat_jax.study.evaluation import best_weights, evaluate_run
from fiat_jax.study.experiment import Experiment, assemble
from fiat_jax.study.threshold import answer_surely


class Answered(NamedTuple):
    """The answers of a cell.

    Attributes:
      texts: [N] of the test examples.
      asked: the share of them that the reasoner was asked about.
    """

    texts: Sequence[str]
    asked: float = 0.0


def result_of(task: Task, examples: Examples, cell: Cell, answered: Answered, **fields: Any) -> Result:
    """The result of a cell that has answered the test examples, with what else is known of it."""
    return Result(
        paradigm=cell.paradigm.name,
        size=cell.size,
        seed=cell.seed,
        base=cell.base,
        adapter=cell.adapter,
        prompt=cell.prompt,
        scores=tuple(Graded(task, examples, answered.texts).each()),
        answers=tuple(answered.texts),
        asked=answered.asked,
        **fields,
    )


def rationales_of(task: Task, examples: Examples) -> tuple[str, ...]:
    """The rationales of a split, by the ids of its examples.

    Raises:
      ConfigError: the task has no store of them.
      DataError: one has none, or one was written from the label.
    """
    if task.rationales is None:
        raise ConfigError(f"Task.rationales: expected those of task {task.name}, found none.")
    check_unaided(task, "fiat")
    held = {
        language: open_rationales(fill(task.rationales, {"language": language}))
        for language in dict.fromkeys(examples.languages)
    }
    pairs = list(zip(examples.ids, examples.languages, strict=True))
    if absent := [id for id, language in pairs if id not in held[language]]:
        raise DataError(
            f"{task.rationales}: expected a rationale of each of {len(pairs)} examples, found none of "
            f"{len(absent)}, {absent[0]!r} the first; run `fiat annotate`."
        )
    return tuple(held[language][id] for id, language in pairs)


def reasoned(task: Task, examples: Examples, marker: str) -> Answered:
    """In-context learning: the answers that the reasoner's own rationales end in; '' where one has none."""
    found = (parse(text, marker).answer or "" for text in rationales_of(task, examples))
    return Answered([task.read(text) for text in found], 1.0)


def untuned(
    experiment: Experiment, shots: int, size: int, seed: int | None, batch_size: int, bases: Bases
) -> Answered:
    """What a base answers that has learned nothing, after some answered examples.

    Args:
      experiment: its task has no regime.
      shots: how many training examples stand before each input.
      size: the most of them that there may be.
      seed: which they are.
      batch_size: rows at a time; changes no answer.
      bases: where the base is from.
    """
    task = experiment.task
    examples = load_examples(task, experiment.variant, "test")
    if shots:
        train = load_examples(task, experiment.variant, "train")
        examples = _after(_exemplars(train, min(shots, size), seed or 0), examples)
        task = replace(task, inputs_length=max(map(len, examples.inputs)), buckets=(), cache=None)
    network = assemble(experiment, 0, bases=bases)
    return Answered(answer(network, network.merged(network.learned), examples, task, batch_size)[0])


def _exemplars(train: Examples, count: int, seed: int) -> list[np.ndarray]:
    """Some training examples, answered: token ids without ends."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(train))
    return [part[:-1] for at in order[:count] for part in (train.inputs[at], train.targets[at])]


def _after(before: Sequence[np.ndarray], examples: Examples) -> Examples:
    inputs = tuple(np.concatenate([*before, ids]).astype(np.int32) for ids in examples.inputs)
    return replace(examples, inputs=inputs, longest=None)


def tuned(
    run_dir: Path, experiment: Experiment, paradigm: Paradigm, batch_size: int, bases: Bases
) -> Answered:
    """What a finished run answers, as its paradigm shows the rationales or asks for them."""
    if paradigm.asked is not None:
        return _cascaded(run_dir, experiment, paradigm.asked, batch_size, bases)
    scored = evaluate_run(run_dir, experiment, "test", batch_size, rationale_mix=paradigm.shown, bases=bases)
    path = run_dir / "predictions" / f"{scored.split}.jsonl"
    texts = [json.loads(line)["prediction"] for line in path.read_text(encoding="utf-8").splitlines()]
    without = paradigm.shown.without if paradigm.shown else 0.0
    return Answered(texts, 1 - without if paradigm.variant == "fiat" else 0.0)


def _cascaded(run_dir: Path, experiment: Experiment, share: float, batch_size: int, bases: Bases) -> Answered:
    """Answers without a rationale, and with it where those are unsure: by a threshold of the validation."""
    task, network = experiment.task, assemble(experiment, 0, bases=bases)
    weights, _ = best_weights(run_dir, network)

    def both(split: str) -> tuple[Examples, Sequence[str], Sequence[float], Sequence[str]]:
        without, asked = load_examples(task, "instruction", split), load_examples(task, "fiat", split)
        texts, sure = answer_surely(network, weights, without, task, batch_size)
        return asked, texts, sure, answer_surely(network, weights, asked, task, batch_size)[0]

    examples, texts, sure, others = both("validation")
    points = trade_off(sure, Graded(task, examples, texts).each(), Graded(task, examples, others).each())
    threshold = choose(points, share).threshold
    _, texts, sure, others = both("test")
    ask = [value < threshold for value in sure]
    mixed = [other if asks else text for asks, text, other in zip(ask, texts, others, strict=True)]
    return Answered(mixed, sum(ask) / len(ask))
