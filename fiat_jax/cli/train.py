"""`fiat train`: tunes a model, or goes on with a run."""

from fiat_jax.paths import at
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.tuning import Tuning, tune


def train(run_dir: str, experiment: Experiment, tuning: Tuning) -> None:
    """Tunes an adapter, or the base itself, on a task.

    Args:
      run_dir: the run folder; the same command goes on from its last checkpoint.
      experiment: what is tuned on what.
      tuning: how long, how fast, and how it is checked on the way.
    """
    tune(at(run_dir), experiment, tuning)
    print(f"{run_dir}: done; `fiat eval --run_dir {run_dir}` scores it.")
