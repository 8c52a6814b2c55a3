"""Training checkpoints: the last one to go on from, and the best one to use."""

import logging
import threading
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from fiat_jax.checkpoints.inspection import METADATA, METRICS, flaw, kept_steps, read_json, refuse_links
from fiat_jax.errors import DataError
from fiat_jax.parallel.hosts import agreed, is_first
from fiat_jax.paths import absolute

_policies = ocp.training.preservation_policies
_NONE = -1
_alone = threading.Lock()  # Orbax mixes up what the threads of a process save at the same time
_log = logging.getLogger(__name__)


class CheckpointStore:
    """The checkpoints of a run, one numbered folder a step; writing goes on in the background.

    A checkpoint that is not whole is named in a warning and passed over. In a job of several processes, each
    writes and reads its shards, the first one looks for what is there, and all ask at once.

    Args:
      folder: where they lie; made when one is written.
      best: name of the validation metric whose highest value marks the best checkpoint, or None when there
        is no validation and the last is the best.

    Attributes:
      folder: as given.

    Raises:
      DataError: there is a link in the folder, which may lead out of it.
    """

    def __init__(self, folder: Path, best: str | None = None) -> None:
        logging.getLogger("absl").setLevel(logging.ERROR)
        self.folder, self._best = folder, best
        self._writer: ocp.training.Checkpointer | None = None
        self._flaws: dict[int, str | None] = {}
        if is_first():
            refuse_links(folder)

    def save(
        self, step: int, parts: dict[str, Any], metrics: dict[str, float] | None, note: dict[str, Any]
    ) -> None:
        """Writes trees of arrays at a step; returns while the files are still being written.

        Not so in other threads than the main one, which write one after another.

        Args:
          step: the step they belong to.
          parts: trees by name; each can be read alone.
          metrics: validation metrics at that step.
          note: plain JSON values kept beside them, such as what data they were learned from.
        """
        with _alone:
            writer = self._opened()
            self._flaws.pop(step, None)
            writer.save_checkpointables_async(
                step, dict(parts), metrics=metrics, custom_metadata=note, overwrite=True
            )
            if threading.current_thread() is not threading.main_thread():
                writer.wait()

    def steps(self) -> list[int]:
        """The steps whose checkpoints are whole."""
        self._wait()
        steps = kept_steps(self.folder)
        for step in steps:
            if step not in self._flaws:
                self._flaws[step] = flaw(self.folder / str(step))
                if self._flaws[step]:
                    _log.warning(
                        "%s: passed over, as it is broken: %s", self.folder / str(step), self._flaws[step]
                    )
        return [step for step in steps if self._flaws[step] is None]

    def latest(self) -> int | None:
        """The step to go on from."""
        self._wait()
        return _agreed(max(self.steps(), default=None) if is_first() else None)

    def best(self) -> int | None:
        """The step with the highest validation metric; the latest step without one."""
        self._wait()
        scored = []
        if (name := self._best) and is_first():
            known = [(step, self.metrics(step)) for step in self.steps()]
            scored = [(metrics[name], step) for step, metrics in known if metrics]
        best = _agreed(max(scored)[1] if scored else None)
        return self.latest() if best is None else best

    def metrics(self, step: int) -> dict[str, float] | None:
        """Validation metrics of a step."""
        path = self.folder / str(step) / METRICS / METRICS
        return read_json(path) if path.exists() else None

    def note(self, step: int) -> dict[str, Any]:
        """What was kept beside the arrays of a step."""
        return read_json(self.folder / str(step) / METADATA).get("custom_metadata") or {}

    def restore(self, step: int, parts: dict[str, Any]) -> dict[str, Any]:
        """Reads some parts of a step.

        Args:
          step: a step of this store.
          parts: trees of `jax.ShapeDtypeStruct`s by name, with the shardings to read into, which may be
            others than those that were written, as may the dtypes.

        Raises:
          DataError: the files do not hold those trees.
        """
        folder = self.folder / str(step)
        try:
            with _alone:
                return ocp.load_checkpointables(absolute(folder), parts)
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise DataError(
                f"{folder}: expected a checkpoint of this experiment, found another or a broken one "
                f"({str(error).splitlines()[0][:200]}); start in a new run folder."
            ) from error

    def close(self) -> None:
        """Waits for what is being written."""
        if self._writer is not None:
            self._writer.close()

    def _wait(self) -> None:
        if self._writer is not None:
            self._writer.wait()

    def _opened(self) -> ocp.training.Checkpointer:
        """Orbax's own store. It is given whole checkpoints only: it would keep a broken one as the last."""
        if self._writer is not None:
            return self._writer
        if is_first():
            for step in set(kept_steps(self.folder)) - set(self.steps()):
                (self.folder / str(step)).rename(self.folder / f"broken-{step}")
        agreed(0)  # the others wait here
        keep = [_policies.LatestN(1)]
        if name := self._best:
            keep.append(
                _policies.BestN(
                    get_metric_fn=lambda metrics: metrics[name], n=1, keep_checkpoints_without_metrics=False
                )
            )
        self._writer = ocp.training.Checkpointer(
            absolute(self.folder),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=_policies.AnyPreservationPolicy(keep),
            cleanup_tmp_directories=True,
        )
        return self._writer


def _agreed(step: int | None) -> int | None:
    step = agreed(_NONE if step is None else step)
    return None if step == _NONE else step


def abstract_like(tree: Any, shardings: Any) -> Any:
    """The shapes and dtypes of a tree, with where each array is to lie."""
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), tree, shardings)
