"""Better rationales of those there are: voted for, written from the label, shortened, kept where right."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat_jax.data.metrics.text import normalize
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import Client
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.quality import Judged, lines, summarise
from fiat_jax.reasoning.rationalising import rationalise
from fiat_jax.reasoning.shortening import Shorten, shorten
from fiat_jax.reasoning.store import Store, export_jsonl
from fiat_jax.reasoning.voting import Vote, vote
from fiat_jax.study.rationale_quality import Judge


@dataclass(frozen=True)
class KeepRight:
    """Which rationales of the training split are kept: those whose answer the label bears out.

    Attributes:
      score: one of the scores that the task's metrics give an example; None for 'em' where there is one, and
        else the first.
      least: what an answer must score, 0 to 100.
    """

    score: str | None = None
    least: float = 100.0

    def right(self, judged: Judged) -> bool:
        """Whether a rationale is kept.

        Raises:
          ConfigError: there is no such score.
        """
        known = judged.scores
        name = self.score or ("em" if "em" in known else next(iter(known), ""))
        if name not in known:
            raise ConfigError(
                f"KeepRight.score: expected one of the scores that Task.metrics gives each example, "
                f"{', '.join(known) or 'which are none'}, found {self.score!r}."
            )
        return judged.answer is not None and known[name] >= self.least


@dataclass(frozen=True)
class Rationalise:
    """Training examples whose rationale is wrong get one that is written from the label.

    A task with such rationales may be tuned on, and refuses to be evaluated.

    Attributes:
      right: which rationales are right, those there are and the new ones.
    """

    right: KeepRight = KeepRight()


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
      marked: the ids of those that were written from the label.
    """

    def __init__(
        self,
        judge: Judge,
        splits: Sequence[str],
        rationales: Mapping[str, str],
        marked: Collection[str] = frozenset(),
    ) -> None:
        self._judge = judge
        self._rows: dict[str, list[Mapping[str, Any]]] = {
            split: list(judge.task.rows(split)) for split in splits
        }
        ids = {row["id"] for rows in self._rows.values() for row in rows}
        self._rationales = {id: text for id, text in rationales.items() if id in ids}
        self._marked = ids & set(marked)
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
        self._rationales, self._marked = {id: one.rationale for id, one in voted.items()}, set()
        share = sum(one.votes / one.samples for one in voted.values()) / len(voted)
        without = sum(not one.votes for one in voted.values())
        self.notes.append(
            f"vote: {100 * share:.1f} % of the samples have the answer that won; "
            f"{without} examples have no answer in any"
        )
        self._note("vote")

    def rationalise(self, settings: Rationalise, asking: Asking) -> None:
        """Asks again, with the label as a hint, where a training example's rationale is not right."""
        right = settings.right.right
        wrong = {one.written.id for one in self._judged("train") if one.written.rationale and not right(one)}
        rows = [row for row in self._rows["train"] if row["id"] in wrong]
        written = rationalise(
            rows,
            {row["id"]: self.task.answers(row)[0] for row in rows},
            asking.prompt,
            asking.client,
            asking.store,
            forbidden=self.task.labels(),
            concurrency=asking.concurrency,
        )
        judged = (self._judge.one("train", row, written[row["id"]], None) for row in rows)
        kept = {one.written.id for one in judged if right(one)}
        self._rationales |= {id: written[id] for id in kept}
        self._marked |= kept
        self.notes.append(
            f"rationalise: {len(kept)} of {len(wrong)} training examples whose rationale is not right have "
            "one that is written from the label; a task with these refuses to be evaluated"
        )
        self._note("rationalise")

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
            gives_label=bool(self._marked),
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
        export_jsonl(self._rationales, path, self._marked)
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
