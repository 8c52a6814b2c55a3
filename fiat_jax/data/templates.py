"""Templates: what the tuned model reads of an example, and how a long one is made to fit.

The input of a variant:

- plain: the template's `input`, filled with the example's fields;
- instruction: the tuning instruction, then that;
- fiat: the tuning instruction, then that with the rationale, joined as `rationale` says;
- distillation: as instruction. Training reads each example a second time as 'explanation' has it: another
  instruction, then the input; and the rationale is what the model writes.

One field, the passage, is cut where the whole would be too long. The instruction, the question and the
rationale never are.
"""

import bisect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fiat_jax.data.vocabularies import Tokens
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.records import fill, template_fields

Variant = Literal["plain", "instruction", "fiat", "distillation"]
VARIANTS: tuple[Variant, ...] = ("plain", "instruction", "fiat", "distillation")

Reading = Literal[Variant, "explanation"]
"""What may be read of an example: by a variant, or beside its labels by distillation."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Han characters
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


@dataclass(frozen=True)
class Template:
    """How an example becomes text.

    Attributes:
      input: over the fields of a row.
      target: over the fields of a row; {answer} is its first answer, whatever that field is called.
      instruction: the tuning instruction; text, not a template.
      rationale: over {input} and {rationale}: how the two are joined.
      cut: the field of `input` that is shortened to fit, from its end at a word; '' for none.
      explanation: the instruction to write the rationale, for distillation; text, not a template.
    """

    input: str = "question: {question} title: {title} context: {context}"
    target: str = "{answer}"
    instruction: str = (
        "Answer the question with a short span of the context. "
        "The question may be in another language than the context."
    )
    rationale: str = "reasoning: {rationale} {input}"
    cut: str = "context"
    explanation: str = (
        "Explain how the context answers the question. "
        "The question may be in another language than the context."
    )

    def __post_init__(self) -> None:
        template_fields(self.target)
        if self.explanation == self.instruction:
            raise ConfigError(
                "Template.explanation: expected another text than the instruction, by which the two tasks of "
                f"distillation are told apart, found {self.explanation!r} for both."
            )
        if set(template_fields(self.rationale)) != {"input", "rationale"}:
            raise ConfigError(
                "Template.rationale: expected a template over {input} and {rationale}, "
                f"found {self.rationale!r}."
            )
        if self.cut and self.cut not in template_fields(self.input):
            raise ConfigError(
                f"Template.cut: expected a field of the input {self.input!r}, or '' to cut nothing, "
                f"found {self.cut!r}."
            )

    def compose(self, reading: Reading, fields: Mapping[str, Any], rationale: str = "") -> str:
        """The whole input of a reading; white space in the rationale is collapsed, and none is not joined."""
        text = fill(self.input, fields)
        if reading == "fiat" and rationale:
            text = fill(self.rationale, {"input": text, "rationale": " ".join(rationale.split())})
        before = self._before(reading)
        return f"{before} {text}" if before else text

    def fit(
        self,
        reading: Reading,
        fields: Mapping[str, Any],
        rationale: str,
        tokens: Tokens,
        length: int,
        name: str,
    ) -> tuple[str, bool]:
        """The input of a reading within a number of tokens, its end among them.

        Args:
          reading: which input.
          fields: the example's, as text.
          rationale: the reasoner's, for the fiat variant.
          tokens: what counts.
          length: how many tokens there may be.
          name: the example, for messages.

        Returns:
          The text, and whether it was cut.

        Raises:
          DataError: what must not be cut alone is too long.
        """
        text = self.compose(reading, fields, rationale)
        if _length(tokens, text) <= length:
            return text, False
        passage = fields[self.cut] if self.cut else ""
        ends = [0, *(word.end() for word in _WORD.finditer(passage))]

        def shortened(end: int) -> str:
            return self.compose(reading, {**fields, self.cut: passage[:end]}, rationale)

        fitting = bisect.bisect_right(ends, False, key=lambda end: _length(tokens, shortened(end)) > length)
        if not fitting:
            needed = _length(tokens, shortened(0))
            raise DataError(
                f"{name}: expected the input without what may be cut ({self.cut or 'nothing'}) to fit "
                f"{length} tokens, found {needed}, of which instruction "
                f"{_length(tokens, self._before(reading)) - 1} and rationale "
                f"{_length(tokens, rationale) - 1}; raise Task.inputs_length or shorten them."
            )
        return shortened(ends[fitting - 1]), True

    def check(self, tokens: Tokens, explained: bool = False) -> None:
        """Checks that the words of the templates themselves survive a vocabulary.

        Args:
          tokens: the vocabulary.
          explained: whether the explanation is read too, as in distillation.

        Raises:
          ConfigError: some come back changed, as line breaks and braces do from T5's.
        """
        literals = list(self._literals())
        for name, literal in literals + [("explanation", self.explanation.strip(" "))] * explained:
            ids = tokens.encode(literal)
            back = tokens.decode(ids)
            if tokens.unk_id in ids or back != literal:
                raise ConfigError(
                    f"Template.{name}: expected words that the vocabulary can write, but {literal!r} comes "
                    f"back as {back!r}; write it with plain letters, marks and single spaces."
                )

    def _before(self, reading: Reading) -> str:
        """The instruction that a reading begins with."""
        return {"plain": "", "explanation": self.explanation}.get(reading, self.instruction)

    def _literals(self) -> Iterator[tuple[str, str]]:
        yield "instruction", self.instruction.strip(" ")
        for name in ("input", "target", "rationale"):
            template = getattr(self, name)
            holes = dict.fromkeys(template_fields(template), "\0")
            for literal in fill(template, holes).split("\0"):
                yield name, literal.strip(" ")


def check_target(text: str, tokens: Tokens, length: int, name: str) -> None:
    """Checks that a target, which is never cut, is within a number of tokens, its end among them.

    Raises:
      DataError: it is longer.
    """
    if (needed := _length(tokens, text)) > length:
        raise DataError(
            f"{name}: expected a target of at most {length} tokens, found {needed} in {text!r}; "
            "raise Task.targets_length."
        )


def _length(tokens: Tokens, text: str) -> int:
    """Tokens of a text and its end."""
    return len(tokens.encode(text)) + 1
