"""The worked examples of a prompt, and how one that should not be there is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fiat_jax.errors import DataError
from fiat_jax.reasoning.overlap import Sketch
from fiat_jax.records import fill, template_fields


@dataclass(frozen=True)
class Exemplar:
    """One worked example of the prompt.

    Attributes:
      input: as the model reads it.
      rationale: the whole reply to it.
      id: of the training example that it is; None where it is none.
      language: '' where it has none.
      fields: what the input is made of.
    """

    input: str
    rationale: str
    id: str | None = None
    language: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @cached_property
    def sketch(self) -> Sketch:
        """What tells examples that are nearly this one."""
        return Sketch(dict(self.fields))


def leak(id: str, split: str, exemplar: Exemplar, shared: float | None) -> DataError:
    """The error that says which exemplar is which example of a split, or nearly is."""
    which = f"exemplar {exemplar.id!r}" if exemplar.id else f"the exemplar {exemplar.input[:60]!r}"
    how, mend = "is by its id", "take it out"
    if shared is not None:
        how, mend = f"repeats to {100 * shared:.0f} %", f"{mend}, or raise Prompt.alike if they are two"
    return DataError(
        f"exemplars: expected examples of the training split only, found example {id!r} of {split!r}, which "
        f"{which} {how}, and which would so see its own answer; {mend}."
    )


def fill_named(name: str, template: str, fields: Mapping[str, Any]) -> str:
    """Fills a template; an error says whose fields they are."""
    try:
        return fill(template, fields)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def values(name: str, template: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a template as text."""
    return {field: fill_named(name, f"{{{field}}}", fields) for field in template_fields(template)}
