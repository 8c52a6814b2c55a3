"""The annotation pipeline: what its workers do. Only this, `answers` and the run of `beam` know Apache Beam.

    files → rows → requests → by id → by request → asked or known → outcomes

Grouping by id finds an id that comes twice on whichever machines; grouping by request makes those with the
same request share one call. As no group is complete before all rows are read, and calls also wait for the
number of rows that were refused, a bad row shows before the first call, as in `annotate`.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, NamedTuple, Protocol

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared

from fiat_jax.errors import DataError
from fiat_jax.reasoning.answers import Answers
from fiat_jax.reasoning.asking import Asker, Reply
from fiat_jax.reasoning.calls import Answer, Client, Completion, Outcome, Request, digest
from fiat_jax.reasoning.exemplars import Exemplar
from fiat_jax.reasoning.prompts import Prompt

NAMESPACE = "fiat"
COUNTERS = ("calls", "failures", "prompt_tokens", "completion_tokens", "cached_tokens")
"""What is counted while the pipeline runs, for this namespace of Beam's metrics."""

_PROBLEMS = "problems"


class Part(Protocol):
    """Rows that a worker can read by itself; a value that can be pickled.

    Attributes:
      split: the one named 'train' is where exemplars may come from.
      place: the files that hold them, as a pattern; None if `rows` knows itself.
    """

    @property
    def split(self) -> str: ...

    @property
    def place(self) -> str | None: ...

    def rows(self, file: BinaryIO | None, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The rows of one of the files, each with a str 'id', and with where it stands.

        Raises:
          DataError: a row is not what it should be.
        """
        ...


class Example(NamedTuple):
    """What has to be known of a row to ask about it: no more is sent between machines."""

    id: str
    where: str
    split: str
    key: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Asking:
    """What is asked of whom; the same for all rows.

    Attributes:
      client: the large model.
      prompt: the reasoning prompt; None for a client that answers by id.
      exemplars: those of the prompt.
    """

    client: Client
    prompt: Prompt | None
    exemplars: tuple[Exemplar, ...]

    def example(self, where: str, split: str, row: Mapping[str, Any]) -> Example:
        """Checks a row, and keeps what the prompt reads of it.

        Raises:
          DataError: a leak, or a missing field.
        """
        request = self.request(split, row)
        names = self.prompt.reads() if self.prompt else ()
        fields = {name: row[name] for name in names if name in row}
        return Example(request.id, where, split, digest(self.client.payload(request)), fields)

    def request(self, split: str, row: Mapping[str, Any]) -> Request:
        """What is asked about a row."""
        if self.prompt is None:
            return Request(str(row["id"]))
        return next(self.prompt.requests([row], self.exemplars, split))


def build(
    pipeline: beam.Pipeline,
    parts: Iterable[Part],
    asking: Asking,
    answers: str,
    known: str,
    lines: str,
    concurrency: int,
) -> None:
    """Lays the pipeline out.

    Args:
      pipeline: an empty one.
      parts: the rows.
      asking: what is asked of whom.
      answers: the folder that answers are kept in.
      known: a file of the requests that need no call, as `known_line` writes them.
      lines: the beginning of the names of the files that are written: an outcome a line, or, if any row is
        refused, nothing but what is wrong with each. `outcome_of` reads a line.
      concurrency: calls at a time in a process.
    """
    rows = (
        pipeline
        | "Parts" >> beam.Create(list(parts))
        | "Files" >> beam.ParDo(_Files())
        | "Spread files" >> beam.Reshuffle()
        | "Rows" >> beam.ParDo(_Rows(asking)).with_outputs(_PROBLEMS, main="examples")
    )
    once = (
        rows.examples
        | "By id" >> beam.GroupByKey()
        | "Each id once" >> beam.ParDo(_Once()).with_outputs(_PROBLEMS, main="examples")
    )
    problems = (rows[_PROBLEMS], once[_PROBLEMS]) | "Problems" >> beam.Flatten()
    refused = beam.pvalue.AsSingleton(problems | "Count problems" >> beam.combiners.Count.Globally())
    answered = pipeline | "Known file" >> beam.Create([known]) | "Known" >> beam.FlatMap(_known)
    outcomes = (
        (once.examples, answered)
        | "Examples and known" >> beam.Flatten()
        | "By request" >> beam.GroupByKey()
        | "Ask" >> beam.ParDo(_Ask(asking, answers, concurrency), refused)
    )
    _ = (outcomes, problems) | "All" >> beam.Flatten() | "Write" >> beam.io.WriteToText(lines)


def known_line(key: str, finish_reason: str | None) -> str:
    """A request that needs no call, as the pipeline reads it."""
    return json.dumps([key, finish_reason])


def outcome_of(line: str) -> Outcome | str:
    """An outcome, as the pipeline has written it; text if the line is a problem."""
    fields = json.loads(line)
    if isinstance(fields, str):
        return fields
    answer = fields.pop("answer")
    if answer is not None:
        answer = Answer(Completion(**answer["completion"]), answer["time"])
    return Outcome(**fields | {"ids": tuple(fields["ids"]), "answer": answer})


def lines_of(path: str) -> Iterator[str]:
    """The lines of a file, wherever it is."""
    with FileSystems.open(path) as file:
        yield from (line.decode() for line in file)


def files_of(pattern: str) -> list[str]:
    """The names of the files that a pattern stands for, wherever they are."""
    return [each.path for each in FileSystems.match([absolute(pattern)])[0].metadata_list]


def absolute(path: str) -> str:
    """A path as Beam wants it: one without a scheme is local, and must not depend on where it is used."""
    return path if "://" in path else os.path.abspath(path)


class _Files(beam.DoFn):
    """(part, file name) for each file of a `Part`; None as the name if there is none.

    Beam checks the hints of `process`, and knows no protocol: so a part is any value.
    """

    def process(self, part: Any) -> Iterator[tuple[Any, str | None]]:
        files: list[str | None] = [*files_of(part.place)] if part.place is not None else []
        yield from ((part, path) for path in files or [None])


class _Rows(beam.DoFn):
    """(id, example) for each row of a file; the first bad row of a file ends it."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def process(self, element: tuple[Any, str | None]) -> Iterator[Any]:
        try:
            yield from ((example.id, example) for example in self._examples(*element))
        except DataError as error:
            yield _problem(" ".join(str(error).splitlines()))

    def _examples(self, part: Part, path: str | None) -> Iterator[Example]:
        if part.place is not None and path is None:
            raise DataError(f"{part.place}: expected a file or several, found none; check the path.")
        with FileSystems.open(path) if path is not None else nullcontext() as file:
            for where, row in part.rows(file, path or ""):
                yield self._asking.example(where, part.split, row)


class _Once(beam.DoFn):
    """(key, example) for each id that comes once."""

    def process(self, element: tuple[str, Iterable[Example]]) -> Iterator[Any]:
        first, *others = sorted(element[1], key=lambda each: (each.where, each.split))
        if not others:
            yield first.key, first
            return
        yield _problem(
            f"{others[0].where}: expected each id once, but {first.id!r} is at {first.where} too; "
            "make the ids differ."
        )


def _problem(text: str) -> beam.pvalue.TaggedOutput:
    return beam.pvalue.TaggedOutput(_PROBLEMS, json.dumps(text))


def _known(path: str) -> Iterator[tuple[str, str]]:
    return ((json.loads(line)[0], line) for line in lines_of(path))


class _Ask(beam.DoFn):
    """The outcome of each request, as a line; many are asked at a time, and come as they are answered."""

    def __init__(self, asking: Asking, answers: str, concurrency: int) -> None:
        self._asking, self._answers, self._concurrency = asking, answers, concurrency
        self._shared = Shared()
        self._counters = {name: Metrics.counter(NAMESPACE, name) for name in COUNTERS}

    def setup(self) -> None:
        self._asker = self._shared.acquire(
            lambda: Asker(self._asking.client, Answers(self._answers), self._concurrency)
        )

    def start_bundle(self) -> None:
        self._calls: dict[Future[Reply], Outcome] = {}

    def process(self, element: tuple[str, Iterable[Example | str]], refused: int) -> Iterator[str]:
        key, group = element
        examples = [each for each in group if not isinstance(each, str)]
        known = [each for each in group if isinstance(each, str)]
        if refused or not examples:
            return
        outcome = Outcome(key, tuple(sorted(each.id for each in examples)))
        if known:
            yield _line(outcome, finish_reason=json.loads(known[0])[1])
            return
        example = min(examples)
        request = self._asking.request(example.split, {"id": example.id, **example.fields})
        self._calls[self._asker.submit(key, request)] = outcome
        while len(self._calls) >= self._concurrency:
            yield from self._answered()

    def finish_bundle(self) -> Iterator[Any]:
        while self._calls:
            yield from map(GlobalWindows.windowed_value, self._answered())

    def _answered(self) -> Iterator[str]:
        """Waits for a call, and gives all that are answered."""
        for call in wait(self._calls, return_when=FIRST_COMPLETED).done:
            outcome, reply = self._calls.pop(call), call.result()
            self._count(reply)
            yield _line(
                outcome,
                answer=reply.answer and asdict(reply.answer),
                finish_reason=reply.answer and reply.answer.completion.finish_reason,
                failure=reply.failure,
                hopeless=reply.hopeless,
            )

    def _count(self, reply: Reply) -> None:
        if reply.failure:
            self._counters["failures"].inc()
        if reply.called and reply.answer is not None:
            completion = reply.answer.completion
            self._counters["calls"].inc()
            self._counters["prompt_tokens"].inc(completion.prompt_tokens or 0)
            self._counters["completion_tokens"].inc(completion.completion_tokens or 0)
            self._counters["cached_tokens"].inc(completion.cached_tokens or 0)


def _line(outcome: Outcome, **fields: Any) -> str:
    return json.dumps({**asdict(outcome), **fields})
