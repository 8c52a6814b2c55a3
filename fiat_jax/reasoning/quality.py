"""What rationales are worth, each and together: answers, length, what the passage and the label say.

Labels come in only here, after all is written, and only for the training split; no request sees them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fiat_jax.reasoning.overlap import plain
from fiat_jax.reasoning.parsing import parse

Metric = Callable[[Sequence[str], str, str], Mapping[str, float]]
"""Scores by name, 0 to 100, of an example's good answers, its prediction and its language."""

Size = Callable[[str], tuple[int, int]]
"""Tokens of a text in the tuned model's vocabulary, and how many of them are unknown."""


@dataclass(frozen=True)
class Written:
    """A rationale and what it was written about.

    Attributes:
      id, language: the example's.
      rationale: '' where there is none.
      passage: where its answer should stand; None where there is none.
      answers: the good answers; None where they must not be known.
      cut: whether it ends at the token limit; None where nobody knows.
    """

    id: str
    language: str
    rationale: str
    passage: str | None = None
    answers: tuple[str, ...] | None = None
    cut: bool | None = None


@dataclass(frozen=True)
class Judged:
    """A rationale, judged.

    Attributes:
      written: the rationale.
      answer: None where it gives none.
      repaired: whether the answer was not given as it was asked for.
      tokens, unknown: in the tuned model's vocabulary, and how many of those are unknown.
      in_passage: whether the passage holds the answer; None without answer or passage.
      scores: of the answer against the good ones; empty where they are not known.
    """

    written: Written
    answer: str | None
    repaired: bool
    tokens: int
    unknown: int
    in_passage: bool | None
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Quality:
    """Some rationales together.

    Attributes:
      examples: how many there should be.
      empty: examples without one.
      answered, repaired: rationales that give an answer, and those of which it had to be repaired.
      placed, in_passage: answers that a passage could hold, and those that it does hold.
      cut: rationales that end at the token limit; None where nobody knows.
      mean_tokens, most_tokens: of a rationale.
      tokens, unknown: of all.
      scores: means over the rationales; one without an answer is wrong. Empty where labels are not known.
    """

    examples: int
    empty: int
    answered: int
    repaired: int
    placed: int
    in_passage: int
    cut: int | None
    mean_tokens: float
    most_tokens: int
    tokens: int
    unknown: int
    scores: Mapping[str, float]

    @property
    def written(self) -> int:
        """How many rationales there are."""
        return self.examples - self.empty

    def cells(self) -> dict[str, str]:
        """What a table shows, by the names of its columns."""
        return {
            "n": str(self.examples),
            "empty": str(self.empty),
            "answer %": _share(self.answered, self.written),
            "repaired %": _share(self.repaired, self.answered),
            "in passage %": _share(self.in_passage, self.placed),
            **{name.upper(): f"{score:.1f}" for name, score in self.scores.items()},
            "tokens": f"{self.mean_tokens:.1f}",
            "most": str(self.most_tokens),
            "unk %": _share(self.unknown, self.tokens),
            "cut": "-" if self.cut is None else str(self.cut),
        }


def judge(written: Written, marker: str, size: Size, metric: Metric) -> Judged:
    """Judges a rationale.

    Args:
      written: the rationale.
      marker: what should come before its answer.
      size: its length in the tuned model's vocabulary.
      metric: the task's.
    """
    parsed = parse(written.rationale, marker)
    tokens, unknown = size(written.rationale)
    known = written.passage is not None and parsed.answer is not None
    return Judged(
        written,
        parsed.answer,
        parsed.repaired,
        tokens,
        unknown,
        holds(written.passage or "", parsed.answer or "") if known else None,
        {} if written.answers is None else metric(written.answers, parsed.answer or "", written.language),
    )


def summarise(judged: Sequence[Judged]) -> Quality:
    """All of some rationales in numbers; there must be one."""
    there = [one for one in judged if one.written.rationale]
    placed = [one.in_passage for one in there if one.in_passage is not None]
    cut = [one.written.cut for one in there if one.written.cut is not None]
    names = judged[0].scores
    tokens = sum(one.tokens for one in there)
    return Quality(
        examples=len(judged),
        empty=len(judged) - len(there),
        answered=sum(one.answer is not None for one in there),
        repaired=sum(one.repaired for one in there),
        placed=len(placed),
        in_passage=sum(placed),
        cut=sum(cut) if cut else None,
        mean_tokens=tokens / max(len(there), 1),
        most_tokens=max((one.tokens for one in there), default=0),
        tokens=tokens,
        unknown=sum(one.unknown for one in there),
        scores={name: sum(one.scores[name] for one in there) / max(len(there), 1) for name in names},
    )


def by_language(judged: Sequence[Judged]) -> dict[str, Quality]:
    """The quality of each language, and under 'all' of all of them."""
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(one.written.language, []).append(one)
    named = {language: summarise(group) for language, group in groups.items() if language}
    return (named if len(named) > 1 else {}) | {"all": summarise(judged)}


def holds(passage: str, answer: str) -> bool:
    """Whether a passage holds an answer, as whole words; case, marks and white space do not count."""
    text, wanted = plain(passage), plain(answer)
    if not wanted.isascii():  # in some scripts words are not apart
        return wanted in text
    return f" {wanted} " in f" {text} "


def lines(rows: Iterable[Mapping[str, str]], names: Sequence[str]) -> list[str]:
    """A table in plain text: a head, then a line a row; numbers to the right.

    Args:
      rows: cells by column, of the same columns each.
      names: what the rows are called.
    """
    table = [dict(row) for row in rows]
    columns = list(dict.fromkeys(column for row in table for column in row))
    widths = {c: max(len(c), *(len(row.get(c, "")) for row in table)) for c in columns}
    first = max(map(len, names))
    head = " " * first + "".join(f"  {column:>{widths[column]}}" for column in columns)
    body = [
        f"{name:<{first}}" + "".join(f"  {row.get(column, ''):>{widths[column]}}" for column in columns)
        for name, row in zip(names, table, strict=True)
    ]
    return [head, *body]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"
