"""`fiat export`: what a run has learned, as a folder that other libraries load."""

from fiat_jax.paths import at
from fiat_jax.study.exchange import export_run
from fiat_jax.study.experiment import Experiment


def export(run_dir: str, experiment: Experiment, output: str, step: int | None = None) -> None:
    """Writes an adapter as a PEFT folder, or a model whose own weights were tuned as a Hugging Face folder.

    Args:
      run_dir: the run folder.
      experiment: what was tuned on what; read from the run folder.
      output: a new folder.
      step: of the checkpoint; by default the best.
    """
    step = export_run(at(run_dir), experiment, at(output), step)
    kind = "model" if experiment.adapter is None else type(experiment.adapter).__name__
    print(f"{output}: {kind} of step {step}")
