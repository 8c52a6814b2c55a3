"""Annotation: a rationale for every example, each paid for once, through failures and kills.

All requests are built first, so that a missing field or a leak shows before the first call. Then a pool of
threads asks for those that the store does not hold. A thread keeps its answer before it takes new work: a
kill can lose only the calls that are in flight.
"""

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.errors import ConfigError, DataError, FiatError, InterruptedRun
from fiat_jax.reasoning.calls import Client, Request, digest
from fiat_jax.reasoning.exemplars import Exemplar
from fiat_jax.reasoning.pool import Pool
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.store import Store


@dataclass(frozen=True)
class Summary:
    """What an annotation came to.

    Attributes:
      examples: how many there are.
      answered: how many have a rationale.
      calls: requests answered in this run.
      cut: rationales that end at the token limit instead of by themselves.
      prompt_tokens, completion_tokens: of this run's calls, as far as the server counted them.
    """

    examples: int
    answered: int
    calls: int
    cut: int
    prompt_tokens: int
    completion_tokens: int

    def __str__(self) -> str:
        text = (
            f"{self.answered} of {self.examples} examples have a rationale; {self.calls} calls now, "
            f"{self.prompt_tokens} tokens read, {self.completion_tokens} written"
        )
        return f"{text}; cut at the token limit: {self.cut}" if self.cut else text


def annotate(
    splits: Mapping[str, Iterable[Mapping[str, Any]]],
    prompt: Prompt | None,
    client: Client,
    store: Store,
    *,
    forbidden: Iterable[str] = (),
    concurrency: int = 8,
    limit: int | None = None,
) -> Summary:
    """Gets a rationale for every example that has none, and keeps it in the store.

    Ctrl-C and SIGTERM let the calls in flight finish and be kept; a second one ends the process at once.
    Either way the same call goes on where this one stopped.

    Args:
      splits: rows with a str 'id', by split; the one named 'train' is where exemplars may come from.
      prompt: the reasoning prompt; None for a client that answers by id.
      client: the large model.
      store: where rationales are kept.
      forbidden: the fields that hold the label.
      concurrency: calls at a time.
      limit: ask about the first so many examples only; all of them are checked.

    Raises:
      DataError: a leak, a missing field, or an id that comes twice.
      FiatError: some examples have no rationale after all attempts; the others have.
      InterruptedRun: SIGTERM came.
      KeyboardInterrupt: Ctrl-C came.
    """
    if concurrency < 1 or (limit is not None and limit < 1):
        raise ConfigError(f"expected concurrency and limit of 1 or more, found {concurrency} and {limit}.")
    exemplars = prompt.worked(forbidden) if prompt else ()
    requests = _requests(splits, prompt, exemplars)[:limit]
    template = prompt.template(exemplars) if prompt else Request("")
    keys = {request.id: digest(client.payload(request)) for request in requests}
    reasons = store.plan(client.payload(template), client.model, keys)

    work: dict[str, Request] = {}
    for request in requests:
        if keys[request.id] not in reasons:
            work.setdefault(keys[request.id], request)
    pool = Pool(work, client, store)
    pool.run(concurrency)

    reasons |= {key: completion.finish_reason for key, completion in pool.done.items()}
    lacking = [id for id, key in keys.items() if key not in reasons]
    summary = Summary(
        examples=len(keys),
        answered=len(keys) - len(lacking),
        calls=len(pool.done),
        cut=sum(reasons.get(key) == "length" for key in keys.values()),
        prompt_tokens=sum(completion.prompt_tokens or 0 for completion in pool.done.values()),
        completion_tokens=sum(completion.completion_tokens or 0 for completion in pool.done.values()),
    )
    if lacking:
        raise _unfinished(summary, lacking, pool)
    return summary


def _requests(
    splits: Mapping[str, Iterable[Mapping[str, Any]]], prompt: Prompt | None, exemplars: tuple[Exemplar, ...]
) -> list[Request]:
    requests: dict[str, Request] = {}
    for split, rows in splits.items():
        asked = (
            prompt.requests(rows, exemplars, split) if prompt else (Request(str(row["id"])) for row in rows)
        )
        for request in asked:
            if request.id in requests:
                raise DataError(
                    f"expected each id once, found {request.id!r} again in {split!r}; rename one."
                )
            requests[request.id] = request
    return list(requests.values())


def _unfinished(summary: Summary, lacking: list[str], pool: Pool) -> BaseException:
    again = "the same command goes on from here"
    if pool.signal == signal.SIGINT:
        return KeyboardInterrupt(f"stopped by Ctrl-C: {summary}; {again}.")
    if pool.signal is not None:
        return InterruptedRun(f"stopped by a signal: {summary}; {again}.")
    ids = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
    return FiatError(
        f"{summary}; {len(lacking)} have none ({ids}), the last failure: {pool.failure}; {again}."
    )
