"""Reasoning prompts scored by the answers that the large model's rationales end in."""

from collections.abc import Sequence
from dataclasses import replace

from fiat_jax.data.metrics import load_metrics, own_score, score_each, single_scores
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning import Prompt
from fiat_jax.reasoning.parsing import parse
from fiat_jax.reasoning.search import Candidate, Ledger, Row
from fiat_jax.reasoning.search.candidates import Worked
from fiat_jax.reasoning.search.wording import REASONING


class AnswerScorer:
    """How well the large model answers under a prompt; see `Scorer`.

    Args:
      task: its answers and its metrics.
      prompt: the start, whose input template every candidate has.
      ledger: the calls.
      score: which of the scores that the metrics give an example, such as 'f1' or 'em'; None for the first.

    Raises:
      ConfigError: there is no such score, or a metric needs a package that is not here.
    """

    reader, calls = REASONING, True

    def __init__(self, task: Task, prompt: Prompt, ledger: Ledger, score: str | None) -> None:
        load_metrics(task.metrics)
        known, first = single_scores(task.metrics), own_score(task.metrics)
        score = score or first
        if score not in known:
            raise ConfigError(f"engineer.score: expected one of {', '.join(known)}, found {score!r}.")
        self._task, self._prompt, self._ledger = task, prompt, ledger
        self._score_name, self._forbidden = score, task.labels()

    def finished(self, instruction: str) -> str:
        """With a closing sentence about the marker, where it says nothing of it."""
        marker = self._prompt.marker
        if not instruction or marker.rstrip(":").casefold() in instruction.casefold():
            return instruction
        return f'{instruction} End with "{marker}" and the answer.'

    def unfit(self, candidate: Candidate) -> str:
        """Nothing is."""
        return ""

    def prompt_of(self, candidate: Candidate) -> Prompt:
        """The prompt that a candidate is."""
        prompt = replace(self._prompt, instruction=candidate.instruction)
        return prompt if candidate.exemplars is None else replace(prompt, exemplars=candidate.exemplars)

    def scores(self, candidate: Candidate, rows: Sequence[Row]) -> list[float]:
        """The score of each row's answer, 0 to 1.

        Raises:
          DataError: a row is an exemplar of the candidate.
        """
        exemplars = self.prompt_of(candidate).worked(self._forbidden)
        if leaked := {each.id for each in exemplars if each.id} & {str(row["id"]) for row in rows}:
            raise DataError(
                f"{candidate.name}: expected exemplars that nothing is scored on, found {sorted(leaked)}."
            )
        return [one.score for one in self.work(candidate, rows)]

    def work(self, candidate: Candidate, rows: Sequence[Row]) -> list[Worked]:
        """What the large model writes about rows, and how its answers score."""
        prompt = self.prompt_of(candidate)
        requests = prompt.requests(rows, prompt.worked(self._forbidden), "train")
        named = [replace(one, id=f"{candidate.name}/{one.id}") for one in requests]
        texts = [reply.text for reply in self._ledger.ask(named)]
        return [Worked(row, text, self._score(row, text)) for row, text in zip(rows, texts, strict=True)]

    def _score(self, row: Row, text: str) -> float:
        answer = self._task.read(parse(text, self._prompt.marker).answer or "")
        scores = score_each(self._task.metrics, self._task.answers(row), answer, row["language"])
        return scores[self._score_name] / 100
