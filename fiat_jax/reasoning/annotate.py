"""Annotation: a rationale for every example, each paid for once, through failures and kills.

All requests are built first, so that a missing field or a leak shows before the first call. Then a pool of
threads asks for those that the store does not hold. A thread keeps its answer before it takes new work: a
kill can lose only the calls that are in flight. Or the requests go out in batches (`batches`).
"""

import logging
import signal
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from fiat_jax.errors import BudgetReached, ConfigError, FiatError, InterruptedRun
from fiat_jax.reasoning.batches import Batch, Batches
from fiat_jax.reasoning.budget import Budget, Price, Purse
from fiat_jax.reasoning.calls import BatchClient, Client
from fiat_jax.reasoning.gathering import Gathered, gather
from fiat_jax.reasoning.pool import Pool
from fiat_jax.reasoning.progress import Progress
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.sent import alone, refuse_batched
from fiat_jax.reasoning.store import Store
from fiat_jax.reasoning.throttle import Rates, Throttle

_AGAIN = "the same command goes on from here"
_LISTED = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What an annotation came to.

    Attributes:
      examples: how many there are.
      answered: how many have a rationale.
      calls: requests answered in this run.
      cut: rationales that end at the token limit instead of by themselves.
      prompt_tokens, completion_tokens, cached_tokens: of this run's calls, as far as the server counted them.
      set_aside: examples that have failed for good, and are not asked again unless told.
      in_batches: examples whose requests are in batches that have not ended.
      price: what tokens cost; None if it is not known.
    """

    examples: int
    answered: int
    calls: int
    cut: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    set_aside: int = 0
    in_batches: int = 0
    price: Price | None = None

    def __str__(self) -> str:
        parts = [
            f"{self.answered} of {self.examples} examples have a rationale; {self.calls} calls now, "
            f"{self.prompt_tokens} tokens read, {self.completion_tokens} written"
        ]
        if self.price:
            cost = self.price.cost(self.prompt_tokens, self.completion_tokens, self.cached_tokens)
            parts[0] += f", {self.price.say(cost)}"
        parts += [f"cut at the token limit: {self.cut}"] if self.cut else []
        parts += [f"set aside: {self.set_aside}"] if self.set_aside else []
        parts += [f"in batches: {self.in_batches}"] if self.in_batches else []
        return "; ".join(parts)


def annotate(
    splits: Mapping[str, Iterable[Mapping[str, Any]]],
    prompt: Prompt | None,
    client: Client,
    store: Store,
    *,
    forbidden: Iterable[str] = (),
    concurrency: int = 8,
    limit: int | None = None,
    budget: Budget | None = None,
    rates: Rates | None = None,
    retry_failed: bool = False,
    batch: Batch | None = None,
) -> Summary:
    """Gets a rationale for every example that has none, and keeps it in the store.

    An example that fails for good is set aside. Ctrl-C and SIGTERM let the calls in flight finish and be
    kept; a second one ends the process at once. Either way the same call goes on where this one stopped.

    Args:
      splits: rows with a str 'id', by split; the one named 'train' is where exemplars may come from.
      prompt: the reasoning prompt; None for a client that answers by id.
      client: the large model.
      store: where rationales are kept.
      forbidden: the fields that hold the label.
      concurrency: calls at a time at the most; fewer while the server says that they are too many.
      limit: ask about the first so many examples only; all of them are checked.
      budget: what this run may use; by default as much as it takes.
      rates: how soon one call may follow another; by default at once.
      retry_failed: ask those that were set aside again, and those in a batch that the provider does not know.
      batch: send the requests in batches; by default each is a call of its own.

    Raises:
      DataError: a leak, a missing field, or an id that comes twice.
      BudgetReached: the next call would pass the budget.
      FiatError: some examples have no rationale after all attempts; the others have.
      InterruptedRun: SIGTERM came, or requests are in batches and the run shall not wait for them.
      KeyboardInterrupt: Ctrl-C came.
    """
    if concurrency < 1 or (limit is not None and limit < 1):
        raise ConfigError(f"expected concurrency and limit of 1 or more, found {concurrency} and {limit}.")
    _check_batch(batch, client, rates)
    budget = budget or Budget()
    gathered = gather(splits, prompt, client, forbidden, limit)
    purse = Purse(budget, client, gathered.template)
    with nullcontext() if batch is None else alone(store):
        reasons = store.plan(gathered.template, client.model, gathered.keys)
        aside = {} if retry_failed else store.set_aside()
        work = gathered.without({*reasons, *aside})
        calls = len(work) if budget.max_calls is None else min(budget.max_calls, len(work))
        progress = Progress(calls, budget.price)
        pool: Pool | Batches
        if batch is not None and isinstance(client, BatchClient):
            pool = Batches(batch, work, client, store, purse, progress, retry_failed)
            pool.run()
        else:
            refuse_batched(store, work)
            pool = Pool(work, client, store, purse, Throttle(concurrency, rates or Rates()), progress)
            pool.run(concurrency)

    reasons |= pool.done
    aside = store.set_aside()
    in_batches = pool.waiting if isinstance(pool, Batches) else set()
    lacking = [id for id, key in gathered.keys.items() if key not in reasons]
    summary = Summary(
        examples=len(gathered.keys),
        answered=len(gathered.keys) - len(lacking),
        calls=len(pool.done),
        cut=sum(reasons.get(key) == "length" for key in gathered.keys.values()),
        prompt_tokens=pool.prompt_tokens,
        completion_tokens=pool.completion_tokens,
        cached_tokens=pool.cached_tokens,
        set_aside=sum(gathered.keys[id] in aside for id in lacking),
        in_batches=sum(gathered.keys[id] in in_batches for id in lacking),
        price=budget.price,
    )
    _list(gathered, aside)
    if lacking:
        raise _unfinished(summary, lacking, pool, purse)
    return summary


def _check_batch(batch: Batch | None, client: Client, rates: Rates | None) -> None:
    """Refuses what cannot be with batches."""
    if batch is None:
        return
    if not isinstance(client, BatchClient):
        raise ConfigError(
            "annotate.batch: expected a client that can send batches, OpenAI or Anthropic, found "
            f"{type(client).__name__}; leave out annotate.batch."
        )
    if rates is not None and rates != Rates():
        raise ConfigError(
            "annotate.batch: expected no requests_per_minute and tokens_per_minute beside it, as the "
            f"provider paces a batch itself, found {rates}; leave out one of the two."
        )


def _list(gathered: Gathered, aside: Mapping[str, str]) -> None:
    """Says which examples are set aside, and why."""
    found = [(id, aside[key]) for id, key in gathered.keys.items() if key in aside]
    for id, why in found[:_LISTED]:
        _log.warning("set aside: %s: %s", id, why)
    if len(found) > _LISTED:
        _log.warning("set aside: %d more, which --status lists", len(found) - _LISTED)


def _unfinished(summary: Summary, lacking: list[str], pool: Pool | Batches, purse: Purse) -> BaseException:
    if pool.signal == signal.SIGINT:
        return KeyboardInterrupt(f"stopped by Ctrl-C: {summary}; {_AGAIN}.")
    if pool.signal is not None:
        return InterruptedRun(f"stopped by a signal: {summary}; {_AGAIN}.")
    if purse.reached:
        return BudgetReached(f"{purse.reached} is reached: {summary}; {_AGAIN}.")
    ids = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
    said = f"{summary}; {len(lacking)} have none ({ids})"
    if pool.failure:
        said += f", the last failure: {pool.failure}"
    if summary.in_batches and not pool.failure:
        return InterruptedRun(f"{summary}; the same command fetches them when they have ended.")
    if len(lacking) > summary.set_aside:
        return FiatError(f"{said}; {_AGAIN}.")
    return FiatError(f"{said}; all of them are set aside, and asked again with retry_failed = True.")
