"""The tuning instruction of a task, searched."""

from pathlib import Path

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import Client
from fiat_jax.reasoning.search import Bootstrap, Candidate, Demonstration, Outcome, Row
from fiat_jax.records import write_whole
from fiat_jax.study.engineering.likelihoods import LikelihoodScorer
from fiat_jax.study.engineering.running import Engineering, open_ledger, run_search
from fiat_jax.study.engineering.short_runs import ShortRuns
from fiat_jax.study.engineering.slices import slice_train
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.tuning import Tuning


def search_instruction(
    run_dir: Path,
    experiment: Experiment,
    client: Client,
    engineering: Engineering,
    proposer: Client | None = None,
    tuning: Tuning | None = None,
    batch_size: int = 32,
) -> Outcome:
    """Searches a tuning instruction, scored by how likely the tuned model finds the targets under it.

    Args:
      run_dir: as for `search_prompt`, with Template.instruction in prompt.gin, and with short runs in tuned/.
      experiment: the base, the task and the variant.
      client, engineering, proposer: as for `search_prompt`; the client writes instructions, if no other does.
      tuning: a short run that each instruction gets, on the examples that proposals see; None to score the
        base as it is.
      batch_size: rows at a time; changes no score.

    Raises:
      As `search_prompt`.
    """
    if any(isinstance(method, Bootstrap) for method in engineering.methods):
        raise ConfigError(
            "engineer.methods: expected methods that search an instruction, found Bootstrap, which searches "
            "exemplars of the reasoning prompt; leave it out."
        )
    task = experiment.task
    if task.template.instructions:
        raise ConfigError(
            "Template.instructions: expected none, since one is searched from Template.instruction, found "
            f"{task.template.instructions}; put the one to start from there, and leave the others out."
        )

    def text(row: Row) -> str:
        return task.template.compose("plain", task.filling(row))

    sliced = slice_train(task, engineering.slices, text)
    short = None if tuning is None else ShortRuns(run_dir / "tuned", experiment, tuning, sliced.propose)
    scorer = LikelihoodScorer(experiment, batch_size, [*sliced.score, *sliced.confirm], short)
    shown = [Demonstration(row["id"], text(row), task.target(row)) for row in sliced.propose]
    start = Candidate("start", task.template.instruction)
    with open_ledger(run_dir, client, engineering) as ledger:
        outcome = run_search(run_dir, start, shown, sliced, scorer, ledger, engineering, proposer)
    write_whole(run_dir / "prompt.gin", f"Template.instruction = {outcome.chosen.instruction!r}\n")
    return outcome
