"""Training checkpoints: the last one to go on from, and the best one to use."""

import logging
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from fiat_jax.errors import DataError

_policies = ocp.training.preservation_policies


class CheckpointStore:
    """The checkpoints of a run, one numbered folder a step; writing goes on in the background.

    Args:
      folder: where they lie; made when absent.
      best: name of the validation metric whose highest value marks the best checkpoint, or None when there
        is no validation and the last is the best.

    Attributes:
      folder: as given.
    """

    def __init__(self, folder: Path, best: str | None = None) -> None:
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._best = best
        keep = [_policies.LatestN(1)]
        if best:
            keep.append(
                _policies.BestN(
                    get_metric_fn=lambda metrics: metrics[best], n=1, keep_checkpoints_without_metrics=False
                )
            )
        self.folder = folder
        self._checkpointer = ocp.training.Checkpointer(
            folder.absolute(),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=_policies.AnyPreservationPolicy(keep),
            cleanup_tmp_directories=True,
        )

    def save(
        self, step: int, parts: dict[str, Any], metrics: dict[str, float] | None, note: dict[str, Any]
    ) -> None:
        """Writes trees of arrays at a step; returns while the files are still being written.

        Args:
          step: the step they belong to.
          parts: trees by name; each can be read alone.
          metrics: validation metrics at that step.
          note: plain JSON values kept beside them, such as what data they were learned from.
        """
        self._checkpointer.save_checkpointables_async(
            step, parts, metrics=metrics, custom_metadata=note, overwrite=True
        )

    def steps(self) -> list[int]:
        """The steps that are kept."""
        return [c.step for c in self._checkpointer.checkpoints]

    def latest(self) -> int | None:
        """The step to go on from."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """The step with the highest validation metric; the latest step without one."""
        name = self._best
        scored = [(c.metrics[name], c.step) for c in self._checkpointer.checkpoints if name and c.metrics]
        return max(scored)[1] if scored else self.latest()

    def metrics(self, step: int) -> dict[str, float] | None:
        """Validation metrics of a step."""
        return next((c.metrics for c in self._checkpointer.checkpoints if c.step == step), None)

    def note(self, step: int) -> dict[str, Any]:
        """What was kept beside the arrays of a step."""
        self._checkpointer.wait()
        return dict(self._checkpointer.metadata(step).custom_metadata or {})

    def restore(self, step: int, parts: dict[str, Any]) -> dict[str, Any]:
        """Reads some parts of a step.

        Args:
          step: a step of this store.
          parts: trees of `jax.ShapeDtypeStruct`s by name, with the shardings to read into.

        Raises:
          DataError: the files do not hold those trees.
        """
        self._checkpointer.wait()
        try:
            return self._checkpointer.load_checkpointables(step, parts)
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise DataError(
                f"{self.folder / str(step)}: expected a checkpoint of this experiment, found another or a "
                f"broken one ({str(error).splitlines()[0][:200]}); start in a new run folder."
            ) from error

    def close(self) -> None:
        """Waits for what is being written."""
        self._checkpointer.close()


def abstract_like(tree: Any, shardings: Any) -> Any:
    """The shapes and dtypes of a tree, with where each array is to lie."""
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), tree, shardings)
