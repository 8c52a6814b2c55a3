"""Runs made of adapters from elsewhere, and what a run has learned taken elsewhere."""

from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import jax

from fiat_jax.adapters import Learnable
from fiat_jax.checkpoints import CheckpointStore, abstract_like, read_adapter, write_adapter
from fiat_jax.checkpoints.derived import check_new, write_like
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5, T5Config
from fiat_jax.parallel import shardings
from fiat_jax.study.evaluation import open_checkpoints
from fiat_jax.study.experiment import Experiment, abstract_variables
from fiat_jax.study.tuning import check_base
from fiat_jax.typing import Params


def import_run(run_dir: Path, experiment: Experiment, folder: Path) -> Experiment:
    """Makes a run folder of a PEFT adapter: its one checkpoint, of step 0, and adapter/.

    Args:
      run_dir: the run folder.
      experiment: its task and base; whatever adapter it names is not read.
      folder: of the adapter.

    Returns:
      The experiment with the adapter's settings.

    Raises:
      ConfigError, DataError: as `read_adapter` and `Base.open`.
    """
    pretrained = experiment.base.open()
    config, fingerprint = pretrained.config, pretrained.fingerprint()
    adapter, weights = read_adapter(folder, config, fingerprint)
    store = CheckpointStore(run_dir / "checkpoints")
    try:
        store.save(0, {"learned": {"adapter": weights}}, None, {"base": fingerprint})
    finally:
        store.close()
    write_adapter(run_dir / "adapter", adapter, weights, config, experiment.base.path, fingerprint)
    return replace(experiment, adapter=adapter)


def export_run(run_dir: Path, experiment: Experiment, output: Path, step: int | None = None) -> int:
    """Writes what a run has learned: an adapter as a PEFT folder, a whole model as a Hugging Face folder.

    The base's weights are not read.

    Args:
      run_dir: the run folder.
      experiment: what was tuned on what.
      output: a new folder.
      step: the checkpoint; None for the best.

    Returns:
      The checkpoint's step.

    Raises:
      ConfigError: there is no such checkpoint, or the folder is not empty.
      DataError: the checkpoint is for another base.
    """
    check_new(output)
    base, adapter = experiment.base, experiment.adapter
    pretrained = base.open()
    config, fingerprint = pretrained.config, pretrained.fingerprint()
    learned, step = read_learned(run_dir, adapter, config, fingerprint, experiment.mesh.build(), step)
    if adapter is None:
        write_like(output, base.path, config, learned)
    else:
        write_adapter(output, adapter, learned, config, base.path, fingerprint)
    return step


def read_learned(
    run_dir: Path,
    adapter: Learnable | None,
    config: T5Config,
    fingerprint: str,
    mesh: jax.sharding.Mesh,
    step: int | None = None,
) -> tuple[Params, int]:
    """Reads what a run has learned, without its base.

    Args:
      run_dir: the run folder.
      adapter: of the run; None where it has learned the base itself.
      config: of the base.
      fingerprint: of the base.
      mesh: where the arrays are to lie.
      step: the checkpoint; None for the best.

    Returns:
      The collection 'adapter', or 'params' without one, and the checkpoint's step.

    Raises:
      ConfigError: there is no such checkpoint.
      DataError: the checkpoint is for another base.
    """
    name = "params" if adapter is None else "adapter"
    shapes = abstract_variables(T5(config, adapter))
    places = shardings(shapes, mesh)[name]
    store = open_checkpoints(run_dir)
    try:
        step = _chosen(store, step)
        if adapter is not None:
            check_base(store, step, fingerprint)
        wanted = {name: abstract_like(nn.unbox(shapes[name]), places)}
        return store.restore(step, {"learned": wanted})["learned"][name], step
    finally:
        store.close()


def _chosen(store: CheckpointStore, step: int | None) -> int:
    """The step itself, or the best.

    Raises:
      ConfigError: there is no checkpoint of that step.
    """
    known = store.steps()
    if step is None:
        step = store.best()
    if step not in known:
        kept = ", ".join(map(str, known)) or "none"
        raise ConfigError(f"{store.folder}: expected a checkpoint of step {step}, found those of {kept}.")
    return step
