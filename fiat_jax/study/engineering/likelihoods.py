"""Tuning instructions scored by how likely the tuned model finds the targets under them."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from fiat_jax.data.rendering import join_rationales
from fiat_jax.data.tasks import Task
from fiat_jax.data.unlabelled import encode_input
from fiat_jax.decoding import log_likelihoods
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.parallel import fetch, put_batch
from fiat_jax.reasoning.search import Candidate, Row
from fiat_jax.reasoning.search.candidates import Worked
from fiat_jax.reasoning.search.wording import TUNING
from fiat_jax.study.answering import buckets_of
from fiat_jax.study.engineering.short_runs import ShortRuns
from fiat_jax.study.experiment import Experiment, assemble


class LikelihoodScorer:
    """How likely a model finds the targets under an instruction; see `Scorer`.

    A score is the mean log-probability of a target's tokens, its end among them, in nats. The model is the
    base as it is, or tuned for a few steps under each instruction.

    Args:
      experiment: the base, the task, and the variant: 'instruction', or 'fiat' with rationales.
      batch_size: rows at a time; changes no score.
      rows: all that will be scored; an instruction with which one of them does not fit is not tried.
      short: how to tune under each instruction; None for the base as it is.

    Raises:
      ConfigError: the variant has no instruction.
      ConfigError, DataError: as `assemble`.
    """

    reader, calls = TUNING, False

    def __init__(
        self, experiment: Experiment, batch_size: int, rows: Sequence[Row], short: ShortRuns | None = None
    ) -> None:
        if experiment.variant == "plain":
            raise ConfigError(
                "Experiment.variant: expected 'instruction' or 'fiat', whose inputs have an instruction to "
                "search, found 'plain'."
            )
        self._experiment, self._batch_size, self._rows = experiment, batch_size, rows
        self._tokens = experiment.task.tokens()
        self._rationales = dict.fromkeys((row["id"] for row in rows), "")
        if experiment.variant == "fiat":
            texts = join_rationales(experiment.task, rows)
            self._rationales = {row["id"]: text for row, text in zip(rows, texts, strict=True)}
        self._targets = {row["id"]: self._target(row) for row in rows}
        self._network = assemble(experiment, seed=0)
        self._short = short
        with jax.set_mesh(self._network.mesh):
            self._weights = self._network.merged(self._network.learned)

    def finished(self, instruction: str) -> str:
        """On one line, since line breaks are nothing to most vocabularies."""
        return " ".join(instruction.split())

    def unfit(self, candidate: Candidate) -> str:
        """Words that the vocabulary cannot write, or too many of them."""
        task = self.task_of(candidate)
        try:
            task.template.check(self._tokens)
            self._inputs(task, self._rows)
        except (ConfigError, DataError) as error:
            return str(error)
        return ""

    def task_of(self, candidate: Candidate) -> Task:
        """The task with a candidate's instruction."""
        task = self._experiment.task
        return replace(task, template=replace(task.template, instruction=candidate.instruction))

    def scores(self, candidate: Candidate, rows: Sequence[Row]) -> list[float]:
        """The mean log-probability of each row's target tokens."""
        task = self.task_of(candidate)
        weights, network = self._weights, self._network
        if self._short is not None:
            weights = self._short.weights(candidate.name, task, network)
        inputs, targets = self._inputs(task, rows), [self._targets[row["id"]] for row in rows]
        order, found = np.argsort([-len(ids) for ids in inputs], kind="stable"), np.zeros(len(rows))
        width = max(map(len, self._targets.values()))
        with jax.set_mesh(network.mesh):
            for start in range(0, len(rows), self._batch_size):
                real = order[start : start + self._batch_size]
                filled = np.resize(real, self._batch_size)
                longest = len(inputs[filled[0]])
                bucket = next(size for size in buckets_of(task) if size >= longest)
                batch = {
                    "inputs": self._padded([inputs[at] for at in filled], bucket),
                    "targets": self._padded([targets[at] for at in filled], width),
                }
                put = put_batch(batch, network.mesh)
                sums, counts = log_likelihoods(network.answering, weights, put["inputs"], put["targets"])
                found[real] = (fetch(sums) / fetch(counts))[: len(real)]
        return found.tolist()

    def work(self, candidate: Candidate, rows: Sequence[Row]) -> list[Worked]:
        """Nothing: an instruction has no exemplars."""
        return []

    def _inputs(self, task: Task, rows: Sequence[Row]) -> list[np.ndarray]:
        variant = self._experiment.variant
        return [
            encode_input(task, self._tokens, variant, row, self._rationales[row["id"]])[0] for row in rows
        ]

    def _target(self, row: Row) -> np.ndarray:
        target = self._experiment.task.target(row)
        return np.array([*self._tokens.encode(target), self._tokens.eos_id], np.int32)

    def _padded(self, rows: Sequence[np.ndarray], width: int) -> np.ndarray:
        padded = np.full((len(rows), width), self._tokens.pad_id, np.int32)
        for at, ids in enumerate(rows):
            padded[at, : len(ids)] = ids
        return padded
