"""How a large model is asked for instructions, and how its reply is read."""

import re
from collections.abc import Iterable, Sequence

from fiat_jax.reasoning.search.candidates import Demonstration

REASONING = (
    "a large language model that reads one such input, reasons about it in a few sentences, and then gives "
    "its answer"
)
"""Whom a reasoning instruction is for."""

TUNING = "a small model that reads the instruction and one such input, and writes the answer at once"
"""Whom a tuning instruction is for."""

_TAGGED = re.compile(r"<instruction>(.*?)(?:</?instruction>|$)", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(r"^\W*(?:new |improved )?instruction\W*:[\s*]*", re.IGNORECASE)
_REPLY = "Write the instruction alone, between <instruction> and </instruction>."


def from_demonstrations(demonstrations: Iterable[Demonstration], reader: str) -> str:
    """Asks for an instruction by which inputs would get their answers, as APE does.

    Args:
      demonstrations: what is shown.
      reader: whom the instruction is for.

    Source: Zhou et al., Large Language Models Are Human-Level Prompt Engineers; the words are ours.
    """
    return (
        f"These are inputs of a task, each with its right answer.\n\n{_shown(demonstrations)}\n\n"
        f"Find out what the task is, and write an instruction for {reader}. It must fit any input of the "
        f"task, and must not repeat these inputs or answers. {_REPLY}"
    )


def paraphrased(instruction: str, number: int, count: int) -> str:
    """Asks for another wording of an instruction, as APE's resampling does."""
    return (
        f"This instruction works well:\n\n{instruction}\n\n"
        f"Write variation {number} of {count}: the same meaning in other words. {_REPLY}"
    )


def from_history(
    scored: Sequence[tuple[str, float]], demonstrations: Iterable[Demonstration], reader: str
) -> str:
    """Asks for an instruction that is better than those tried, as OPRO does.

    Args:
      scored: instructions and their scores, in ascending order.
      demonstrations: what is shown of the task.
      reader: whom the instruction is for.

    Source: Yang et al., Large Language Models as Optimizers; the words are ours.
    """
    tried = "\n\n".join(f"Instruction: {text}\nScore: {score:.3f}" for text, score in scored)
    return (
        f"These are instructions for {reader}, and the score that each has reached, from the worst to the "
        f"best; higher is better.\n\n{tried}\n\n"
        f"These are inputs of the task, each with its right answer.\n\n{_shown(demonstrations)}\n\n"
        f"Write a new instruction that differs from all of these and will score higher. {_REPLY}"
    )


def read_instruction(reply: str) -> str:
    """The instruction in a reply: what stands between the marks, or else all, without label and quotes."""
    tagged = _TAGGED.findall(reply)
    text = (tagged[-1] if tagged else reply).strip()
    text = _LABEL.sub("", text).strip()
    for quote in ('"', "'", "`"):
        if len(text) > 1 and text[0] == text[-1] == quote:
            text = text[1:-1].strip()
    return text


def _shown(demonstrations: Iterable[Demonstration]) -> str:
    return "\n\n".join(f"Input: {one.input}\nAnswer: {one.answer}" for one in demonstrations)
