"""One of several options: CommonsenseQA, ECQA and AQuA."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.data.preprocessors.base import Misfit, find, objects, text, texts

_LETTERS = "ABCDE"


@dataclass(frozen=True)
class CommonsenseQa:
    """CommonsenseQA, as its JSON lines have it, or as parquet does, where the choices are two lists.

    Gives: id, question, choices (their texts, with commas between), answer (the text of the right one).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        if isinstance(find(fields, "question"), Mapping):
            question, choices = text(fields, "question.stem"), objects(fields, "question.choices")
            by_letter = {text(choice, "label"): text(choice, "text") for choice in choices}
        else:
            question = text(fields, "question")
            letters, options = texts(fields, "choices.label"), texts(fields, "choices.text")
            by_letter = dict(zip(letters, options, strict=False))
        right = text(fields, "answerKey")
        if right not in by_letter:
            raise Misfit(f"expected one of {', '.join(by_letter)} in field 'answerKey', found {right!r}")
        yield {
            "id": text(fields, "id"),
            "question": question,
            "choices": ", ".join(by_letter.values()),
            "answer": by_letter[right],
        }


@dataclass(frozen=True)
class Ecqa:
    """ECQA joined with CommonsenseQA, as the CSV files that its own script makes.

    Gives: id, question, choices, answer, as CommonsenseQA; explanation (a human's).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        yield {
            "id": text(fields, "q_no"),
            "question": text(fields, "q_text"),
            "choices": ", ".join(text(fields, f"q_op{number}") for number in range(1, 6)),
            "answer": text(fields, "q_ans"),
            "explanation": text(fields, "taskB"),
        }


@dataclass(frozen=True)
class Aqua:
    """AQuA: JSON lines of question, options such as 'A)125', rationale and the letter of the right one.

    Gives: question, options (as 'A) 125 B) 150'), answer (the letter), explanation (a human's).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        options = texts(fields, "options")
        if any(option[1:2] != ")" for option in options):
            raise Misfit(f"expected options such as 'A)125' in field 'options', found {options!r}")
        right = text(fields, "correct")
        if right not in _LETTERS[: len(options)]:
            raise Misfit(f"expected the letter of an option in field 'correct', found {right!r}")
        yield {
            "question": text(fields, "question"),
            "options": " ".join(f"{option[0]}) {option[2:].strip()}" for option in options),
            "answer": right,
            "explanation": text(fields, "rationale"),
        }
