"""Every example's request, built and checked before the first is asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.errors import DataError
from fiat_jax.reasoning.calls import Client, Request, digest
from fiat_jax.reasoning.prompts import Prompt


@dataclass(frozen=True)
class Gathered:
    """What is to be asked.

    Attributes:
      template: the payload with the prompt's template in the example's place.
      requests: one an example, in order.
      keys: the key of each request in the store, by example id.
      splits: the split of each example, by id.
    """

    template: Mapping[str, Any]
    requests: list[Request]
    keys: dict[str, str]
    splits: dict[str, str]

    def ids(self) -> dict[str, list[str]]:
        """The examples of each request, by its key."""
        found: dict[str, list[str]] = {}
        for id, key in self.keys.items():
            found.setdefault(key, []).append(id)
        return found

    def without(self, keys: Iterable[str]) -> dict[str, Request]:
        """The requests but for some, by key; those that examples share come once."""
        known = set(keys)
        left: dict[str, Request] = {}
        for request in self.requests:
            if (key := self.keys[request.id]) not in known:
                left.setdefault(key, request)
        return left


def gather(
    splits: Mapping[str, Iterable[Mapping[str, Any]]],
    prompt: Prompt | None,
    client: Client,
    forbidden: Iterable[str] = (),
    limit: int | None = None,
) -> Gathered:
    """Builds the requests.

    Args:
      splits: rows with a str 'id', by split; the one named 'train' is where exemplars may come from.
      prompt: the reasoning prompt; None for a client that answers by id.
      client: the large model.
      forbidden: the fields that hold the label.
      limit: keep the first so many only; all of them are checked.

    Raises:
      DataError: a leak, a missing field, or an id that comes twice.
    """
    exemplars = prompt.worked(forbidden) if prompt else ()
    requests: dict[str, Request] = {}
    where: dict[str, str] = {}
    for split, rows in splits.items():
        asked = (
            prompt.requests(rows, exemplars, split) if prompt else (Request(str(row["id"])) for row in rows)
        )
        for request in asked:
            if request.id in requests:
                raise DataError(
                    f"expected each id once, found {request.id!r} again in {split!r}; rename one."
                )
            requests[request.id], where[request.id] = request, split
    kept = list(requests.values())[:limit]
    template = prompt.template(exemplars) if prompt else Request("")
    keys = {request.id: digest(client.payload(request)) for request in kept}
    return Gathered(client.payload(template), kept, keys, {id: where[id] for id in keys})
