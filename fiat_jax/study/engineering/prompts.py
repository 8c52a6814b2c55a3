"""The reasoning prompt of a task, searched."""

import json
from pathlib import Path

from fiat_jax.data.tasks import Task
from fiat_jax.reasoning import Client, Prompt
from fiat_jax.reasoning.search import Candidate, Demonstration, Outcome, Row
from fiat_jax.records import fill, template_fields, write_whole
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
    marker: str = "The answer is:",
    metric: str = "f1",
) -> Outcome:
    """Searches a reasoning prompt, scored by the answers that the large model gives under it.

    Args:
      run_dir: gets calls.sqlite, history.jsonl, history.svg, report.html and, at the end, result.json,
        prompt.gin and, where there are exemplars, exemplars.jsonl.
      task: its training examples and its metric.
      prompt: the start.
      client: the large model.
      engineering: how.
      proposer: who writes instructions; by default the client.
      marker: what an answer stands after.
      metric: which value of the task's metric.

    Raises:
      BudgetReached, CallError, InterruptedRun, KeyboardInterrupt: as `Ledger.ask`; the same call goes on.
      ConfigError, DataError: a setting, the prompt or a row is wrong.
    """
    forbidden = (task.answer_field, *template_fields(task.template.target))
    given = prompt.worked(forbidden)
    without = [text for each in given for text in (each.id, each.input) if text]

    def text(row: Row) -> str:
        return fill(prompt.input, row)

    sliced = slice_train(task, engineering.slices, text, without)
    with open_ledger(run_dir, client, engineering) as ledger:
        scorer = AnswerScorer(task, prompt, ledger, marker, metric)
        shown = [Demonstration(row["id"], text(row), task.answers(row)[0]) for row in sliced.propose]
        start = Candidate("start", prompt.instruction)
        outcome = run_search(run_dir, start, shown, sliced, scorer, ledger, engineering, proposer)
    _write_prompt(run_dir, scorer.prompt_of(outcome.chosen))
    return outcome


def _write_prompt(run_dir: Path, prompt: Prompt) -> None:
    """Writes a prompt as gin, with its exemplars beside it."""
    place = prompt.exemplars
    if place and not isinstance(place, str):
        rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in place)
        place = str(run_dir / "exemplars.jsonl")
        write_whole(place, rows)
    fields = {"input": prompt.input, "instruction": prompt.instruction, "exemplars": place}
    write_whole(
        run_dir / "prompt.gin", "".join(f"Prompt.{name} = {value!r}\n" for name, value in fields.items())
    )
