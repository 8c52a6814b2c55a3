"""One base loaded once, and what several runs have learned on it, to answer with in one batch."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fiat_jax.adapters import BASE, LoRA, bank, check_kind
from fiat_jax.data.tasks import Task
from fiat_jax.data.vocabularies import find_vocabulary
from fiat_jax.errors import ConfigError, DataError, did_you_mean
from fiat_jax.models import T5, T5Config
from fiat_jax.parallel import shardings
from fiat_jax.parallel.hosts import check_same
from fiat_jax.study.exchange import read_learned
from fiat_jax.study.experiment import Experiment, abstract_variables, check_vocabulary
from fiat_jax.typing import Params, Variables


class Run(NamedTuple):
    """A finished run.

    Attributes:
      folder: of the run.
      experiment: as its config.gin has it.
    """

    folder: Path
    experiment: Experiment


@dataclass(frozen=True)
class AdapterBank:
    """A base with the adapters of several runs, placed on a mesh.

    Attributes:
      model: its adapter is the bank.
      mesh: where the arrays lie.
      variables: {'params', 'adapter'}; `adapters.for_rows` makes the latter that of a batch.
      numbers: of the adapters, by the names of their runs.
      steps: of their checkpoints, by the names of their runs.
    """

    model: T5
    mesh: jax.sharding.Mesh
    variables: Variables
    numbers: Mapping[str, int]
    steps: Mapping[str, int]

    def rows(self, names: Sequence[str | None]) -> np.ndarray:
        """The numbers [B] int32 of the adapters that the rows of a batch ask for; None for the bare base.

        Raises:
          ConfigError: there is no adapter of that name.
        """
        return np.array([BASE if name is None else self._number(name) for name in names], np.int32)

    def _number(self, name: str) -> int:
        if name not in self.numbers:
            raise ConfigError(
                f"expected the name of an adapter, found {name!r}; {did_you_mean(name, self.numbers)}"
            )
        return self.numbers[name]


def assemble_bank(experiment: Experiment, runs: Mapping[str, Run]) -> AdapterBank:
    """Loads a base once, and on it the best adapters of several runs.

    The runs may differ in task, template, variant and all settings of their LoRA. What rows of a batch share
    must be the same: base, dtype, quantisation, vocabulary and lengths.

    Args:
      experiment: the base, the mesh and the task whose vocabulary and lengths count; its adapter does not.
      runs: by the names that requests give.

    Raises:
      ConfigError: a run has no LoRA or no checkpoint, or differs in what must be the same.
      DataError: a run has learned on another base, or what is not finite.
      ConfigError, DataError: as `Base.open`.
    """
    expected = _shared(experiment)
    for name, run in runs.items():
        _check_run(name, run, expected)
    mesh, pretrained = experiment.mesh.build(), experiment.base.open()
    config, fingerprint = pretrained.config, pretrained.fingerprint()
    check_vocabulary(experiment.task.vocabulary, experiment.task.tokens(), experiment.base.path, config)
    check_same("base", fingerprint)
    members, steps = [], {}
    for name, run in runs.items():
        adapter, weights, steps[name] = _best(run, config, fingerprint, mesh)
        members.append((adapter, weights))
    settings, weights = bank(members)
    model = T5(config, settings)
    places = shardings(abstract_variables(model), mesh)
    variables = {
        "params": pretrained.params(places["params"]),
        "adapter": jax.device_put(weights, _without_rows(places["adapter"])),
    }
    numbers = {name: number for number, name in enumerate(runs)}
    return AdapterBank(model, mesh, variables, numbers, steps)


def _shared(experiment: Experiment) -> dict[str, Any]:
    """What all rows of a batch have in common, by the setting that says it."""
    base, task = experiment.base, experiment.task
    return {
        "Base.dtype": base.dtype,
        "Base.quantise": base.quantise,
        "Task.vocabulary": _vocabulary(task),
        "Task.inputs_length": task.inputs_length,
        "Task.targets_length": task.targets_length,
    }


def _vocabulary(task: Task) -> str:
    """A vocabulary by what is in its file, as the same may lie in several places."""
    file = find_vocabulary(task.vocabulary)
    return task.vocabulary if file is None else f"SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()}"


def _check_run(name: str, run: Run, expected: Mapping[str, Any]) -> None:
    check_kind(run.experiment.adapter, f"{name} ({run.folder})")
    for setting, found in _shared(run.experiment).items():
        if found != expected[setting]:
            raise ConfigError(
                f"{name} ({run.folder}): expected {setting} to be {expected[setting]!r}, as all of one batch "
                f"must have it, found {found!r}; answer with this run alone."
            )


def _best(run: Run, config: T5Config, fingerprint: str, mesh: jax.sharding.Mesh) -> tuple[LoRA, Params, int]:
    """A run's adapter, its weights in the best checkpoint, and that checkpoint's step."""
    adapter = run.experiment.adapter
    assert isinstance(adapter, LoRA)
    weights, step = read_learned(run.folder, adapter, config, fingerprint, mesh)
    if not all(jnp.isfinite(array).all() for array in jax.tree.leaves(weights)):
        raise DataError(
            f"{run.folder}: expected finite weights in the checkpoint of step {step}, found others, which "
            "would reach the answers of all adapters; leave this run out."
        )
    return adapter, weights, step


def _without_rows(places: Params) -> Params:
    """Places of a bank's arrays without those of the rows, which belong to a batch."""
    kept = {path: place for path, place in flatten_dict(places).items() if path[-1] != "rows"}
    return unflatten_dict(kept)
