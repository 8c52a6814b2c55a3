"""What rows are about, from their fields' names and contents; what is given is not guessed."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fiat_jax.data.intake.files import Rows, is_empty
from fiat_jax.errors import DataError, did_you_mean

Kind = Literal["extractive", "classification", "numeric", "generation"]

_ANSWERS = (
    *("answer", "answers", "answers_text", "target", "targets", "label", "labels", "output", "outputs"),
    *("response", "completion", "gold", "gold_answer", "reference", "summary", "translation", "class"),
    "category",
)
_IDS = ("id", "_id", "uid", "guid", "qid", "question_id", "example_id")
_LANGUAGES = ("language", "lang", "language_code", "lang_code", "locale", "query_language")
_INPUTS = (
    *("instruction", "prompt", "question", "query", "claim", "premise", "hypothesis", "sentence"),
    *("sentence1", "sentence2", "choices", "options", "title", "input", "source", "text", "review"),
    *("passage", "context", "article", "document"),
)
_NOT_READ = re.compile(
    r"answer|rational|reason|explan|thought|^cot$|label|split|url|score|^column_\d+$", re.IGNORECASE
)

_MOST_LABELS = 20
_SPANS = 0.8
"""The share of answers that stand in a field from which an extractive task answers."""


@dataclass(frozen=True)
class Guesses:
    """What a task's rows are about.

    Attributes:
      id_field: other in nearly each row; None where no field is.
      answer_field: what the model writes.
      input_fields: what it reads, in order.
      cut: of these the one that is shortened, the longest; '' for none.
      language_field: None where rows are of one language.
      languages: rows of each.
      kind: of task.
      labels: of a classification, all there are.
      said: what was seen, a line a guess, and what to give for another.
    """

    id_field: str | None
    answer_field: str
    input_fields: tuple[str, ...]
    cut: str
    language_field: str | None
    languages: dict[str, int]
    kind: Kind
    labels: tuple[str, ...]
    said: tuple[str, ...]


def guess(
    rows: Rows,
    *,
    answer_field: str | None = None,
    input_fields: Sequence[str] = (),
    id_field: str | None = None,
    language_field: str | None = None,
    kind: Kind | None = None,
) -> Guesses:
    """Guesses what is not given.

    Raises:
      DataError: a field that is given is not there, or no field can be the answer, or none the input.
    """
    fields = tuple(dict.fromkeys(name for row in rows for name in row))
    given = [name for name in (answer_field, id_field, language_field, *input_fields) if name]
    for name in given:
        if name not in fields:
            raise DataError(f"expected a field {name!r} in the rows; {did_you_mean(name, fields)}")
    said: list[str] = []
    rest = [one for one in fields if one not in given and one.lower() not in (*_IDS, *_LANGUAGES)]
    answer = answer_field or _answer(rows, rest, said)
    id_field = id_field or _named(_IDS, fields, lambda name: _is_id(rows, name))
    language = language_field or _named(_LANGUAGES, fields, lambda name: _is_language(rows, name))
    others = [name for name in fields if name not in (answer, id_field, language)]
    inputs = tuple(input_fields) or _inputs(rows, others, answer, said)
    answered = [row for row in rows if not is_empty(row.get(answer))]
    if not answered:
        raise DataError(f"expected answers in {answer!r}, found none; name it: --answer_field")
    cut = max(inputs, key=lambda name: sum(len(str(row.get(name) or "")) for row in rows))
    kind, labels = _kind(answered, answer, cut, kind, said)
    languages = Counter(str(row.get(language) or "") for row in rows) if language else Counter()
    if language and not language_field:
        said.append(f"the language is in {language!r} ({_listed(languages)}); another: --language_field NAME")
    return Guesses(
        id_field, answer, inputs, cut, language, dict(sorted(languages.items())), kind, labels, tuple(said)
    )


def texts_of(row: dict[str, Any], field: str) -> list[str]:
    """What a field of a row holds, as texts; an answer may be several."""
    value = row.get(field)
    return [str(one).strip() for one in (value if isinstance(value, list) else [value]) if not is_empty(one)]


def _answer(rows: Rows, fields: Sequence[str], said: list[str]) -> str:
    answer = _named(_ANSWERS, fields, lambda name: any(not is_empty(row.get(name)) for row in rows))
    if answer is None and len(fields) < 2:
        raise DataError(f"expected an answer and an input, found {', '.join(fields) or 'neither'}.")
    why = "by its name" if answer else "the last field"
    said.append(f"the answer is in {answer or fields[-1]!r}, {why}; another: --answer_field NAME")
    return answer or fields[-1]


def _inputs(rows: Rows, fields: Sequence[str], answer: str, said: list[str]) -> tuple[str, ...]:
    lower = {name.lower(): name for name in fields}
    named = [lower[name] for name in _INPUTS if name in lower]
    usable = [name for name in named or fields if name in named or not _NOT_READ.search(name)]
    inputs = tuple(name for name in usable if _is_input(rows, name, answer, bool(named)))
    left = [name for name in fields if name not in inputs]
    if not inputs:
        raise DataError(
            f"expected fields for the input beside {answer!r}, found {', '.join(left) or 'none'}; "
            "name them: --input_fields NAME,NAME"
        )
    unread = f", and not {', '.join(left)}" if left else ""
    said.append(f"the model reads {', '.join(inputs)}{unread}; others: --input_fields NAME,NAME")
    return inputs


def _is_input(rows: Rows, name: str, answer: str, named: bool) -> bool:
    """Whether a field can be read: it has text, and neither is the answer again nor numbers the rows."""
    values = [row.get(name) for row in rows if not is_empty(row.get(name))]
    if not values or any(isinstance(one, dict) for one in values):
        return False
    again = sum(texts_of(row, name) == texts_of(row, answer) for row in rows)
    numbers = not named and len(set(map(str, values))) == len(rows) and all(map(_number, map(str, values)))
    return again < 0.9 * len(rows) and not numbers


def _kind(
    rows: Rows, answer: str, cut: str, kind: Kind | None, said: list[str]
) -> tuple[Kind, tuple[str, ...]]:
    answers = [texts_of(row, answer) for row in rows]
    distinct = Counter(one for some in answers for one in some)
    spans = sum(
        any(_stands_in(one, str(row.get(cut))) for one in some)
        for row, some in zip(rows, answers, strict=True)
    )
    spans_share, numbers = spans / len(rows), sum(_number(one) for one in distinct) / len(distinct)
    few = len(distinct) <= min(_MOST_LABELS, len(rows) // 5) and max(map(len, distinct)) <= 40
    if kind is None:
        kind = (
            "classification"
            if few and len(distinct) > 1
            else "extractive"
            if spans_share >= _SPANS
            else "numeric"
            if numbers >= 0.95
            else "generation"
        )
        saw = {
            "classification": f"{len(distinct)} different answers ({_listed(distinct)})",
            "extractive": f"{spans_share:.0%} of the answers stand in {cut!r}",
            "numeric": f"{numbers:.0%} of the answers are numbers",
            "generation": f"{len(distinct)} different answers, {spans_share:.0%} of which stand in {cut!r}",
        }
        said.append(f"{kind}: {saw[kind]}; another kind: --kind")
    return kind, tuple(sorted(distinct)) if kind == "classification" else ()


def _stands_in(answer: str, text: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(answer.lower())}(?!\w)", text.lower()))


def _number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[$€£]?\d[\d,. ]*%?", text))


def _is_id(rows: Rows, name: str) -> bool:
    """Whether a field differs in nearly all rows."""
    return len({str(row.get(name)) for row in rows}) >= 0.9 * len(rows)


def _is_language(rows: Rows, name: str) -> bool:
    """Whether a field has few values that look like languages, more than one of them."""
    values = {str(row.get(name) or "").strip() for row in rows}
    return 1 < len(values) <= max(2, len(rows) // 5) and all(
        re.fullmatch(r"[A-Za-z][\w -]{0,20}", one) for one in values
    )


def _named(known: Iterable[str], fields: Iterable[str], fits: Callable[[str], bool]) -> str | None:
    """The first field with one of some names, in any case, that fits."""
    lower = {name.lower(): name for name in fields}
    return next((lower[name] for name in known if name in lower and fits(lower[name])), None)


def _listed(counts: Counter[str], most: int = 6) -> str:
    shown = [f"{name} {count}" for name, count in counts.most_common(most)]
    return ", ".join([*shown, *["..."] * (len(counts) > most)])
