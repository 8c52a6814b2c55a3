"""`fiat annotate`: a rationale for every example of a task."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fiat_jax.data.parts import Inputs, Part, parts_of
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import OpenAI, Prompt, Replay, Store
from fiat_jax.reasoning import annotate as annotate_splits
from fiat_jax.reasoning.beam import Beam


def annotate(
    task: Task,
    client: OpenAI | Replay,
    store: str,
    prompt: Prompt | None = None,
    splits: tuple[str, ...] = (),
    input: str | None = None,
    concurrency: int = 8,
    limit: int | None = None,
    pipeline: Beam | None = None,
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
      concurrency: calls at a time; with a pipeline, in each of its worker processes.
      limit: ask about the first so many examples only.
      pipeline: where the calls are made; by default in threads of this process.
    """
    prompt = prompt or task.prompt
    if prompt is None and not isinstance(client, Replay):
        raise ConfigError(
            "annotate.prompt: expected a prompt for the large model, found none; bind @Prompt()."
        )
    known = task.splits()
    if input is not None and splits:
        raise ConfigError(f"annotate.splits: expected none beside annotate.input, found {splits}.")
    for split in splits:
        if split not in known:
            raise ConfigError(f"annotate.splits: expected some of {', '.join(known)}, found {split!r}.")
    if pipeline is not None and limit is not None:
        raise ConfigError(
            f"annotate.limit: expected none with a pipeline, which has no first examples, found {limit}; "
            "leave out one of the two."
        )
    chosen = splits or known
    label = task.labels()
    with Store(store) as kept:
        if pipeline is not None:
            parts = _parts(task, chosen, input)
            summary = pipeline.annotate(parts, prompt, client, kept, forbidden=label, concurrency=concurrency)
        else:
            rows = _rows(task, chosen, input)
            summary = annotate_splits(
                rows, prompt, client, kept, forbidden=label, concurrency=concurrency, limit=limit
            )
    print(f"{store}: {summary}")


def _rows(task: Task, splits: Iterable[str], input: str | None) -> Mapping[str, Iterable[Mapping[str, Any]]]:
    if input is None:
        return {split: task.rows(split) for split in splits}
    from fiat_jax.data.unlabelled import read_inputs

    return {"input": read_inputs(input, task)}


def _parts(task: Task, splits: Iterable[str], input: str | None) -> Sequence[Part | Inputs]:
    if input is None:
        return [part for split in splits for part in parts_of(task, split)]
    return [Inputs(task, input)]
