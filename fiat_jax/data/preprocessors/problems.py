"""Questions that need steps: GSM8K, MGSM, StrategyQA, and FLAN's tables of chains of thought."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.data.preprocessors.base import Misfit, text, texts, truth

_CALCULATION = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True)
class Gsm8k:
    """GSM8K: a question, and an answer that is a solution with marked calculations, then '####' and a number.

    Gives: question, answer (the number, without thousands separators), explanation (the solution).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        solution, mark, number = text(fields, "answer").partition("####")
        if not mark:
            raise Misfit(f"expected '####' and a number in field 'answer', found {solution!r}")
        yield {
            "question": text(fields, "question"),
            "answer": _plain_number(number),
            "explanation": _CALCULATION.sub("", solution).strip(),
        }


@dataclass(frozen=True)
class Mgsm:
    """MGSM: question and number in TSV files, or with the number as 'answer_number' in parquet.

    Gives: question, answer (without thousands separators).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        number = text(fields, "answer_number" if "answer_number" in fields else "answer")
        yield {"question": text(fields, "question"), "answer": _plain_number(number)}


@dataclass(frozen=True)
class StrategyQa:
    """StrategyQA's JSON: a question, whether it is so, the facts that decide, and the questions behind it.

    Gives: id, question, answer ('yes' or 'no'), explanation (the facts, by a human), decomposition.
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        yield {
            "id": text(fields, "qid"),
            "question": text(fields, "question"),
            "answer": "yes" if truth(fields, "answer") else "no",
            "explanation": " ".join(texts(fields, "facts")),
            "decomposition": " ".join(texts(fields, "decomposition")),
        }


@dataclass(frozen=True)
class CotTable:
    r"""A table of chains of thought as FLAN has them: question, answer, rationale; line breaks stand as '\n'.

    Gives: question, answer, explanation (the rationale, by a human).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        names = {"question": "question", "answer": "answer", "explanation": "rationale"}
        yield {name: text(fields, theirs).replace("\\n", "\n") for name, theirs in names.items()}


def _plain_number(number: str) -> str:
    return number.strip().replace(",", "")
