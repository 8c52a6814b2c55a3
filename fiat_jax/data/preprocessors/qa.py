"""Questions on passages: SQuAD and what has its format, TyDi QA, XTREME-UP and AfriQA."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.data.preprocessors.base import Misfit, objects, text, texts

_TYDIQA = {
    "arabic": "ar",
    "bengali": "bn",
    "english": "en",
    "finnish": "fi",
    "indonesian": "id",
    "korean": "ko",
    "russian": "ru",
    "swahili": "sw",
    "telugu": "te",
}


@dataclass(frozen=True)
class Squad:
    """SQuAD's format: articles with paragraphs and their questions in JSON, one question a row elsewhere.

    SQuAD, XQuAD and MLQA have it in their JSON files (`Json.under = 'data'`), and in parquet and TFDS.
    Gives: id, title, context, question, answer (all good ones; none where there is no answer).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The questions of an article, or the one of a row; see `Preprocessor`."""
        if "paragraphs" not in fields:
            yield _question(fields, fields, texts(fields, "answers.text"))
            return
        for paragraph in objects(fields, "paragraphs"):
            for question in objects(paragraph, "qas"):
                answers = [text(answer, "text") for answer in objects(question, "answers")]
                yield _question(question, {"title": "", **fields, **paragraph}, answers)


@dataclass(frozen=True)
class TydiqaGoldp:
    """TyDi QA's gold passages: SQuAD's format, with ids such as 'finnish-123-4' that tell the language.

    Gives: id, language (as two letters), title, context, question, answer.
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The questions of an article, or the one of a row; see `Preprocessor`."""
        for row in Squad().rows(fields):
            language = _TYDIQA.get(row["id"].split("-")[0])
            if language is None:
                raise Misfit(
                    f"expected an id that begins with a language, as 'finnish-', found {row['id']!r}"
                )
            yield {**row, "language": language}


@dataclass(frozen=True)
class XtremeUp:
    """XTREME-UP's QA, across languages or within one: JSON lines of question, title, context and target.

    Gives: title, context, question, answer ('No Answer' where the passage has none).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        names = {"title": "title", "context": "context", "question": "question", "answer": "target"}
        yield {name: text(fields, theirs) for name, theirs in names.items()}


@dataclass(frozen=True)
class AfriqaGold:
    """AfriQA's gold passages: JSON lines with a question in an African language and its answer in English.

    The ids of its files begin anew in each file, and are not used.
    Gives: title, context, question, answer.
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        yield {
            "title": text(fields, "title"),
            "context": text(fields, "context"),
            "question": text(fields, "question_lang"),
            "answer": _once(texts(fields, "answer_pivot.text")),
        }


def _question(question: Mapping[str, Any], passage: Mapping[str, Any], answers: list[str]) -> dict[str, Any]:
    return {
        "id": text(question, "id"),
        "title": text(passage, "title"),
        "context": text(passage, "context"),
        "question": text(question, "question"),
        "answer": _once(answers),
    }


def _once(answers: list[str]) -> list[str]:
    return list(dict.fromkeys(answers))
