"""`fiat plan`: what a run will need and take, before it runs."""

import json
from typing import Any, Literal

import jax

from fiat_jax.errors import FiatError
from fiat_jax.parallel import chips
from fiat_jax.records import write_whole
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.fitting import Trial, memory_of, trials
from fiat_jax.study.planning import Work, useful_flops, work_of
from fiat_jax.study.tuning import Tuning


def plan(
    experiment: Experiment,
    tuning: Tuning,
    topology: str | None = None,
    program: Literal["train", "decode"] = "train",
    search: bool = True,
    output: str | None = None,
) -> None:
    """Compiles the step of a run, or its decoding, and says what it needs; nothing is loaded or run.

    Of the model, a folder with config.json is enough, and the data need not be there.

    Args:
      experiment: as for `fiat train`.
      tuning: as for `fiat train`; `eval_batch_size` examples are decoded at a time.
      topology: a TPU slice such as 'v5e:4x4' or 'v5p:2x2x4'; by default the devices at hand.
      program: 'train' for a step, 'decode' for answering a batch.
      search: whether to look for the smallest change with which it fits, where it does not.
      output: a JSON file to write it to as well.
    """
    training = program == "train"
    devices = chips.topology(topology) if topology else jax.devices()
    work = work_of(experiment, tuning, training)
    available, tried = memory_of(devices), []
    mesh = " x ".join(f"{axis} {size}" for axis, size in work.mesh.build(devices).shape.items())
    print(f"{_title(work, training)}\non {len(devices)} x {devices[0].device_kind}, {mesh}", flush=True)
    for trial in trials(work, devices, training, search):
        print(_verdict(trial, available), flush=True)
        tried.append(trial)
    last = tried[-1]
    useful = useful_flops(last.work) if training else None
    if last.estimate is not None:
        print(last.estimate.table(useful))
    if output:
        write_whole(output, json.dumps(_record(work, tried, available, useful), indent=2) + "\n")
    if not last.fits:
        raise FiatError(
            f"expected a run that fits {available / chips.GIB:.1f} GiB a chip, found none among what was "
            "tried; take more chips, a smaller batch or shorter inputs."
        )


def _title(work: Work, training: bool) -> str:
    what = "a training step" if training else "greedy decoding"
    learned = type(work.adapter).__name__ if work.adapter else "full fine-tuning"
    lengths = f"{work.inputs_length} to {work.targets_length} tokens"
    return f"{what} of {work.batch_size} examples, {lengths}: {learned}"


def _verdict(trial: Trial, available: float) -> str:
    needed = "more" if trial.needed is None else f"{trial.needed / chips.GIB:.2f} GiB"
    verdict = "fits" if trial.fits else "does not fit"
    return f"{', '.join(trial.changes) or 'as it is'}: {needed} of {available / chips.GIB:.1f} GiB, {verdict}"


def _record(work: Work, tried: list[Trial], available: float, useful: float | None) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        "batch_size": work.batch_size,
        "inputs_length": work.inputs_length,
        "targets_length": work.targets_length,
        "bytes_available": available,
        "useful_flops": useful,
        "tried": [
            {
                "changes": trial.changes,
                "fits": trial.fits,
                "bytes": trial.needed,
                "estimate": trial.estimate and trial.estimate.as_dict(useful),
            }
            for trial in tried
        ],
    }
