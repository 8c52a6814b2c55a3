"""What the model writes for a label, and how that is read back."""

from collections.abc import Mapping

from fiat_jax.errors import ConfigError


def folded(text: str) -> str:
    """A text without its case and with single spaces."""
    return " ".join(text.casefold().split())


def check_verbaliser(verbaliser: Mapping[str, str], no_answer: str | None, target: str) -> None:
    """Makes sure that labels can be read back from what is written for them.

    Args:
      verbaliser, no_answer, target: as in `Template`.

    Raises:
      ConfigError: they cannot.
    """
    if no_answer is not None and not no_answer.strip():
        raise ConfigError(f"Template.no_answer: expected a text, or None, found {no_answer!r}.")
    if not verbaliser:
        return
    if target != "{answer}":
        raise ConfigError(
            "Template.target: expected '{answer}' beside a verbaliser, which says all that is written, found "
            f"{target!r}; put its words into the verbaliser."
        )
    texts = [*map(folded, verbaliser.values())]
    if len(set(texts)) < len(texts) or not all(texts):
        raise ConfigError(
            "Template.verbaliser: expected texts that differ by more than case and white space, none empty, "
            f"so that labels can be read back, found {dict(verbaliser)}."
        )
    if no_answer is not None and (no_answer in verbaliser or folded(no_answer) in texts):
        raise ConfigError(
            "Template.no_answer: expected a text that is neither a label nor a label's text, found "
            f"{no_answer!r} beside {dict(verbaliser)}."
        )
