"""Self-consistency: several rationales of each example, of which one with the answer of most is kept.

Source: Wang et al., Self-Consistency Improves Chain of Thought Reasoning in Language Models,
https://arxiv.org/abs/2203.11171.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, NamedTuple, cast

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.annotate import annotate
from fiat_jax.reasoning.calls import Client, digest
from fiat_jax.reasoning.parsing import parse
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.store import Store

Splits = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows with a str 'id', by split."""


@dataclass(frozen=True)
class Vote:
    """How rationales are sampled and chosen.

    Attributes:
      samples: rationales of each example.
      temperature: of the sampling.
      seed: of the first sample; the next ones count on from it.
      keep: which of those with the answer of most is kept: the 'shortest' or the 'first'.
    """

    samples: int = 5
    temperature: float = 0.7
    seed: int = 1
    keep: Literal["shortest", "first"] = "shortest"

    def __post_init__(self) -> None:
        if self.samples < 2 or self.temperature <= 0:
            raise ConfigError(
                "Vote: expected samples of 2 or more and a temperature above 0, without which all are the "
                f"same, found {self.samples} and {self.temperature}."
            )

    def clients(self, client: Client) -> list[Client]:
        """The client of each sample.

        Raises:
          ConfigError: it has no seed or no temperature to set.
        """
        known: list[str] = [field.name for field in fields(client)] if is_dataclass(client) else []
        if not {"seed", "temperature"} <= set(known):
            raise ConfigError(
                f"Vote: expected a client with a seed and a temperature, found {type(client).__name__}."
            )
        return [
            cast(Client, replace(cast(Any, client), seed=self.seed + n, temperature=self.temperature))
            for n in range(self.samples)
        ]

    def choose(self, samples: Sequence[str], marker: str, alike: Callable[[str], str]) -> "Voted":
        """The rationale that is kept of an example's.

        Args:
          samples: in order; the first one of them wins where none gives an answer, and the answer that came
            first where two have the same number of votes.
          marker: what should come before an answer.
          alike: answers for which it gives the same are one.
        """
        answers = [parse(sample, marker).answer for sample in samples]
        counted = Counter(alike(answer) for answer in answers if answer is not None)
        if not counted:
            return Voted(samples[0], 0, len(samples))
        winner, votes = counted.most_common(1)[0]
        good = [
            sample
            for sample, answer in zip(samples, answers, strict=True)
            if answer is not None and alike(answer) == winner
        ]
        return Voted(min(good, key=len) if self.keep == "shortest" else good[0], votes, len(samples))


class Voted(NamedTuple):
    """What a vote came to.

    Attributes:
      rationale: the one that is kept.
      votes: how many samples have its answer; 0 where none has one.
      samples: how many there were.
    """

    rationale: str
    votes: int
    samples: int


def vote(
    splits: Splits,
    prompt: Prompt,
    client: Client,
    store: Store,
    settings: Vote,
    *,
    alike: Callable[[str], str],
    forbidden: Iterable[str] = (),
    concurrency: int = 8,
) -> dict[str, Voted]:
    """Asks for several rationales of each example, and chooses one by the answers.

    Args:
      splits: the examples.
      prompt: what is asked.
      client: whom.
      store: where the samples are kept; each sample is a prompt of its own there.
      settings: how.
      alike: see `Vote.choose`.
      forbidden: the fields that hold the label.
      concurrency: calls at a time.

    Returns:
      The choice by example id.

    Raises:
      As `annotate`; the same call goes on from there.
    """
    forbidden = tuple(forbidden)
    samples = [
        collect(splits, prompt, one, store, forbidden=forbidden, concurrency=concurrency)
        for one in settings.clients(client)
    ]
    return {
        id: settings.choose([sample[id] for sample in samples], prompt.marker, alike) for id in samples[0]
    }


def collect(
    splits: Splits,
    prompt: Prompt,
    client: Client,
    store: Store,
    *,
    forbidden: Iterable[str] = (),
    concurrency: int = 8,
) -> dict[str, str]:
    """Annotates, and gives the rationales of just this prompt and client by example id; see `annotate`."""
    forbidden = tuple(forbidden)
    annotate(splits, prompt, client, store, forbidden=forbidden, concurrency=concurrency)
    exemplars = prompt.worked(forbidden)
    turn = store.begin(client.payload(prompt.template(exemplars)), client.model)
    return {
        request.id: store.find(turn, request.id, digest(client.payload(request))) or ""
        for split, rows in splits.items()
        for request in prompt.requests(rows, exemplars, split)
    }
