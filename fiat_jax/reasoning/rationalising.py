"""Rationales that lead to an answer which the large model is told.

This is not how FIAT gets its rationales. They are kept apart by a mark, with the prompt in the store and with
each row elsewhere, and a task that has them is not evaluated.

Source: Zelikman et al., STaR: Bootstrapping Reasoning With Reasoning, https://arxiv.org/abs/2203.14465.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fiat_jax.reasoning.calls import Client, Request
from fiat_jax.reasoning.exemplars import Exemplar
from fiat_jax.reasoning.prompts import Prompt, settings_of
from fiat_jax.reasoning.store import Store
from fiat_jax.reasoning.voting import collect

_HINT = (
    "Hint: the right answer is '{label}'. Write the reasoning that leads to it from what is given above, "
    "without mentioning this hint, and end with '{marker} {label}'."
)


def rationalise(
    rows: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    prompt: Prompt,
    client: Client,
    store: Store,
    *,
    forbidden: Iterable[str] = (),
    concurrency: int = 8,
) -> dict[str, str]:
    """Asks for rationales with the label as a hint.

    Args:
      rows: training examples.
      labels: the right answer of each, by id.
      prompt: what is asked; the hint is put after the input.
      client: the large model.
      store: where the answers are kept, under a prompt of their own that is marked.
      forbidden: the fields that hold the label, which the prompt itself may not read here either.
      concurrency: calls at a time.

    Returns:
      The rationales by example id, whatever answer they give.

    Raises:
      As `annotate`; the same call goes on from there.
    """
    hinted = _Hinted(**settings_of(prompt), labels=labels)
    return collect({"train": rows}, hinted, client, store, forbidden=forbidden, concurrency=concurrency)


@dataclass(frozen=True)
class _Hinted(Prompt):
    """A prompt that tells the label.

    Attributes:
      labels: of each example.
    """

    labels: Mapping[str, str] = field(default_factory=dict)

    gives_label = True

    def _request(self, id: str, exemplars: Iterable[Exemplar], text: str) -> Request:
        label = self.labels[id] if id else "{label}"  # without an id it is the template
        hint = _HINT.format(label=label, marker=self.marker)
        return super()._request(id, exemplars, f"{text}\n\n{hint}")
