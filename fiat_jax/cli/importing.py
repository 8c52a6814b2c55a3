"""`fiat import`: a PEFT adapter becomes a run, to be scored, asked, merged or tuned further."""

from dataclasses import fields

from fiat_jax.adapters import Learnable
from fiat_jax.cli.runfolder import CONFIG
from fiat_jax.config import parse
from fiat_jax.paths import at
from fiat_jax.study.exchange import import_run
from fiat_jax.study.experiment import Experiment


def import_adapter(run_dir: str, experiment: Experiment, adapter: str) -> None:
    """Makes a run folder of an adapter that was tuned elsewhere.

    Args:
      run_dir: the run folder; its config.gin gets the adapter's settings.
      experiment: the task and the base; the adapter's settings are those of its folder.
      adapter: a folder as PEFT writes it, with LoRA, rsLoRA, DoRA, (IA)3 or a soft prompt.
    """
    found = import_run(at(run_dir), experiment, at(adapter)).adapter
    assert found is not None
    saved = at(run_dir) / CONFIG
    parse("import_adapter", [str(saved)], _bindings(found)).save(saved)
    print(f"{run_dir}: {type(found).__name__}; `fiat eval --run_dir {run_dir}` scores it.")


def _bindings(adapter: Learnable) -> list[str]:
    """An adapter's settings as gin."""
    kind = type(adapter).__name__
    values = [f"{kind}.{field.name}={getattr(adapter, field.name)!r}" for field in fields(adapter)]
    return [f"Experiment.adapter=@{kind}()", *values]
