"""`fiat annotate`: a rationale for every example of a task."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fiat_jax.data.parts import Inputs, Part, parts_of
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import Batch, Budget, Client, Price, Prompt, Rates, Replay, Store
from fiat_jax.reasoning import annotate as annotate_splits
from fiat_jax.reasoning.beam import Beam
from fiat_jax.reasoning.forecast import forecast
from fiat_jax.reasoning.gathering import gather
from fiat_jax.reasoning.sent import refuse_batched
from fiat_jax.reasoning.status import status as status_of


def annotate(
    task: Task,
    client: Client,
    store: str,
    prompt: Prompt | None = None,
    splits: tuple[str, ...] = (),
    input: str | None = None,
    concurrency: int = 8,
    limit: int | None = None,
    price: Price | None = None,
    max_calls: int | None = None,
    max_cost: float | None = None,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    retry_failed: bool = False,
    dry_run: bool = False,
    status: bool = False,
    pipeline: Beam | None = None,
    batch: Batch | None = None,
) -> None:
    """Asks the large model about every example, and keeps its rationales.

    Args:
      task: whose examples.
      client: the large model.
      store: the sqlite file that rationales are kept in; a run that was stopped goes on from it.
      prompt: what to ask; by default the task's, and not needed to replay a file.
      splits: the splits to annotate; by default all that the task has.
      input: rows without answers to annotate in the place of the splits, as `fiat predict` gets them: a
        JSON-lines file, or, with a pipeline, a pattern of some.
      concurrency: calls at a time at the most, fewer while the server says that they are too many; with a
        pipeline, in each of its worker processes.
      limit: ask about the first so many examples only.
      price: what tokens cost; without it money is neither shown nor bounded.
      max_calls: requests that this run may ask; the same command goes on after it.
      max_cost: money that this run's answers may cost, in the price's currency.
      requests_per_minute: how many attempts may begin in a minute.
      tokens_per_minute: how many tokens may be read and written in a minute.
      retry_failed: ask again what was set aside, since it had failed for good, and what is in a batch that
        the provider no longer knows.
      dry_run: say what the calls will need, and ask nothing.
      status: say how far the store is, and ask nothing.
      pipeline: where the calls are made; by default in threads of this process.
      batch: send the requests together, to be answered later at the provider's lower price; concurrency then
        says nothing.
    """
    if input is not None and splits:
        raise ConfigError(f"annotate.splits: expected none beside annotate.input, found {splits}.")
    chosen = task.chosen(splits, "annotate.splits")
    prompt = prompt or task.prompt
    if prompt is None and not isinstance(client, Replay):
        raise ConfigError(
            "annotate.prompt: expected a prompt for the large model, found none; bind @Prompt()."
        )
    label = task.labels()
    budget, rates = Budget(price, max_cost, max_calls), Rates(requests_per_minute, tokens_per_minute)
    if status or dry_run:
        gathered = gather(_rows(task, chosen, input), prompt, client, label, limit)
        if status:
            print(f"{store}\n\n{status_of(gathered, store, price)}")
        if dry_run:
            print(f"{store}: {forecast(gathered, client, store, budget, retry_failed)}")
        return
    if pipeline is not None:
        _refuse_with_pipeline("which has no first examples", limit=limit)
        _refuse_with_pipeline("which asks all that has no answer", retry_failed=retry_failed or None)
        if batch is not None:
            raise ConfigError(
                "annotate.batch: expected none with a pipeline, found one; leave out one of the two."
            )
        unknown = "whose workers do not know of each other's calls"
        _refuse_with_pipeline(unknown, max_calls=max_calls, max_cost=max_cost, **vars(rates))
    with Store(store) as kept:
        if pipeline is not None:
            refuse_batched(kept)
            parts = _parts(task, chosen, input)
            summary = pipeline.annotate(parts, prompt, client, kept, forbidden=label, concurrency=concurrency)
        else:
            summary = annotate_splits(
                _rows(task, chosen, input),
                prompt,
                client,
                kept,
                forbidden=label,
                concurrency=concurrency,
                limit=limit,
                budget=budget,
                rates=rates,
                retry_failed=retry_failed,
                batch=batch,
            )
    print(f"{store}: {replace(summary, price=price)}")


def _refuse_with_pipeline(why: str, **settings: float | None) -> None:
    """Refuses what only the threads of one process can keep to."""
    for name, value in settings.items():
        if value is not None:
            raise ConfigError(
                f"annotate.{name}: expected none with a pipeline, {why}, found {value}; "
                "leave out one of the two."
            )


def _rows(task: Task, splits: Iterable[str], input: str | None) -> Mapping[str, Iterable[Mapping[str, Any]]]:
    if input is None:
        return {split: task.rows(split) for split in splits}
    from fiat_jax.data.unlabelled import read_inputs

    return {"input": read_inputs(input, task)}


def _parts(task: Task, splits: Iterable[str], input: str | None) -> Sequence[Part | Inputs]:
    if input is None:
        return [part for split in splits for part in parts_of(task, split)]
    return [Inputs(task, input)]
