"""The sweep of a gin file, and which of its cells share what."""

import argparse
from dataclasses import replace
from pathlib import Path

from fiat_jax.config import parse
from fiat_jax.study.comparing.running import jobs_of
from fiat_jax.study.comparing.setups import Setups
from fiat_jax.study.comparing.sweep import Cell


def arguments(what: str | None) -> argparse.ArgumentParser:
    """A parser of the arguments that say which sweep."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, nargs="+", help="gin files of `fiat compare`")
    parser.add_argument("--bind", default=[], nargs="*", metavar="NAME=VALUE", help="what wins over them")
    parser.add_argument("--run_dir", type=Path, required=True, help="the folder of the comparison")
    return parser


def setups_of(args: argparse.Namespace) -> tuple[Setups, str]:
    """The cells, with their token caches written, and the configuration as it is used."""
    configuration = parse("compare", args.config, [*args.bind, f"compare.run_dir={str(args.run_dir)!r}"])
    of = configuration.arguments
    setups = Setups(args.run_dir, of["experiment"], of["tuning"], of["sweep"])
    setups.check()
    setups.write_tokens()
    return setups, configuration.text


def runs_of(setups: Setups) -> list[list[Cell]]:
    """The cells that the model answers by the run that they share; those that are not tuned are alone."""
    return [list(job) for job in jobs_of(cell for cell in setups.cells if cell.paradigm.answers == "model")]


def choosers(setups: Setups, run: list[Cell]) -> list[str]:
    """The names of the cells any of which, once done, says at which rate a run is tuned."""
    wanted = {run[0].run, replace(run[0], seed=setups.sweep.seeds[0]).run}
    return [cell.name for cell in setups.cells if cell.paradigm.tuned and cell.run in wanted]
