"""The reasoning prompt: an instruction, exemplars and the example's input, and never its label."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.errors import DataError
from fiat_jax.reasoning.calls import Message, Request
from fiat_jax.records import fill, read_jsonl, template_fields

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exemplar:
    """One worked example of the prompt: its input as the model reads it, and a rationale for it."""

    input: str
    rationale: str
    id: str | None = None


@dataclass(frozen=True)
class Prompt:
    """What the large model is asked about an example.

    Attributes:
      input: a template over the example's fields, such as 'Title: {title}\\nQuestion: {question}'.
      instruction: what to do; text, not a template.
      exemplars: a JSONL file, or the rows themselves, with the fields of `input`, a 'rationale' and, where
        they come from the training split, their 'id'.
    """

    input: str
    instruction: str = ""
    exemplars: str | tuple[Mapping[str, Any], ...] = ()

    def worked(self, forbidden: Iterable[str] = ()) -> tuple[Exemplar, ...]:
        """Reads the exemplars.

        Args:
          forbidden: the fields that hold the label.

        Raises:
          DataError: the template reads a forbidden field or a rationale, or a row lacks a field.
        """
        fields = template_fields(self.input)
        for name in (*forbidden, "rationale"):
            if name in fields:
                raise DataError(
                    f"reasoning prompt {self.input!r}: expected no field that gives the answer away, "
                    f"found {name!r}; remove it, a rationale is written without knowing the label."
                )
        if not isinstance(self.exemplars, str):
            return tuple(self._exemplar(row) for row in self.exemplars)
        rows = tuple(self._exemplar(row) for row in read_jsonl(self.exemplars, (*fields, "rationale")))
        if not rows:
            raise DataError(f"{self.exemplars}: expected at least one exemplar, found none.")
        return rows

    def messages(self, exemplars: Iterable[Exemplar], text: str) -> tuple[Message, ...]:
        """The chat: the instruction, each exemplar as a turn and its reply, then the input."""
        turns = [("system", self.instruction)] if self.instruction else []
        for exemplar in exemplars:
            turns += [("user", exemplar.input), ("assistant", exemplar.rationale)]
        turns.append(("user", text))
        return tuple({"role": role, "content": content} for role, content in turns)

    def requests(
        self, examples: Iterable[Mapping[str, Any]], exemplars: tuple[Exemplar, ...], split: str
    ) -> Iterator[Request]:
        """Asks about each example of a split.

        An exemplar that is itself a training example is left out of its own request; outside the training
        split it is a leak.

        Raises:
          DataError: an exemplar is an example of a split other than 'train', or an example lacks a field.
        """
        left_out = 0
        for example in examples:
            id = str(example["id"])
            text = _fill(f"example {id!r}", self.input, example)
            others = tuple(each for each in exemplars if each.id != id and each.input != text)
            if len(others) < len(exemplars) and split != "train":
                raise DataError(
                    f"exemplars: expected examples of the training split only, found example {id!r} of "
                    f"{split!r}, which would see its own answer; take it out."
                )
            left_out += len(others) < len(exemplars)
            yield Request(id, self.messages(others, text))
        if left_out:
            _log.info("%d examples of %s are exemplars too and do not see themselves", left_out, split)

    def _exemplar(self, row: Mapping[str, Any]) -> Exemplar:
        id = str(row["id"]) if "id" in row else None
        name = f"exemplar {id!r}" if id else "an exemplar"
        rationale = _fill(name, "{rationale}", row)
        if not rationale.strip():
            raise DataError(f"{name}: expected text as 'rationale', found {row['rationale']!r}.")
        return Exemplar(_fill(name, self.input, row), rationale, id)


def _fill(name: str, template: str, fields: Mapping[str, Any]) -> str:
    """Fills a template; an error says whose fields they are."""
    try:
        return fill(template, fields)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
