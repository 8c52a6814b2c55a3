"""`fiat serve`: answers over HTTP with a run, or with several on one base."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial

from fiat_jax.config import parse
from fiat_jax.config.runs import saved
from fiat_jax.decoding.search import BeamSearch, Greedy, Sample
from fiat_jax.errors import ConfigError
from fiat_jax.paths import at
from fiat_jax.reasoning import Client, Prompt
from fiat_jax.serving.limits import Limits
from fiat_jax.serving.loading import load_runs
from fiat_jax.study.bank import Run
from fiat_jax.study.bounds import Bounds
from fiat_jax.study.cascading import Cascade
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.rationales import Reasoner


def serve(
    run_dir: str,
    experiment: Experiment,
    adapters: Mapping[str, str] | None = None,
    rationales: str | None = None,
    client: Client | None = None,
    prompt: Prompt | None = None,
    search: Greedy | Sample | BeamSearch = Greedy(),
    bounds: Bounds | None = None,
    batch_size: int = 32,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Limits = Limits(),
    cascade: Cascade | None = None,
) -> None:
    """Answers rows that come over HTTP with the best checkpoint of a run, until SIGTERM or Ctrl-C.

    Args:
      run_dir: the run folder; the folder's name is that of its adapter.
      experiment: what was tuned on what; read from the run folder.
      adapters: folders of other runs on the same base, by the names that requests give.
      rationales: the rationale store or JSONL of the rows; by default the task's.
      client: the large model, asked for rationales that the store lacks.
      prompt: what to ask it; by default the task's.
      search: how an answer's tokens are chosen.
      bounds: what answers may be, such as spans of the passage; None for anything.
      batch_size: rows that are decoded together; changes no answer.
      host: the address to listen on. There is no authentication: by default it is reached from this machine
        alone.
      port: 0 for one that is free.
      limits: what is refused, and when waiting ends.
      cascade: asks the large model only about rows whose answer without it is unsure.
    """
    try:
        from fiat_jax.serving.schemas import About
        from fiat_jax.serving.server import Server
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"serve: expected FastAPI and uvicorn, found no {error.name}; pip install 'fiat-jax[serve]'."
        ) from None
    runs = {at(run_dir).absolute().name: Run(at(run_dir), experiment)}
    for name, folder in (adapters or {}).items():
        if name in runs:
            raise ConfigError(f"serve.adapters: expected another name than {name!r}, which is {run_dir}.")
        runs[name] = Run(at(folder), parse("Experiment", [saved(folder)]).run())
    about = About(
        model=experiment.base.path,
        task=experiment.task.name,
        variant=experiment.variant,
        fields=experiment.task.input_names(),
        adapters=list(runs),
        limits=asdict(limits),
    )
    reasoner = Reasoner(rationales, client, prompt or experiment.task.prompt)
    load = partial(load_runs, runs, search, reasoner, batch_size, bounds, cascade)
    Server(load, about, limits, host, port).run()
