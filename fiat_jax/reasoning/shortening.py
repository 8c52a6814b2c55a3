"""Rationales that are too long, made shorter by whoever wrote them; nothing is cut off."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import Client, Request
from fiat_jax.reasoning.exemplars import Exemplar
from fiat_jax.reasoning.parsing import parse
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.store import Store
from fiat_jax.reasoning.voting import Splits, collect

_ASKED = (
    "That is too long. Write the same reasoning again in at most {words} words. Keep what decides the "
    "answer, and end as before with '{marker}' and the same answer."
)
_LEAST_WORDS = 8
_TIGHTER = 0.9  # of what the budget allows, and again for each further time


@dataclass(frozen=True)
class Shorten:
    """How long rationales may be.

    Attributes:
      tokens: at most, in the tuned model's vocabulary.
      times: how often a rationale is asked for again.
    """

    tokens: int = 128
    times: int = 2

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.times < 1:
            raise ConfigError(
                f"Shorten: expected tokens and times of 1 or more, found {self.tokens} and {self.times}."
            )


class Shortened(NamedTuple):
    """What became of the rationales that were too long.

    Attributes:
      rationales: all, by example id.
      asked: how many were too long.
      left: the ids of those that still are.
    """

    rationales: dict[str, str]
    asked: int
    left: tuple[str, ...]


def shorten(
    splits: Splits,
    rationales: Mapping[str, str],
    prompt: Prompt,
    client: Client,
    store: Store,
    settings: Shorten,
    *,
    length: Callable[[str], int],
    alike: Callable[[str], str],
    forbidden: Iterable[str] = (),
    concurrency: int = 8,
) -> Shortened:
    """Asks again for what is too long; one that would then give another answer is not taken.

    Args:
      splits: the examples.
      rationales: theirs by id; an example may have none.
      prompt: what was asked.
      client: whom to ask.
      store: where the answers are kept.
      settings: how long rationales may be, and how often to ask.
      length: tokens of a text.
      alike: answers for which it gives the same are one.
      forbidden: the fields that hold the label.
      concurrency: calls at a time.

    Raises:
      As `annotate`; the same call goes on from there.
    """
    forbidden, found = tuple(forbidden), dict(rationales)
    ids = [str(row["id"]) for rows in splits.values() for row in rows]
    left = {id: found[id] for id in ids if length(found.get(id, "")) > settings.tokens}
    asked = len(left)
    for time in range(1, settings.times + 1):
        if not left:
            break
        words = {
            id: max(int(len(text.split()) * settings.tokens / length(text) * _TIGHTER**time), _LEAST_WORDS)
            for id, text in left.items()
        }
        again = _Again(**_settings(prompt), said=left, words=words)
        chosen = {split: [row for row in rows if str(row["id"]) in left] for split, rows in splits.items()}
        for id, text in collect(
            chosen, again, client, store, forbidden=forbidden, concurrency=concurrency
        ).items():
            if length(text) < length(found[id]) and _agree(found[id], text, prompt.marker, alike):
                found[id] = text
        left = {id: found[id] for id in left if length(found[id]) > settings.tokens}
    return Shortened(found, asked, tuple(left))


@dataclass(frozen=True)
class _Again(Prompt):
    """A prompt that goes on after its reply.

    Attributes:
      said: the reply to each example.
      words: how many it may have.
    """

    said: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, int] = field(default_factory=dict)

    def template(self, exemplars: Iterable[Exemplar]) -> Request:
        return self._going_on(super().template(exemplars), "{rationale}", "{words}")

    def requests(
        self, examples: Iterable[Mapping[str, Any]], exemplars: tuple[Exemplar, ...], split: str
    ) -> Iterator[Request]:
        for request in super().requests(examples, exemplars, split):
            yield self._going_on(request, self.said[request.id], str(self.words[request.id]))

    def _going_on(self, request: Request, said: str, words: str) -> Request:
        asked = _ASKED.format(words=words, marker=self.marker)
        turns = [{"role": "assistant", "content": said}, {"role": "user", "content": asked}]
        return replace(request, messages=(*request.messages, *turns))


def _settings(prompt: Prompt) -> dict[str, Any]:
    return {each.name: getattr(prompt, each.name) for each in fields(prompt)}


def _agree(before: str, after: str, marker: str, alike: Callable[[str], str]) -> bool:
    """Whether two rationales give the same answer, or the first one gives none."""
    old, new = parse(before, marker).answer, parse(after, marker).answer
    return old is None or (new is not None and alike(old) == alike(new))
