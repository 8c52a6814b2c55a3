"""A chat as one text, for models that know no turns."""

from collections.abc import Iterable, Sequence

from fiat_jax.reasoning.calls import Message

BLANK_LINE = "\n\n"
"""What stands between the examples of a text, and so what a model writes when it goes on to the next."""


def as_text(messages: Sequence[Message]) -> str:
    """The chat as one text that a rationale continues.

    The instruction comes first, then each exemplar with its rationale on the next line, then the example's
    own input, all with a blank line between them; the text ends where its rationale begins, on a new line.
    A single message is such a text already.
    """
    if len(messages) == 1:
        return messages[0]["content"]
    after = {"user": "\n", "assistant": BLANK_LINE, "system": BLANK_LINE}
    return "".join(message["content"] + after[message["role"]] for message in messages)


def until(text: str, stops: Iterable[str]) -> str:
    """A text up to where the first of some others begins."""
    for stop in stops:
        text = text.partition(stop)[0]
    return text


def clean(text: str) -> str:
    """What a model wrote without the white space around it, and as text: half an emoji is none."""
    return text.strip().encode(errors="replace").decode()
