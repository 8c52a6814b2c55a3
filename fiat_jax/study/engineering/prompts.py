"""The reasoning prompt of a task, searched."""

import json
from dataclasses import fields
from pathlib import Path

from fiat_jax.data.tasks import Task
from fiat_jax.reasoning import Client, Prompt
from fiat_jax.reasoning.exemplars import Exemplar
from fiat_jax.reasoning.search import Candidate, Demonstration, Outcome, Row
from fiat_jax.records import fill, write_whole
from fiat_jax.study.engineering.answers import AnswerScorer
from fiat_jax.study.engineering.running import Engineering, open_ledger, run_search
from fiat_jax.study.engineering.slices import slice_train


def search_prompt(
    run_dir: Path,
    task: Task,
    prompt: Prompt,
    client: Client,
    engineering: Engineering,
    proposer: Client | None = None,
    score: str | None = None,
) -> Outcome:
    """Searches a reasoning prompt, scored by the answers that the large model gives under it.

    Args:
      run_dir: gets calls.sqlite, history.jsonl, history.svg, report.html and, at the end, result.json,
        prompt.gin and, where there are exemplars, exemplars.jsonl.
      task: its training examples and its metrics.
      prompt: the start.
      client: the large model.
      engineering: how.
      proposer: who writes instructions; by default the client.
      score: which of the scores of an example; None for the first.

    Raises:
      BudgetReached, CallError, InterruptedRun, KeyboardInterrupt: as `Ledger.ask`; the same call goes on.
      ConfigError, DataError: a setting, the prompt or a row is wrong.
    """
    given = prompt.worked(task.labels())
    without = [text for each in given for text in (each.id, each.input) if text]

    def text(row: Row) -> str:
        return fill(prompt.input, row)

    sliced = slice_train(task, engineering.slices, text, without)
    with open_ledger(run_dir, client, engineering) as ledger:
        scorer = AnswerScorer(task, prompt, ledger, score)
        shown = [Demonstration(row["id"], text(row), task.answers(row)[0]) for row in sliced.propose]
        start = Candidate("start", prompt.instruction)
        outcome = run_search(run_dir, start, shown, sliced, scorer, ledger, engineering, proposer)
    _write_prompt(run_dir, scorer.prompt_of(outcome.chosen))
    return outcome


def _write_prompt(run_dir: Path, prompt: Prompt) -> None:
    """Writes a prompt as gin, with its exemplars beside it."""
    usual = {field.name: field.default for field in fields(Prompt)} | {"file": prompt.file}
    said = {name: value for name, value in vars(prompt).items() if value != usual[name]}
    if prompt.exemplars and not isinstance(prompt.exemplars, str):
        said["exemplars"] = str(run_dir / "exemplars.jsonl")
        write_whole(said["exemplars"], "".join(map(_line, prompt.exemplars, prompt.worked())))
    write_whole(
        run_dir / "prompt.gin", "".join(f"Prompt.{name} = {value!r}\n" for name, value in said.items())
    )


def _line(row: Row, exemplar: Exemplar) -> str:
    """An exemplar as a row of JSON lines, where the fields of its input are not apart."""
    flat = {**row, **dict(exemplar.fields), "rationale": exemplar.rationale}
    flat.pop("fields", None)
    return json.dumps(flat, ensure_ascii=False) + "\n"
