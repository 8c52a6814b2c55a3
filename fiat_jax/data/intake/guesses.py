"""What rows are about, from their fields' names and contents; what is given is not guessed."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fiat_jax.data.intake.files import Rows, is_empty
from fiat_jax.data.intake.kinds import Kind, is_number, kind_of, labels_of, listed, texts_of
from fiat_jax.errors import DataError, did_you_mean

_ANSWERS = (
    *("answer", "answers", "answers_text", "answer_text", "target", "targets", "label", "labels"),
    *("output", "outputs", "response", "completion", "gold", "gold_answer", "reference", "summary"),
    *("translation", "class", "category"),
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


@dataclass(frozen=True)
class Guesses:
    """What a task's rows are about.

    Attributes:
      id_field: other in nearly each row; None where no field is.
      answer_field: what the model writes.
      input_fields: what it reads, in order.
      cut: of these the one that is shortened, the longest; '' for none.
      language_field: None where rows are of one language.
      kind: of task.
      labels: of a classification, all there are.
      said: what was seen, a line a guess, and what to give for another.
    """

    id_field: str | None
    answer_field: str
    input_fields: tuple[str, ...]
    cut: str
    language_field: str | None
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
    if language and not language_field:
        languages = listed(Counter(str(row.get(language) or "none") for row in rows))
        said.append(f"the language is in {language!r} ({languages}); another: --language_field NAME")
    if kind is None:
        kind, why = kind_of(answered, answer, cut)
        said.append(f"{kind}: {why}; another kind: --kind")
    return Guesses(
        id_field, answer, inputs, cut, language, kind, labels_of(answered, answer, kind), tuple(said)
    )


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
    """Whether a field can be read: it differs, and neither is the answer again nor numbers the rows."""
    values = [row.get(name) for row in rows if not is_empty(row.get(name))]
    distinct = set(map(str, values))
    if any(isinstance(one, dict) for one in values) or len(distinct) < min(2, len(rows)):
        return False
    again = sum(texts_of(row, name) == texts_of(row, answer) for row in rows)
    numbers = not named and len(distinct) == len(rows) and all(map(is_number, distinct))
    return again < 0.9 * len(rows) and not numbers


def _is_id(rows: Rows, name: str) -> bool:
    """Whether a field differs in nearly all rows."""
    return len({str(row.get(name)) for row in rows}) >= 0.9 * len(rows)


def _is_language(rows: Rows, name: str) -> bool:
    """Whether a field has few values that look like languages, more than one of them."""
    values = {str(row[name]).strip() for row in rows if not is_empty(row.get(name))}
    few = 1 < len(values) <= max(2, len(rows) // 5)
    return few and all(re.fullmatch(r"[A-Za-z][\w -]{0,20}", one) for one in values)


def _named(known: Iterable[str], fields: Iterable[str], fits: Callable[[str], bool]) -> str | None:
    """The first field with one of some names, in any case, that fits."""
    lower = {name.lower(): name for name in fields}
    return next((lower[name] for name in known if name in lower and fits(lower[name])), None)
