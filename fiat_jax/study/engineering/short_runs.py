"""A short tuning run under each instruction, on examples that nothing is scored on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.reasoning.search import Row
from fiat_jax.records import write_whole
from fiat_jax.study.evaluation import best_weights
from fiat_jax.study.experiment import Experiment, Network
from fiat_jax.study.tuning import Tuning, tune
from fiat_jax.typing import Variables


class ShortRuns:
    """Runs of `fiat train`, one an instruction, each in a folder of its own.

    Args:
      folder: where those are; gets train.jsonl.
      experiment: what is tuned.
      tuning: how; a few steps.
      rows: what is tuned on.
    """

    def __init__(self, folder: Path, experiment: Experiment, tuning: Tuning, rows: Sequence[Row]) -> None:
        self._folder, self._experiment, self._tuning = folder, experiment, tuning
        self._languages = tuple(sorted({row["language"] for row in rows} - {""}))
        self._train = folder / "train.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._train, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def weights(self, name: str, task: Task, network: Network) -> Variables:
        """What a run under an instruction has learned; it is made, or gone on with, where that is not there.

        Args:
          name: the candidate's.
          task: with its instruction.
          network: what the weights are for.
        """
        what = f"{self._folder.absolute()} {task.template.instruction}"
        own = replace(
            task,
            name=f"{task.name}_{hashlib.sha256(what.encode()).hexdigest()[:12]}",  # seqio knows one once
            source=Jsonl(train=str(self._train)),
            languages=self._languages,
            mean_of=(),
            groups={},
            id_field="id",
            language_field="language",
            holdout=0,
            regime=None,
        )
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        ended = folder / "ended"
        if not ended.exists():
            tune(folder, replace(self._experiment, task=own), self._tuning)
            ended.touch()
        return best_weights(folder, network)[0]
