"""Templates: what the tuned model reads of an example, and how a long one is made to fit.

The input of a variant:

- plain: the template's `input`, filled with the example's fields;
- instruction: the tuning instruction, then that;
- fiat: the tuning instruction, then that with the rationale, joined as `rationale` says;
- distillation: as instruction. Training reads each example a second time as 'explanation' has it: another
  instruction, then the input; and the rationale is what the model writes.

What is too long loses words from the ends of the fields that may be cut, and of nothing else: the instruction
and the question are always whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from fiat_jax.data.templates.fitting import RATIONALE, Filling, Fitted, budgeted, losses, shortened
from fiat_jax.data.templates.instructions import check_instructions, choose
from fiat_jax.data.templates.verbalisers import check_verbaliser, folded
from fiat_jax.data.vocabularies import Tokens
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.records import fill, template_fields

Variant = Literal["plain", "instruction", "fiat", "distillation"]
VARIANTS: tuple[Variant, ...] = ("plain", "instruction", "fiat", "distillation")

Reading = Literal[Variant, "explanation"]
"""What may be read of an example: by a variant, or beside its labels by distillation."""


@dataclass(frozen=True)
class Template:
    """How an example becomes text.

    Attributes:
      input: over the fields of a row.
      target: over the fields of a row; {answer} is its first answer, whatever that field is called.
      instruction: the tuning instruction; text, not a template.
      instructions: several by language, in the place of `instruction`; '' is for all languages without their
        own.
      choice: which of several: the 'first', or 'mixed', which each example's id decides.
      rationale: over {input} and {rationale}: how the two are joined.
      rationale_tokens: how long a rationale may be; a longer one ends after its last sentence that fits, or
        where not even the first does, after a word. None for any length.
      cut: the field of `input` that is shortened to fit, from its end at a word, or several: one is shortened
        when nothing is left of those before it. 'rationale' is the rationale, which ends as
        `rationale_tokens` has it. '' for none.
      explanation: the instruction to write the rationale, for distillation; text, not a template.
      verbaliser: what the model writes for each label; {} for the label itself.
      no_answer: what the model writes where the answer is null, empty text or an empty list; None: such a
        row is an error.
    """

    input: str = "question: {question} title: {title} context: {context}"
    target: str = "{answer}"
    instruction: str = (
        "Answer the question with a short span of the context. "
        "The question may be in another language than the context."
    )
    instructions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    choice: Literal["first", "mixed"] = "first"
    rationale: str = "reasoning: {rationale} {input}"
    rationale_tokens: int | None = None
    cut: str | tuple[str, ...] = "context"
    explanation: str = (
        "Explain how the context answers the question. "
        "The question may be in another language than the context."
    )
    verbaliser: dict[str, str] = field(default_factory=dict)
    no_answer: str | None = None

    def __post_init__(self) -> None:
        template_fields(self.target)
        check_instructions(
            self.instruction, Template.instruction, self.instructions, self.choice, self.explanation
        )
        if set(template_fields(self.rationale)) != {"input", "rationale"}:
            raise ConfigError(
                "Template.rationale: expected a template over {input} and {rationale}, "
                f"found {self.rationale!r}."
            )
        if self.rationale_tokens is not None and self.rationale_tokens < 1:
            raise ConfigError(
                f"Template.rationale_tokens: expected 1 or more, or None, found {self.rationale_tokens}."
            )
        self._check_cut()
        check_verbaliser(self.verbaliser, self.no_answer, self.target)

    @property
    def cuttable(self) -> tuple[str, ...]:
        """What may be cut, in the order in which it is."""
        names = (self.cut,) if isinstance(self.cut, str) else self.cut
        return tuple(name for name in names if name)

    @property
    def passage(self) -> str:
        """The field of the input that is cut first; '' for none."""
        return next((name for name in self.cuttable if name != RATIONALE), "")

    def instruction_of(self, id: str, language: str) -> str:
        """The tuning instruction of an example; follows from the two alone."""
        texts = self.instructions.get(language) or self.instructions.get("") or (self.instruction,)
        return choose(texts, self.choice, id)

    def compose(self, reading: Reading, filling: Filling) -> str:
        """The whole input of a reading; white space in the rationale is collapsed, and none is not joined."""
        text = fill(self.input, filling.fields)
        if reading == "fiat" and filling.rationale:
            text = fill(self.rationale, {"input": text, "rationale": " ".join(filling.rationale.split())})
        before = self._before(reading, filling)
        return f"{before} {text}" if before else text

    def fit(self, reading: Reading, filling: Filling, tokens: Tokens, length: int, name: str) -> Fitted:
        """The input of a reading within a number of tokens, its end among them.

        Args:
          reading: which input.
          filling: of the example.
          tokens: what counts.
          length: how many tokens there may be.
          name: the example, for messages.

        Raises:
          DataError: what must not be cut alone is too long.
        """
        whole = text = self.compose(reading, filling)
        needed = _length(tokens, text)
        if needed <= length and self.rationale_tokens is None:
            return Fitted(text, whole, {})
        filling = filling._replace(rationale=" ".join(filling.rationale.split()) if reading == "fiat" else "")
        fitted = filling
        if self.rationale_tokens is not None:
            fitted = budgeted(filling, lambda part: len(tokens.encode(part)), self.rationale_tokens)
        if fitted is not filling:
            text = self.compose(reading, fitted)
            needed = _length(tokens, text)
        if needed > length:
            fitted, fits = shortened(
                fitted, self.cuttable, lambda one: _length(tokens, self.compose(reading, one)) <= length
            )
            if not fits:
                raise self._too_long(reading, fitted, tokens, length, name)
            text = self.compose(reading, fitted)
        return Fitted(text, whole, losses(filling, fitted, dict.fromkeys((*self.cuttable, RATIONALE))))

    def check(self, tokens: Tokens, explained: bool = False) -> None:
        """Checks that the words of the template itself survive a vocabulary.

        Args:
          tokens: the vocabulary.
          explained: whether the explanation is read too, as in distillation.

        Raises:
          ConfigError: some come back changed, as line breaks and braces do from T5's.
        """
        literals = list(self._literals())
        for name, literal in literals + [("explanation", self.explanation)] * explained:
            ids = tokens.encode(literal.strip(" "))
            back = tokens.decode(ids)
            if tokens.unk_id in ids or back != literal.strip(" "):
                raise ConfigError(
                    f"Template.{name}: expected words that the vocabulary can write, but "
                    f"{literal.strip(' ')!r} comes back as {back!r}; write it with plain letters, marks and "
                    "single spaces."
                )

    def knows(self, answer: str) -> bool:
        """Whether an answer is one that the verbaliser has a text for."""
        return not self.verbaliser or answer in self.verbaliser or answer == self.no_answer

    def write(self, answer: str) -> str:
        """What the model writes for an answer: its text in the verbaliser, or else itself."""
        return self.verbaliser.get(answer, answer)

    def read(self, written: str) -> str:
        """The label that is written so, whatever the case and white space; any other text stays as it is."""
        return self._labels.get(folded(written), written)

    @cached_property
    def _labels(self) -> dict[str, str]:
        """The labels by what is written for them."""
        return {folded(text): label for label, text in self.verbaliser.items()}

    def _before(self, reading: Reading, filling: Filling) -> str:
        """The instruction that a reading begins with."""
        if reading == "plain":
            return ""
        if reading == "explanation":
            return self.explanation
        return self.instruction_of(filling.id, filling.language)

    def _too_long(
        self, reading: Reading, filling: Filling, tokens: Tokens, length: int, name: str
    ) -> DataError:
        """What is said of an example of which nothing is left that may be cut."""
        needed, before, rationale = (
            _length(tokens, text)
            for text in (self.compose(reading, filling), self._before(reading, filling), filling.rationale)
        )
        cuttable = " and ".join(self.cuttable) or "nothing"
        return DataError(
            f"{name}: expected the input without what may be cut ({cuttable}) to fit {length} tokens, found "
            f"{needed}, of which instruction {before - 1} and rationale {rationale - 1}; raise "
            "Task.inputs_length or shorten them."
        )

    def _literals(self) -> Iterator[tuple[str, str]]:
        """The template's own words, and where they stand."""
        yield "instruction", self.instruction
        for texts in self.instructions.values():
            yield from (("instructions", text) for text in texts)
        for name in ("input", "target", "rationale"):
            template = getattr(self, name)
            holes = dict.fromkeys(template_fields(template), "\0")
            yield from ((name, literal) for literal in fill(template, holes).split("\0"))
        yield from (("verbaliser", text) for text in self.verbaliser.values())
        yield "no_answer", self.no_answer or ""

    def _check_cut(self) -> None:
        fields = template_fields(self.input)
        for name in self.cuttable:
            if name not in (*fields, RATIONALE):
                raise ConfigError(
                    f"Template.cut: expected a field of the input {self.input!r}, 'rationale', or '' to cut "
                    f"nothing, found {name!r}."
                )
        if len(set(self.cuttable)) < len(self.cuttable):
            raise ConfigError(f"Template.cut: expected each field once, found {', '.join(self.cuttable)}.")
        if RATIONALE in self.cuttable and RATIONALE in fields:
            raise ConfigError(
                "Template.cut: expected 'rationale' to be the rationale, but the input has a field of that "
                "name; call the field otherwise."
            )


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
