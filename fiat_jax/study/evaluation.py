"""A run scored on a split."""

import json
from dataclasses import dataclass
from pathlib import Path

from fiat_jax.checkpoints import CheckpointStore
from fiat_jax.data.pipeline import Counts, load_examples
from fiat_jax.decoding.search import Greedy, Search
from fiat_jax.errors import ConfigError
from fiat_jax.parallel.hosts import check_same, is_first
from fiat_jax.paths import append
from fiat_jax.study.answering import answer, scores, write_predictions
from fiat_jax.study.experiment import Experiment, Network, assemble
from fiat_jax.study.report import write_report
from fiat_jax.study.tuning import BEST, fingerprint, restore_learned
from fiat_jax.typing import Variables


@dataclass(frozen=True)
class Scored:
    """Scores of a run on a split.

    Attributes:
      split: which examples.
      step: the checkpoint's.
      metrics: as `answering.scores` gives them.
      counts: examples by language; '' stands for all.
    """

    split: str
    step: int
    metrics: dict[str, float]
    counts: dict[str, Counts]

    def table(self) -> str:
        """A line a language, then the mean over languages."""
        lines = [
            f"{self.split}, checkpoint of step {self.step}",
            f"{'':<10}{'F1':>7}{'EM':>7}{'n':>7}{'cut':>6}",
        ]
        for language, count in self.counts.items():
            prefix = f"{language}_" if language else ""
            f1, em = (self.metrics[f"{prefix}{name}"] for name in ("f1", "em"))
            label = language or ("mean" if len(self.counts) > 1 else "all")
            lines.append(f"{label:<10}{f1:7.1f}{em:7.1f}{count.examples:7}{count.cut:6}")
        return "\n".join(lines)


def evaluate_run(
    run_dir: Path, experiment: Experiment, split: str, batch_size: int, search: Search = Greedy()
) -> Scored:
    """Answers a split with the best checkpoint, and adds predictions and scores to the run folder.

    Raises:
      ConfigError: the run has no checkpoint yet.
      ConfigError, DataError: as `load_examples` and `assemble`.
    """
    task = experiment.task
    examples = load_examples(task, experiment.variant, split)
    check_same("examples", fingerprint(examples))
    network = assemble(experiment, seed=0)
    weights, step = best_weights(run_dir, network)
    texts, means = answer(network, weights, examples, task, batch_size, search)
    languages = sorted(set(examples.languages) - {""})
    counts = {language: examples.counts(language) for language in languages} | {"": examples.counts()}
    scored = Scored(split, step, scores(examples, texts, means), counts)
    if is_first():
        write_predictions(run_dir / "predictions" / f"{split}.jsonl", examples, texts)
        row = json.dumps({"step": step, "split": split, **scored.metrics})
        append(run_dir / "metrics.jsonl", row + "\n")
        write_report(run_dir)
    return scored


def best_weights(run_dir: Path, network: Network) -> tuple[Variables, int]:
    """The best checkpoint's weights, for `network.answering`, and its step.

    Raises:
      ConfigError: there is none.
    """
    store = open_checkpoints(run_dir)
    try:
        step = store.best()
        assert step is not None
        return network.merged(restore_learned(store, step, network)), step
    finally:
        store.close()


def open_checkpoints(run_dir: Path) -> CheckpointStore:
    """The checkpoints of a run, of which there is at least one; the caller closes them.

    Raises:
      ConfigError: there is none.
    """
    folder = run_dir / "checkpoints"
    store = CheckpointStore(folder, best=BEST) if folder.is_dir() else None
    if store is None or store.latest() is None:
        raise ConfigError(
            f"{run_dir}: expected the folder of a trained run, found no checkpoint; run `fiat train` first."
        )
    return store
