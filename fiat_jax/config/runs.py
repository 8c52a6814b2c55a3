"""Runs opened again from their folders, in Python as on the command line."""

from pathlib import Path

from fiat_jax.config.configuration import parse
from fiat_jax.decoding.search import Greedy, Search
from fiat_jax.errors import ConfigError
from fiat_jax.paths import at
from fiat_jax.reasoning import Client, Prompt
from fiat_jax.study.bounds import Bounds
from fiat_jax.study.cascading import Cascade
from fiat_jax.study.drafting import Draft
from fiat_jax.study.predictor import Predictor
from fiat_jax.study.rationales import Reasoner


def saved(run_dir: str | Path) -> str:
    """The configuration that a run folder holds.

    Raises:
      ConfigError: there is none.
    """
    path = at(run_dir) / "config.gin"
    if not path.exists():
        raise ConfigError(
            f"{run_dir}: expected the folder of a run, but {path} is not there; check the path."
        )
    return str(path)


def open_predictor(
    run_dir: str | Path,
    *,
    search: Search = Greedy(),
    bounds: Bounds | None = None,
    rationales: str | None = None,
    client: Client | None = None,
    prompt: Prompt | None = None,
    batch_size: int = 32,
    draft: Draft | None = None,
    concurrency: int = 8,
    cascade: Cascade | None = None,
) -> Predictor:
    """Loads the best checkpoint of a run, to answer rows with.

    Paths in the run's config.gin that are not absolute start from the working directory, as they did when
    it was tuned. What this process has bound in gin itself is replaced.

    Args:
      run_dir: the run folder, here or in a bucket.
      search: how an answer's tokens are chosen: `Greedy`, `Sample` or `BeamSearch`.
      bounds: what answers may be; None for anything.
      rationales: the rationale store or JSONL of the rows; by default the task's.
      client: the large model, asked for rationales that the store lacks.
      prompt: what to ask it; by default the task's.
      batch_size: rows at a time; changes no answer.
      draft: a small T5 that runs ahead; made for few rows at a time.
      concurrency: calls of the large model at a time.
      cascade: asks the large model only about rows whose answer without it is unsure; None for about all.

    Raises:
      ConfigError: it is no run folder, its run has no checkpoint, or a setting is wrong.
      ConfigError, DataError: as `study.experiment.assemble`.
    """
    experiment = parse("Experiment", [saved(run_dir)]).run()
    reasoner = Reasoner(rationales, client, prompt or experiment.task.prompt, concurrency)
    predictor = Predictor(at(run_dir), experiment, search, reasoner, batch_size, bounds, draft, cascade)
    _ = predictor.decoder  # what is wrong with the run shows now
    return predictor
