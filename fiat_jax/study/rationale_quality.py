"""The rationales of a task, judged and reported: as text, as JSON and as a page."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from fiat_jax.data.metrics import load_metrics, score_each
from fiat_jax.data.metrics.metric import Answers
from fiat_jax.data.tasks import Task
from fiat_jax.errors import DataError
from fiat_jax.reasoning.quality import Judged, Quality, Written, by_language, judge, lines
from fiat_jax.reasoning.store import cut_at_limit, given_label, open_rationales
from fiat_jax.records import fill, write_whole
from fiat_jax.study.page import table, write_page

_KINDS: Mapping[str, Callable[[Judged], bool]] = {
    "no rationale": lambda one: not one.written.rationale,
    "no answer": lambda one: bool(one.written.rationale) and one.answer is None,
    "answer is not in the passage": lambda one: one.in_passage is False,
    "answer scores 0 against the label": lambda one: one.answer is not None and _leading(one) == 0,
    "answer was repaired": lambda one: one.repaired,
    "any other": lambda one: True,
}
"""What samples are sorted by; one is shown under the first that it is."""


class Judge:
    """Judges the rationales of a task.

    Args:
      task: whose examples, vocabulary and metrics.
      marker: what should come before an answer.
      passage: the field where an answer should stand; None for the one that the template cuts, '' for none.

    Raises:
      ConfigError: the vocabulary does not load, or a metric needs a package that is not here.
    """

    def __init__(self, task: Task, marker: str, passage: str | None = None) -> None:
        self.task, self.marker = task, marker
        self._passage = task.template.passage if passage is None else passage
        self._tokens = task.tokens()
        load_metrics(task.metrics)

    def size(self, text: str) -> tuple[int, int]:
        """Tokens of a text, and how many of them are unknown."""
        ids = self._tokens.encode(text)
        return len(ids), sum(one == self._tokens.unk_id for one in ids)

    def split(
        self, split: str, rationales: Mapping[str, str], cut: set[tuple[str, str]] | None = None
    ) -> list[Judged]:
        """Judges a split; labels are known for 'train' only.

        Args:
          split: one of the task's.
          rationales: by example id.
          cut: the (id, rationale) that end at the token limit; None where nobody knows.

        Raises:
          DataError: a row lacks a field.
        """
        return [self.one(split, row, rationales.get(row["id"], ""), cut) for row in self.task.rows(split)]

    def one(
        self, split: str, row: Mapping[str, Any], rationale: str, cut: set[tuple[str, str]] | None
    ) -> Judged:
        """Judges the rationale of one row."""
        if self._passage and self._passage not in row:
            found = ", ".join(map(repr, row))
            raise DataError(
                f"example {row['id']!r}: expected the passage in a field {self._passage!r}, found {found}; "
                "name another one, or '' for none."
            )
        written = Written(
            id=row["id"],
            language=row["language"],
            rationale=rationale.strip(),
            passage=str(row[self._passage] or "") if self._passage else None,
            answers=self.task.answers(row) if split == "train" else None,
            cut=None if cut is None else (row["id"], rationale) in cut,
        )
        return judge(written, self.marker, self.size, self._score)

    def _score(self, answers: Answers, prediction: str, language: str) -> dict[str, float]:
        """As the task scores; the large model may have written labels as the tuned one writes them."""
        return score_each(self.task.metrics, answers, self.task.read(prediction), language)


@dataclass(frozen=True)
class QualityReport:
    """The rationales of a task in numbers.

    Attributes:
      task: its name.
      place: where the rationales lie.
      marker: what should come before an answer.
      splits: by split and language, 'all' among them.
      samples: some rationales of each kind, by split.
      given_label: how many at that place were written from the label.
    """

    task: str
    place: str
    marker: str
    splits: Mapping[str, Mapping[str, Quality]]
    samples: Mapping[str, Mapping[str, Sequence[Judged]]]
    given_label: int = 0

    def text(self) -> str:
        """For a terminal."""
        out = []
        for split, qualities in self.splits.items():
            table = lines([quality.cells() for quality in qualities.values()], list(qualities))
            out += [f"{self.place}, {split}", *table, ""]
            for kind, samples in self.samples[split].items():
                out.append(f"{split}, {kind}")
                out += [f"    {one.written.id}: {_said(one)}" for one in samples]
                out.append("")
        return "\n".join([*out, *self._warning()]).rstrip()

    def write_json(self, path: Path) -> None:
        """Writes all of it as JSON."""
        said = {
            "task": self.task,
            "rationales": self.place,
            "marker": self.marker,
            "given_label": self.given_label,
            "splits": {
                split: {name: asdict(quality) for name, quality in qualities.items()}
                for split, qualities in self.splits.items()
            },
            "samples": {
                split: {kind: [_row(one) for one in samples] for kind, samples in kinds.items()}
                for split, kinds in self.samples.items()
            },
        }
        write_whole(path, json.dumps(said, ensure_ascii=False, indent=1) + "\n")

    def write_html(self, path: Path) -> None:
        """Writes all of it as a page."""
        parts = [f"<p>{escape(self.place)}; an answer follows <code>{escape(self.marker)}</code></p>"]
        parts += [f"<p>{escape(line)}</p>" for line in self._warning()]
        for split, qualities in self.splits.items():
            cells = {name: quality.cells() for name, quality in qualities.items()}
            columns = list(cells["all"])
            body = [[name, *row.values()] for name, row in cells.items()]
            parts += [f"<h2>{escape(split)}</h2>", table(["", *columns], body, numbers=len(columns))]
            for kind, samples in self.samples[split].items():
                head = ["id", "rationale", "answer", *(["expected"] * (split == "train"))]
                shown = [
                    [
                        one.written.id,
                        one.written.rationale,
                        one.answer or "",
                        *([" | ".join(one.written.answers)] if one.written.answers is not None else []),
                    ]
                    for one in samples
                ]
                parts += [f"<h3>{escape(split)}: {escape(kind)}</h3>", table(head, shown)]
        write_page(path, f"Rationales of {self.task}", parts)

    def _warning(self) -> list[str]:
        if not self.given_label:
            return []
        return [
            f"{self.place}: {self.given_label} of them were written from the label, with which they then "
            "agree; a task with these refuses to be evaluated"
        ]


def report_quality(judge: Judge, place: str, splits: Sequence[str], samples: int) -> QualityReport:
    """Judges the rationales of some splits.

    Args:
      judge: of the task.
      place: a rationale store or JSONL file; may hold {language}.
      splits: which.
      samples: how many are shown of each kind and split.

    Raises:
      DataError: the place holds none, or a row is wrong.
    """
    rationales, cut, marked = read_places(judge.task, place)
    qualities, shown = {}, {}
    for split in splits:
        judged = judge.split(split, rationales, cut)
        qualities[split] = by_language(judged)
        shown[split] = _samples(judged, samples)
    return QualityReport(judge.task.name, place, judge.marker, qualities, shown, len(marked))


def read_places(task: Task, place: str) -> tuple[dict[str, str], set[tuple[str, str]] | None, set[str]]:
    """The rationales of all languages by id, what is cut, and the ids of those written from the label.

    See `cut_at_limit` and `given_label`.
    """
    rationales: dict[str, str] = {}
    cut: set[tuple[str, str]] | None = None
    marked: set[str] = set()
    for path in dict.fromkeys(fill(place, {"language": language}) for language in task.languages or ("",)):
        rationales |= open_rationales(path)
        marked |= given_label(path)
        known = cut_at_limit(path)
        if known is not None:
            cut = (cut or set()) | known
    return rationales, cut, marked


def _samples(judged: Sequence[Judged], count: int) -> dict[str, list[Judged]]:
    """Some of each kind, drawn once and for all."""
    sorted_in: dict[str, list[Judged]] = {kind: [] for kind in _KINDS}
    for one in judged:
        sorted_in[next(kind for kind, holds in _KINDS.items() if holds(one))].append(one)
    draw = random.Random(0)
    return {
        kind: draw.sample(found, min(count, len(found)))
        for kind, found in sorted_in.items()
        if found and count
    }


def _leading(one: Judged) -> float | None:
    """The first score of an answer; None where none is known."""
    return next(iter(one.scores.values()), None)


def _said(one: Judged) -> str:
    known = one.written.answers
    label = f"  [expected: {' | '.join(known)}]" if known is not None else ""
    return f"{' '.join(one.written.rationale.split()) or '(none)'}{label}"


def _row(one: Judged) -> dict[str, Any]:
    written = one.written
    return {
        "id": written.id,
        "language": written.language,
        "rationale": written.rationale,
        "answer": one.answer,
        "repaired": one.repaired,
        "tokens": one.tokens,
        **({"expected": written.answers} if written.answers is not None else {}),
    }
