"""The dry run of an annotation: the calls to make, and what they will need, with nothing asked or changed."""

from dataclasses import dataclass
from pathlib import Path

from fiat_jax.reasoning.budget import Budget, most_read, most_written, size
from fiat_jax.reasoning.calls import Client
from fiat_jax.reasoning.gathering import Gathered
from fiat_jax.reasoning.holdings import Holdings, Spent, holdings

_BYTES_A_TOKEN = 4.0


@dataclass(frozen=True)
class Forecast:
    """What an annotation will need.

    Attributes:
      examples: how many there are.
      answered: how many of them have a rationale.
      set_aside: how many have failed for good, and are not asked.
      calls: requests that this run will ask.
      beyond: requests that it will not, as max_calls has no room for them.
      read, written: tokens, estimated; without any answer to go by, written is the most there can be, or None
        if answers have no greatest length.
      cached: tokens of those read that the provider is expected to have kept.
      measured: answers that the estimate goes by.
      bytes_a_token: of what is read.
      most: the most money that the calls can cost; None without a greatest length or a price.
      budget: what the run may use.
      in_batches: how many are in batches that are not fetched yet.
    """

    examples: int
    answered: int
    set_aside: int
    calls: int
    beyond: int
    read: float
    written: float | None
    cached: float
    measured: int
    bytes_a_token: float
    most: float | None
    budget: Budget
    in_batches: int = 0

    def __str__(self) -> str:
        left = f", {self.beyond} more than max_calls allows" if self.beyond else ""
        sent = f", {self.in_batches} in batches" if self.in_batches else ""
        lines = [
            f"{self.examples} examples: {self.answered} answered, {self.set_aside} set aside{sent}; "
            f"calls to make: {self.calls}{left}"
        ]
        if not self.calls:
            return lines[0]
        ground = f"measured on {self.measured} answers here" if self.measured else "a guess"
        at_most = "" if self.measured else "at most "
        written = "any number" if self.written is None else f"{at_most}{self.written:,.0f}"
        lines.append(
            f"tokens, estimated: {self.read:,.0f} read (one for {self.bytes_a_token:.1f} bytes: {ground}), "
            f"{written} written"
        )
        lines.append(f"price: {self._money()}")
        return "\n".join(lines)

    def _money(self) -> str:
        price = self.budget.price
        if price is None:
            return "not known; bind annotate.price = @Price()"
        if self.written is None:
            return "without bound; set the client's max_tokens"
        said = f"about {price.say(price.cost(self.read, self.written, self.cached))}"
        if self.most is None:
            return said
        bound = self.budget.max_cost
        ends = bound is not None and self.most > bound
        return f"{said}, at most {price.say(self.most)}" + (
            f"; max_cost = {bound:g} may end the run before" if ends else ""
        )


def forecast(
    gathered: Gathered, client: Client, place: str | Path, budget: Budget, retry_failed: bool = False
) -> Forecast:
    """Says what `annotate` would do, as far as it can be known.

    A token is taken for as many bytes of a request as it was in the requests among these that are answered.

    Args:
      gathered: the requests.
      client: the large model; it is not asked.
      place: the store, or where it will be.
      budget, retry_failed: see `annotate`.
    """
    kept = holdings(place)
    aside = {key for key, failure in kept.failures.items() if failure.set_aside} - kept.answers.keys()
    batched = kept.in_batches()
    aside -= batched
    left = gathered.without({*kept.answers, *batched, *(() if retry_failed else aside)})
    waiting = len(batched.intersection(gathered.keys.values()))
    room = None if budget.max_calls is None else max(0, budget.max_calls - waiting)
    asked = list(left.values())[:room]
    payloads = [client.payload(request) for request in asked]
    known = _known(gathered, client, kept)
    bytes_a_token = known.bytes / known.spent.read if known.spent.read else _BYTES_A_TOKEN
    longest = most_written(gathered.template)
    each = known.spent.written / known.count if known.count and known.spent.written else longest
    read = sum(map(size, payloads)) / bytes_a_token
    most = None
    if budget.price is not None and longest is not None:
        most = budget.price.cost(sum(map(most_read, payloads)), longest * len(asked))
    return Forecast(
        examples=len(gathered.keys),
        answered=sum(key in kept.answers for key in gathered.keys.values()),
        set_aside=sum(key in aside for key in gathered.keys.values()),
        calls=len(asked),
        beyond=len(left) - len(asked),
        read=read,
        written=None if each is None else each * len(asked),
        cached=read * (known.spent.cached or 0) / known.spent.read if known.spent.read else 0.0,
        measured=known.count,
        bytes_a_token=bytes_a_token,
        most=most,
        budget=budget,
        in_batches=sum(key in batched for key in gathered.keys.values()),
    )


@dataclass(frozen=True)
class _Known:
    """The requests that are answered, with tokens that the server counted."""

    count: int
    bytes: int
    spent: Spent


def _known(gathered: Gathered, client: Client, kept: Holdings) -> _Known:
    found = [
        (size(client.payload(request)), spent)
        for key, request in gathered.without(()).items()
        if (spent := kept.answers.get(key)) and spent.read is not None and spent.written is not None
    ]
    spent = Spent(
        sum(spent.read or 0 for _, spent in found),
        sum(spent.written or 0 for _, spent in found),
        sum(spent.cached or 0 for _, spent in found),
    )
    return _Known(len(found), sum(bytes for bytes, _ in found), spent)
