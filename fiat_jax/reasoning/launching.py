"""The annotation pipeline as its launcher sees it: started, waited for, and folded into the store."""

import json
import logging
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import apache_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from fiat_jax.errors import ConfigError, DataError, FiatError, InterruptedRun
from fiat_jax.reasoning.annotate import Summary
from fiat_jax.reasoning.asking import STOP
from fiat_jax.reasoning.beam import DIRECT, Beam
from fiat_jax.reasoning.calls import Client, Outcome
from fiat_jax.reasoning.clients import OpenAI
from fiat_jax.reasoning.gathering import template_of
from fiat_jax.reasoning.pipeline import (
    NAMESPACE,
    Asking,
    Part,
    absolute,
    build,
    files_of,
    known_line,
    lines_of,
    outcome_of,
)
from fiat_jax.reasoning.pool import first_signal
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.reasoning.store import Store

_IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_SHOWN = 10
_AGAIN = "the same command goes on from here"

_log = logging.getLogger(__name__)


def launch(
    settings: Beam,
    parts: Iterable[Part],
    prompt: Prompt | None,
    client: Client,
    store: Store,
    forbidden: Iterable[str],
    concurrency: int,
) -> Summary:
    """Runs the pipeline; see `Beam.annotate`."""
    asking = Asking(_everywhere(client), prompt, prompt.worked(forbidden) if prompt else ())
    folder = absolute(settings.folder)
    run = FileSystems.join(folder, f"run-{uuid4().hex[:12]}")
    known = FileSystems.join(run, "known.jsonl")
    with FileSystems.create(known) as file:
        file.writelines(f"{known_line(*each)}\n".encode() for each in store.answered())

    lines = FileSystems.join(run, "lines")
    pipeline = _pipeline(settings)
    build(pipeline, parts, asking, FileSystems.join(folder, "answers"), known, lines, concurrency)
    stopped: list[int] = []
    STOP.clear()
    with first_signal(lambda number: _stop(number, stopped)) if settings.runner == DIRECT else nullcontext():
        result = pipeline.run()
        state = result.wait_until_finish()
    if state != PipelineState.DONE:
        raise FiatError(f"expected the pipeline to end well, found that it ended as {state}; {_AGAIN}.")
    counters = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    counts = {each.key.metric.name: each.result for each in counters}

    tally = _Tally(store.path.with_suffix(".failures.jsonl"))
    results = (outcome_of(line) for path in files_of(f"{lines}-*") for line in lines_of(path))
    store.fold(template_of(prompt, asking.exemplars, client), client.model, tally.count(results))
    FileSystems.delete([run])
    return tally.conclude(counts, stopped)


def _pipeline(settings: Beam) -> apache_beam.Pipeline:
    # By its plain name, the direct runner would first look for another one, Prism, on the network.
    runner = _IN_PROCESS if settings.runner == DIRECT else settings.runner
    try:
        return apache_beam.Pipeline(runner, PipelineOptions(list(settings.options)))
    except (ValueError, ImportError) as error:
        raise ConfigError(f"Beam: {error}") from None


def _everywhere(client: Client) -> Client:
    """The client with the address that this machine's environment gives it: workers have another."""
    if isinstance(client, OpenAI) and client.base_url is None:
        return replace(client, base_url=os.environ.get("OPENAI_BASE_URL"))
    return client


def _stop(number: int, stopped: list[int]) -> None:
    stopped.append(number)
    _log.warning("stopping after the calls in flight; a second signal stops at once")
    STOP.set()


class _Tally:
    """What the outcomes of a run come to, counted as they pass by.

    Args:
      failures: the file that lists those that failed, as rows of id and reason; it is there only if any did.
    """

    def __init__(self, failures: Path) -> None:
        self._failures = failures
        self._examples = self._cut = self._lacking = 0
        self._shown: list[str] = []
        self._failure = self._hopeless = ""

    def count(self, results: Iterator[Outcome | str]) -> Iterator[Outcome]:
        """Gives the outcomes on.

        Args:
          results: all of a run; text is a problem.

        Raises:
          DataError: there is a problem, or no outcome.
        """
        self._failures.unlink(missing_ok=True)
        for outcome in results:
            if isinstance(outcome, str):
                raise _refusal([outcome, *map(str, results)])
            self._examples += len(outcome.ids)
            self._cut += len(outcome.ids) * (outcome.finish_reason == "length")
            if outcome.failure:
                self._fail(outcome)
            yield outcome
        if not self._examples:
            raise DataError("expected at least one row to annotate, found none; check the files.")

    def conclude(self, counts: Mapping[str, int], stopped: Sequence[int]) -> Summary:
        """The summary, if every example has a rationale.

        Args:
          counts: the pipeline's counters.
          stopped: the signal that ended it early, if one did.

        Raises:
          ConfigError, FiatError, InterruptedRun, KeyboardInterrupt: see `Beam.annotate`.
        """
        summary = Summary(
            examples=self._examples,
            answered=self._examples - self._lacking,
            calls=counts.get("calls", 0),
            cut=self._cut,
            prompt_tokens=counts.get("prompt_tokens", 0),
            completion_tokens=counts.get("completion_tokens", 0),
            cached_tokens=counts.get("cached_tokens", 0),
        )
        if not self._lacking:
            return summary
        if stopped:
            kind = KeyboardInterrupt if stopped[0] == signal.SIGINT else InterruptedRun
            raise kind(f"stopped by a signal: {summary}; {_AGAIN}.")
        if self._hopeless:
            raise ConfigError(f"{self._hopeless} ({summary}; {_AGAIN}.)")
        ids = ", ".join(self._shown) + (", ..." if self._lacking > _SHOWN else "")
        raise FiatError(
            f"{summary}; {self._lacking} have none ({ids}), a failure: {self._failure}; all are listed in "
            f"{self._failures}; {_AGAIN}."
        )

    def _fail(self, outcome: Outcome) -> None:
        self._lacking += len(outcome.ids)
        self._shown = sorted([*self._shown, *outcome.ids])[:_SHOWN]
        self._failure = self._failure or outcome.failure
        if outcome.hopeless:
            self._hopeless = outcome.failure
        with self._failures.open("a", encoding="utf-8") as file:
            rows = ({"id": id, "reason": outcome.failure} for id in outcome.ids)
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _refusal(problems: list[str]) -> DataError:
    """One of the problems, always the same one, and how many others there are."""
    others = f" ({len(problems) - 1} more like this)" if len(problems) > 1 else ""
    return DataError(f"{min(problems)}{others}")
