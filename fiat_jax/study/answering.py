"""A tuned model asked, and its answers scored."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fiat_jax.data.batches import EVAL_BUCKETS, eval_batches
from fiat_jax.data.metrics import load_metrics, own_score, score_each
from fiat_jax.data.pipeline import Examples
from fiat_jax.data.tasks import Task
from fiat_jax.decoding.search import Greedy, Sample, Search
from fiat_jax.decoding.spans import Spans
from fiat_jax.decoding.stream import Decoder, Request, Take
from fiat_jax.parallel import own_rows, put_batch
from fiat_jax.study.experiment import Network
from fiat_jax.training import LossSums, eval_step
from fiat_jax.typing import Variables


def decoder(
    network: Network,
    weights: Variables,
    task: Task,
    search: Search,
    batch_size: int,
    constrained: bool = False,
) -> Decoder:
    """What answers the inputs of a task; they are padded to few lengths, and never beyond the task's.

    Args:
      network: the model and its mesh.
      weights: for `network.answering`, as `Network.merged` gives them.
      task: the most tokens of an input and of an answer.
      search: how tokens are chosen.
      batch_size: rows at a time; changes no answer.
      constrained: whether requests may have spans.
    """
    return Decoder(
        network.answering,
        weights,
        network.mesh,
        task.targets_length,
        search,
        batch_size,
        constrained,
        buckets_of(task),
    )


def buckets_of(task: Task) -> tuple[int, ...]:
    """The lengths that inputs of a task are padded to where they are answered."""
    if task.buckets:
        return task.buckets
    longest = task.inputs_length
    return (*(size for size in EVAL_BUCKETS if size < longest), longest)


def seed_of(id: str, search: Search) -> int:
    """The seed of an example, 31 bits of its id and the search's seed: where it stands changes no answer."""
    seed = search.seed if isinstance(search, Sample) else 0
    return int.from_bytes(hashlib.sha256(f"{seed} {id}".encode()).digest()[:4], "big") >> 1


def longest_first(requests: Iterable[Request]) -> Take:
    """Gives requests to a decoder, keyed by their position, those of like length together.

    The longest come first: memory runs out at once or never.
    """
    ordered = iter(sorted(enumerate(requests), key=lambda one: -len(one[1].inputs)))
    return lambda most, idle: list(islice(ordered, most)) or None


def answer(
    network: Network,
    weights: Variables,
    examples: Examples,
    task: Task,
    batch_size: int,
    search: Search = Greedy(),
    spans: Sequence[Spans] | None = None,
) -> tuple[list[str], dict[str, float]]:
    """Answers every example once, and takes the likelihood of its target; each process gets all.

    Args:
      network: the model and its mesh.
      weights: for `network.answering`, as `Network.merged` gives them.
      examples: tokenised inputs.
      task: its vocabulary and the most tokens of an answer.
      batch_size: rows at a time; changes no answer.
      search: how tokens are chosen.
      spans: what the answer of each example must be a run of; None for any answer.

    Returns:
      Answers in the order of the examples; mean loss (nats a target token) and accuracy of target tokens.
    """
    tokens, texts = task.tokens(), [""] * len(examples)
    means = _likelihood(network, weights, examples, task, batch_size)
    requests = [
        Request(inputs, seed_of(id, search), None if spans is None else spans[at])
        for at, (id, inputs) in enumerate(zip(examples.ids, examples.inputs, strict=True))
    ]
    answering = decoder(network, weights, task, search, batch_size, spans is not None)
    for row, written in answering.run(longest_first(requests)):
        texts[row] = task.read(tokens.decode(written.tokens[0]))
    return texts, means


def _likelihood(
    network: Network, weights: Variables, examples: Examples, task: Task, batch_size: int
) -> dict[str, float]:
    own, totals = own_rows(batch_size, network.mesh), []
    with jax.set_mesh(network.mesh):
        for batch, _ in eval_batches(examples, batch_size, task.buckets or EVAL_BUCKETS, own):
            totals.append(eval_step(network.answering, weights, put_batch(batch, network.mesh)))
    return _means(totals)


def _means(totals: Sequence[LossSums]) -> dict[str, float]:
    sums = sum(jax.device_get(totals[1:]), start=jax.device_get(totals[0]))
    return {"loss": float(sums.loss / sums.weight), "token_accuracy": float(sums.correct / sums.weight)}


class Graded:
    """Answers of a tuned model, and how they score.

    Args:
      task: its metrics and the means that it reports.
      examples: what was answered.
      texts: the answers, in the order of the examples.

    Raises:
      ConfigError: a metric needs a package that is not here.
    """

    def __init__(self, task: Task, examples: Examples, texts: Sequence[str]) -> None:
        self._task, self._examples = task, examples
        self._predictions = list(texts)
        self._places = task.places(examples.languages)

    def scores(self, intervals: bool = False) -> dict[str, float]:
        """One flat table: scores by name, the overall ones first as 'f1', then 'hau/f1' of each place.

        Args:
          intervals: whether the scores of the first metric come with the ends of their 95 % intervals, as
            'f1_low', 'f1_high', 'hau/f1_low' and so on.

        Returns:
          The scores of all metrics of the task, and the number of examples, 'n', for each of `Task.places`.
        """
        flat: dict[str, float] = {}
        for at, metric in enumerate(load_metrics(self._task.metrics)):
            prepared = {
                language: metric.prepare(*self._of(rows), language)
                for language, rows in self._places.rows.items()
            }
            flat |= self._places.scores([*metric.labels], prepared)
            if intervals and at == 0:
                flat |= self._places.intervals([*metric.labels], prepared)
        return dict(sorted((flat | self._places.counts()).items(), key=lambda one: "/" in one[0]))

    def each(self) -> list[float]:
        """The `own_score` of each example.

        Raises:
          ConfigError: as `own_score`.
        """
        metrics = self._task.metrics
        name = own_score(metrics)
        rows = zip(self._examples.answers, self._predictions, self._examples.languages, strict=True)
        return [score_each(metrics, *row)[name] for row in rows]

    def _of(self, rows: np.ndarray) -> tuple[list[tuple[str, ...]], list[str]]:
        return [self._examples.answers[at] for at in rows], [self._predictions[at] for at in rows]


def write_predictions(
    path: Path, examples: Examples, texts: Sequence[str], fields: Sequence[Mapping[str, Any]]
) -> None:
    """Writes one JSON line an example: id, language, prediction, answers, and what of its input was cut.

    Args:
      path: of the file.
      examples: what was answered.
      texts: the answers.
      fields: what else an example's line says.
    """
    rows: list[dict[str, Any]] = [
        {"id": id, "language": language, "prediction": text, "answers": list(answers), "cut": dict(cut)}
        | more
        for id, language, text, answers, cut, more in zip(
            examples.ids, examples.languages, texts, examples.answers, examples.cut, fields, strict=True
        )
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
