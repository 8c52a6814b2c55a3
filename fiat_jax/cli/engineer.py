"""`fiat engineer`: a better reasoning prompt, or a better tuning instruction."""

from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.paths import at
from fiat_jax.reasoning import Client, Prompt
from fiat_jax.reasoning.search import APE, OPRO, Bootstrap
from fiat_jax.study.engineering.instructions import search_instruction
from fiat_jax.study.engineering.prompts import search_prompt
from fiat_jax.study.engineering.running import Engineering
from fiat_jax.study.engineering.slices import Slices
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.tuning import Tuning


def engineer(
    run_dir: str,
    task: Task,
    client: Client,
    methods: tuple[APE | OPRO | Bootstrap, ...],
    prompt: Prompt | None = None,
    experiment: Experiment | None = None,
    tuning: Tuning | None = None,
    proposer: Client | None = None,
    slices: Slices = Slices(),
    finalists: int = 3,
    score: str | None = None,
    batch_size: int = 32,
    concurrency: int = 8,
    max_calls: int | None = None,
    seed: int = 0,
) -> None:
    """Searches the reasoning prompt, or the tuning instruction, on slices of the training split.

    Args:
      run_dir: the run folder; gets history.jsonl, report.html and prompt.gin. The same command goes on.
      task: whose training examples.
      client: the large model: it proposes, and answers under each reasoning prompt.
      methods: what finds candidates, in order: APE, OPRO, Bootstrap.
      prompt: the reasoning prompt to start from, to search that; by default the task's.
      experiment: to search the tuning instruction of its task instead, scored by its base.
      tuning: a short run that each tuning instruction gets; None to score the base as it is.
      proposer: who writes instructions; by default the client.
      slices: which training examples do what.
      finalists: how many of the best on the minibatch are scored on the whole slice.
      score: which score of an answer by the task's metrics, such as f1 or em; None for the first.
      batch_size: rows at a time, for tuning instructions; changes no score.
      concurrency: calls at a time.
      max_calls: how many calls the run folder may come to hold; None for any number.
      seed: of all that is drawn.
    """
    if experiment is None:
        prompt = prompt or task.prompt
    if (prompt is None) == (experiment is None):
        raise ConfigError(
            "engineer: expected either a prompt, to search the reasoning prompt, or an experiment, to search "
            f"the tuning instruction, found {'neither' if prompt is None else 'both'}; bind one of "
            "engineer.prompt = @Prompt() and engineer.experiment = @Experiment()."
        )
    folder = at(run_dir)
    how = Engineering(methods, slices, finalists, concurrency, max_calls, seed)
    if prompt is not None:
        outcome = search_prompt(folder, task, prompt, client, how, proposer, score)
    else:
        assert experiment is not None
        outcome = search_instruction(folder, experiment, client, how, proposer, tuning, batch_size)
    print(f"{run_dir}: {outcome}\n{folder / 'prompt.gin'} has it.")
