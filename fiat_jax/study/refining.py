"""Better rationales of those there are: voted for, shortened, and kept where they are right."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat_jax.data.metrics import normalize
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import Client
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.quality import Judged, lines, summarise
from fiat_jax.reasoning.shortening import Shorten, shorten
from fiat_jax.reasoning.store import Store, export_jsonl
from fiat_jax.reasoning.voting import Vote, vote
from fiat_jax.study.rationale_quality import Judge


@dataclass(frozen=True)
class KeepRight:
    """Which rationales of the training split are kept: those whose answer the label bears out.

    Attributes:
      metric: one of the scores of the task's metric.
      least: the score that an answer must have, 0 to 100.
    """

    metric: str = "em"
    least: float = 100.0

    def right(self, judged: Judged) -> bool:
        """Whether a rationale is kept.

        Raises:
          ConfigError: there is no such score.
        """
        if self.metric not in judged.scores:
            known = ", ".join(judged.scores)
            raise ConfigError(f"KeepRight.metric: expected one of {known}, found {self.metric!r}.")
        return judged.answer is not None and judged.scores[self.metric] >= self.least


@dataclass(frozen=True)
class Asking:
    """Whom rationales are asked of.

    Attributes:
      prompt: what is asked.
      client: the large model.
      store: where its answers are kept.
      concurrency: calls at a time.
    """

    prompt: Prompt
    client: Client
    store: Store
    concurrency: int = 8


class Refinement:
    """The rationales of some splits, step after step, with the effect of each.

    Args:
      judge: of the task.
      splits: which.
      rationales: to begin with, by example id.
    """

    def __init__(self, judge: Judge, splits: Sequence[str], rationales: Mapping[str, str]) -> None:
        self._judge = judge
        self._rows: dict[str, list[Mapping[str, Any]]] = {
            split: list(judge.task.rows(split)) for split in splits
        }
        ids = {row["id"] for rows in self._rows.values() for row in rows}
        self._rationales = {id: text for id, text in rationales.items() if id in ids}
        self._effects: list[tuple[str, Mapping[str, str]]] = []
        self.notes: list[str] = []
        if self._rationales:
            self._note("before")

    @property
    def task(self) -> Task:
        """Whose rationales they are."""
        return self._judge.task

    def vote(self, settings: Vote, asking: Asking) -> None:
        """Asks for several of each example anew, and takes one by vote."""
        voted = vote(
            self._rows,
            asking.prompt,
            asking.client,
            asking.store,
            settings,
            alike=normalize,
            forbidden=self.task.labels(),
            concurrency=asking.concurrency,
        )
        self._rationales = {id: one.rationale for id, one in voted.items()}
        share = sum(one.votes / one.samples for one in voted.values()) / len(voted)
        without = sum(not one.votes for one in voted.values())
        self.notes.append(
            f"vote: {100 * share:.1f} % of the samples have the answer that won; "
            f"{without} examples have no answer in any"
        )
        self._note("vote")

    def shorten(self, settings: Shorten, asking: Asking) -> None:
        """Asks again for those that are too long."""
        shortened = shorten(
            self._rows,
            self._rationales,
            asking.prompt,
            asking.client,
            asking.store,
            settings,
            length=lambda text: self._judge.size(text)[0],
            alike=normalize,
            forbidden=self.task.labels(),
            concurrency=asking.concurrency,
        )
        self._rationales = shortened.rationales
        left = shortened.left
        ids = f" ({', '.join(left[:10])}{', ...' * (len(left) > 10)})" if left else ""
        self.notes.append(
            f"shorten: {shortened.asked} were longer than {settings.tokens} tokens, "
            f"{len(left)} still are{ids}"
        )
        self._note("shorten")

    def keep(self, settings: KeepRight) -> None:
        """Lets those of the training split go whose answer is not the label."""
        gone = [
            one.written.id
            for one in self._judged("train")
            if one.written.rationale and not settings.right(one)
        ]
        for id in gone:
            del self._rationales[id]
        self.notes.append(
            f"keep: {len(gone)} training examples lose a rationale that is not right; "
            "Task.without_rationale says what becomes of them"
        )
        self._note("keep")

    def write(self, path: Path) -> None:
        """Writes the rationales as JSONL."""
        export_jsonl(self._rationales, path)
        examples = sum(map(len, self._rows.values()))
        self.notes.append(f"{path}: rationales of {len(self._rationales)} of {examples} examples")

    def text(self) -> str:
        """The effect of each step, as a table, and the notes."""
        names, rows = zip(*self._effects, strict=True)
        return "\n".join([*lines(rows, names), "", *self.notes])

    def _judged(self, split: str) -> Iterator[Judged]:
        for row in self._rows[split]:
            yield self._judge.one(split, row, self._rationales.get(row["id"], ""), None)

    def _note(self, step: str) -> None:
        for split in self._rows:
            self._effects.append((f"{step}, {split}", summarise(list(self._judged(split))).cells()))
