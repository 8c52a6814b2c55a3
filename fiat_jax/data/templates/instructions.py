"""Which of several written instructions an example gets."""

import hashlib
from collections.abc import Mapping
from typing import Literal

from fiat_jax.errors import ConfigError

Choice = Literal["first", "mixed"]
Instructions = Mapping[str, tuple[str, ...]]
"""Texts by language; '' is for all languages without their own."""


def choose(texts: tuple[str, ...], choice: Choice, id: str) -> str:
    """The instruction of an example, by its id alone: the same in every process, in tuning and afterwards."""
    if choice == "first" or len(texts) == 1:
        return texts[0]
    digest = hashlib.sha256(f"instruction {id}".encode()).digest()
    return texts[int.from_bytes(digest[:8], "big") % len(texts)]


def check_instructions(
    instruction: str, usual: str, instructions: Instructions, choice: Choice, explanation: str
) -> None:
    """Makes sure that the instructions of a template go together.

    Args:
      instruction: the one for all.
      usual: what that is by default.
      instructions, choice, explanation: as in `Template`.

    Raises:
      ConfigError: they do not; one would never be read, or there is nothing to choose from.
    """
    if isinstance(wrong := next((one for one in instructions.values() if not one), None), tuple):
        raise ConfigError(
            f"Template.instructions: expected one text or more for each language, found {wrong} in "
            f"{dict(instructions)}."
        )
    if "" in instructions and instruction != usual:
        raise ConfigError(
            "Template.instruction: expected none beside Template.instructions for '', which stand in its "
            f"place, found {instruction!r}; leave one of them out."
        )
    if choice == "mixed" and all(len(texts) < 2 for texts in instructions.values()):
        raise ConfigError(
            "Template.choice: expected Template.instructions with several texts of a language to be mixed, "
            f"found {dict(instructions)}."
        )
    if explanation in (instruction, *(text for texts in instructions.values() for text in texts)):
        raise ConfigError(
            "Template.explanation: expected another text than the instruction, by which the two tasks of "
            f"distillation are told apart, found {explanation!r} for both."
        )
