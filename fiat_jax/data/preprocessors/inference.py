"""Whether a text follows from another: XOR-AttriQA and e-SNLI."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fiat_jax.data.preprocessors.base import Misfit, find, text, truth

_ESNLI = ("entailment", "neutral", "contradiction")


@dataclass(frozen=True)
class XorAttriqa:
    """XOR-AttriQA: JSON lines with a question, a passage, a prediction, and whether the passage supports it.

    Gives: language, query, passage, prediction, answer ('true' or 'false').

    Attributes:
      passage: which of the two passages of a row is read: 'retrieved' is the one in the language that it was
        retrieved in, as the paper has it, the others are those in the question's language and in English,
        whichever of them is the translation.
    """

    passage: Literal["retrieved", "in_language", "in_english"] = "retrieved"

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        retrieved_in = text(fields, "passage_retrieved_language")
        english = self.passage == "in_english" or (self.passage == "retrieved" and retrieved_in == "en")
        yield {
            "language": text(fields, "query_language"),
            "query": text(fields, "query"),
            "passage": text(fields, "passage_en" if english else "passage_in_language"),
            "prediction": text(fields, "prediction"),
            "answer": "true" if truth(fields, "ais") else "false",
        }


@dataclass(frozen=True)
class Esnli:
    """e-SNLI, as its CSV files have it, or as parquet and TFDS do, where labels are numbers.

    Gives: id (in CSV), premise, hypothesis, answer, explanation (a human's; the first where there are three).
    """

    def rows(self, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The one row; see `Preprocessor`."""
        if "premise" in fields:
            yield self._row(fields, "premise", "hypothesis", "explanation_1", self._named(fields))
        else:
            label = text(fields, "gold_label")
            row = self._row(fields, "Sentence1", "Sentence2", "Explanation_1", label)
            yield {"id": text(fields, "pairID"), **row}

    def _row(
        self, fields: Mapping[str, Any], premise: str, hypothesis: str, why: str, label: str
    ) -> dict[str, Any]:
        return {
            "premise": text(fields, premise),
            "hypothesis": text(fields, hypothesis),
            "answer": label,
            "explanation": text(fields, why),
        }

    def _named(self, fields: Mapping[str, Any]) -> str:
        label = find(fields, "label")
        if label not in range(len(_ESNLI)):
            raise Misfit(f"expected 0, 1 or 2 in field 'label', found {label!r}")
        return _ESNLI[label]
