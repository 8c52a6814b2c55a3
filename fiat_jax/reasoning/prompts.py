"""The reasoning prompt: an instruction, exemplars and the example's input, and never its label.

It is set field by field, or read from a file (see `prompt_files`), of which single fields may be set anew.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning.calls import Message, Request
from fiat_jax.reasoning.exemplars import Exemplar, fill_named, leak, values
from fiat_jax.reasoning.overlap import Sketch, overlap
from fiat_jax.reasoning.prompt_files import read_prompt
from fiat_jax.records import read_jsonl, template_fields

MARKER = "The answer is:"
CUE = "Reasoning:"
STOP = "###"

_POLICY = {
    "English": "Write the reasoning in English, whatever language the input is in.",
    "input": "Write the reasoning in the language of the question.",
}

Row = TypeVar("Row", bound=Mapping[str, Any])

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompt:
    """What the large model is asked about an example.

    Attributes:
      input: a template over the example's fields, such as 'Title: {title}\\nQuestion: {question}'.
      instruction: what to do; text, not a template.
      exemplars: a JSONL file, or the rows themselves, with the fields of `input`, a 'rationale' and, where
        they come from the training split, their 'id'.
      file: a prompt file, by its path or the name of one that comes with the package; what is set beside it
        stands in the place of what it says.
      form: 'chat', where each exemplar is a turn and its reply, or 'completion', where all is one text.
      reason_in: 'English' or 'input', the language of the question: a sentence of the instruction asks for
        it; '' for none.
      exemplars_in: which exemplars an example sees: 'mixed' all, 'same' those in its own language (or else
        in the pivot, if there is one), 'pivot' those in the pivot; '' is what the file says, or else 'mixed'.
      pivot: a language.
      marker: what comes before the answer; '' is what the file says, or else 'The answer is:'.
      cue: what comes before the rationale in a completion; '' as above, or else 'Reasoning:'.
      stop: what stands between the parts of a completion and ends the reply; '' as above, or else '###'.
      alike: how much of an exemplar an example must have in common with it to be taken for the same, 0 to 1.
    """

    input: str = ""
    instruction: str = ""
    exemplars: str | tuple[Mapping[str, Any], ...] = ()
    file: str | None = None
    form: Literal["chat", "completion"] = "chat"
    reason_in: Literal["", "English", "input"] = ""
    exemplars_in: Literal["", "mixed", "same", "pivot"] = ""
    pivot: str = ""
    marker: str = ""
    cue: str = ""
    stop: str = ""
    alike: float = 0.8

    def __post_init__(self) -> None:
        said = read_prompt(self.file) if self.file else {}
        usual = {"exemplars_in": "mixed", "marker": MARKER, "cue": CUE, "stop": STOP}
        for name in (field.name for field in fields(self)):
            if not getattr(self, name) and (value := said.get(name) or usual.get(name)):
                object.__setattr__(self, name, value)
        if not self.input:
            raise ConfigError("Prompt: expected an input or a file, found neither; set one of the two.")
        if self.exemplars_in == "pivot" and not self.pivot:
            raise ConfigError("Prompt.pivot: expected the language of the exemplars to show, found none.")
        if not 0 < self.alike <= 1:
            raise ConfigError(f"Prompt.alike: expected a share above 0 and up to 1, found {self.alike}.")

    def worked(self, forbidden: Iterable[str] = ()) -> tuple[Exemplar, ...]:
        """Reads the exemplars.

        Args:
          forbidden: the fields that hold the label.

        Raises:
          DataError: the template reads a forbidden field or a rationale, or a row lacks a field.
        """
        names = template_fields(self.input)
        for name in (*forbidden, "rationale"):
            if name in names:
                raise DataError(
                    f"reasoning prompt {self.input!r}: expected no field that gives the answer away, "
                    f"found {name!r}; remove it, a rationale is written without knowing the label."
                )
        if not isinstance(self.exemplars, str):
            return tuple(self._exemplar(row) for row in self.exemplars)
        rows = tuple(self._exemplar(row) for row in read_jsonl(self.exemplars, (*names, "rationale")))
        if not rows:
            raise DataError(f"{self.exemplars}: expected at least one exemplar, found none.")
        return rows

    def reads(self) -> tuple[str, ...]:
        """The fields of an example that its request depends on, beside its id."""
        language = ["language"] if self.exemplars_in == "same" else []
        return tuple(dict.fromkeys([*template_fields(self.input), *language]))

    def messages(self, exemplars: Iterable[Exemplar], text: str) -> tuple[Message, ...]:
        """All that is sent: a chat of instruction, exemplars and input, or one turn with all of them."""
        instruction = " ".join(filter(None, (self.instruction, _POLICY.get(self.reason_in))))
        if self.form == "completion":
            parts = [instruction] if instruction else []
            parts += [f"{one.input}\n{self.cue} {one.rationale}" for one in exemplars]
            whole = f"\n\n{self.stop}\n\n".join([*parts, f"{text}\n{self.cue}"])
            return ({"role": "user", "content": whole},)
        turns = [("system", instruction)] if instruction else []
        for exemplar in exemplars:
            turns += [("user", exemplar.input), ("assistant", exemplar.rationale)]
        turns.append(("user", text))
        return tuple({"role": role, "content": content} for role, content in turns)

    def template(self, exemplars: Iterable[Exemplar]) -> Request:
        """The prompt itself as a request, with its input template in the example's place.

        Two prompts that differ in what they ask about any example differ in this.
        """
        rule = f"\n[exemplars: {self.exemplars_in} {self.pivot}]" if self.exemplars_in != "mixed" else ""
        return self._request("", exemplars, self.input + rule)

    def requests(
        self, examples: Iterable[Mapping[str, Any]], exemplars: tuple[Exemplar, ...], split: str
    ) -> Iterator[Request]:
        """Asks about each example of a split.

        An exemplar that is itself a training example, or nearly is one, is left out of that one's request;
        outside the training split it is a leak.

        Raises:
          DataError: an exemplar is, or nearly is, an example of a split other than 'train', an example lacks
            a field, or there is no exemplar in its language.
        """
        left_out = 0
        for example in examples:
            id = str(example["id"])
            text = fill_named(f"example {id!r}", self.input, example)
            twins = self.twins(example, exemplars)
            if twins and split != "train":
                raise leak(id, split, *twins[0])
            left_out += bool(twins)
            own = [twin for twin, _ in twins]
            shown = (one for one in self._shown(exemplars, example) if one not in own)
            yield self._request(id, shown, text)
        if left_out:
            _log.info("%d examples of %s are exemplars too and do not see themselves", left_out, split)

    def twins(
        self, example: Mapping[str, Any], exemplars: Iterable[Exemplar]
    ) -> list[tuple[Exemplar, float | None]]:
        """The exemplars that an example is or nearly is: each with the overlap, or None where the id is one.

        Raises:
          DataError: the example lacks a field of the input.
        """
        found: list[tuple[Exemplar, float | None]] = []
        id, sketch = str(example["id"]), Sketch(values(f"example {example['id']!r}", self.input, example))
        for exemplar in exemplars:
            if exemplar.id == id:
                found.append((exemplar, None))
            elif (shared := overlap(exemplar.sketch, sketch, self.alike)) >= self.alike:
                found.append((exemplar, shared))
        return found

    def apart(self, examples: Iterable[Row], exemplars: tuple[Exemplar, ...], split: str) -> Iterator[Row]:
        """The examples of a split that are no exemplars; in the training split, those that are are left out.

        Raises:
          DataError: an exemplar is, or nearly is, an example of another split, or one lacks a field.
        """
        left_out = []
        for example in examples:
            twins = self.twins(example, exemplars)
            if not twins:
                yield example
            elif split != "train":
                raise leak(str(example["id"]), split, *twins[0])
            else:
                left_out.append(str(example["id"]))
        if left_out:
            shown = ", ".join(left_out[:10]) + (", ..." if len(left_out) > 10 else "")
            _log.info("%d examples of %s are exemplars and tune nothing: %s", len(left_out), split, shown)

    def _request(self, id: str, exemplars: Iterable[Exemplar], text: str) -> Request:
        stop = (self.stop,) if self.form == "completion" else ()
        return Request(id, self.messages(exemplars, text), stop)

    def _shown(self, exemplars: tuple[Exemplar, ...], example: Mapping[str, Any]) -> tuple[Exemplar, ...]:
        """The exemplars that an example sees, by the rule on languages."""
        if self.exemplars_in == "mixed":
            return exemplars
        language = str(example.get("language") or "") if self.exemplars_in == "same" else self.pivot
        chosen = [one for one in exemplars if one.language == language]
        if not chosen and self.pivot:
            chosen = [one for one in exemplars if one.language == self.pivot]
        if exemplars and not chosen:
            known = ", ".join(dict.fromkeys(one.language or "no language" for one in exemplars))
            raise DataError(
                f"example {str(example['id'])!r}: expected exemplars in its language {language!r}, found "
                f"only {known}; add some, or set Prompt.pivot, or Prompt.exemplars_in = 'mixed'."
            )
        return tuple(chosen)

    def _exemplar(self, row: Mapping[str, Any]) -> Exemplar:
        """An exemplar of a row; one of a prompt file has its fields apart, and its answer is put to it."""
        id = str(row["id"]) if "id" in row else None
        name = f"exemplar {id!r}" if id else "an exemplar"
        apart, language = isinstance(row.get("fields"), Mapping), str(row.get("language") or "")
        foreign = apart and self.reason_in == "input" and language not in ("", "en")
        key = "own_rationale" if foreign else "rationale"
        rationale = fill_named(f"{name} in {language}" if foreign else name, f"{{{key}}}", row)
        if not rationale.strip():
            raise DataError(f"{name}: expected text as {key!r}, found {row[key]!r}.")
        if apart:
            rationale = f"{rationale.strip()} {self.marker} {row['answer']}"
        given = row["fields"] if apart else row
        return Exemplar(
            fill_named(name, self.input, given),
            rationale,
            id,
            language,
            tuple(values(name, self.input, given).items()),
        )
