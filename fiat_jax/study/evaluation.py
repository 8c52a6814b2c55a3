"""A run scored on a split."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat_jax.checkpoints import CheckpointStore
from fiat_jax.data.given_labels import check_unaided, refusal
from fiat_jax.data.labels import right_labels
from fiat_jax.data.metrics import load_metrics
from fiat_jax.data.mixing import RationaleMix, check_mixed, deal, load_shown
from fiat_jax.data.pipeline import Counts, Examples, load_examples
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import describe_losses
from fiat_jax.decoding.rank import Rank
from fiat_jax.decoding.search import Greedy, Search
from fiat_jax.decoding.spans import Spans
from fiat_jax.errors import ConfigError
from fiat_jax.parallel.hosts import check_same, is_first
from fiat_jax.paths import append
from fiat_jax.reasoning.calls import GIVEN_LABEL
from fiat_jax.study.answering import Graded, answer, write_predictions
from fiat_jax.study.bases import Bases
from fiat_jax.study.bounds import Bounded, Bounds
from fiat_jax.study.calibrating import calibrate_ranking, calibrated
from fiat_jax.study.experiment import Experiment, Network, assemble
from fiat_jax.study.ranking import rank_examples
from fiat_jax.study.report import write_report
from fiat_jax.study.score_tables import aligned, label_tables, score_table
from fiat_jax.study.tuning import HEADLINE, fingerprint, restore_learned
from fiat_jax.typing import Variables


@dataclass(frozen=True)
class Scored:
    """Scores of a run on a split.

    Attributes:
      split: which examples.
      step: the checkpoint's.
      metrics: as `Graded.scores` gives them, with intervals; of ranked labels with those of `Ranking.metrics`
        instead of loss and accuracy of tokens.
      counts: examples of each of the task's places.
    """

    split: str
    step: int
    metrics: dict[str, float]
    counts: dict[str, Counts]

    def table(self) -> str:
        """A line a language, then groups and the mean over languages; then what is known of ranked labels."""
        shown = score_table(self.metrics)
        cut = ["cut", *(str(count.cut) for count in self.counts.values())]
        rows = [[*row, cell] for row, cell in zip(shown, cut, strict=True)]
        parts = [rows, *label_tables(self.metrics)]
        title = f"{self.split}, checkpoint of step {self.step}"
        lines = [title, *("\n".join(aligned(part)) for part in parts)]
        if (every := self.counts[""]).cut:
            lines.append(describe_losses(every.cut, every.losses))
        return "\n".join(lines)


def evaluate_run(
    run_dir: Path,
    experiment: Experiment,
    split: str,
    batch_size: int,
    search: Search = Greedy(),
    bounds: Bounds | None = None,
    rank: Rank | None = None,
    calibrate: bool = False,
    rationale_mix: RationaleMix | None = None,
    bases: Bases | None = None,
) -> Scored:
    """Answers a split with the best checkpoint, and adds predictions and scores to the run folder.

    Args:
      run_dir: the run folder; with `calibrate` it gets calibration.json too.
      experiment: what was tuned on what.
      split: which examples.
      batch_size: rows at a time; changes no answer.
      search: how an answer's tokens are chosen.
      bounds: what answers may be; None for anything.
      rank: labels to choose the answers from; None to write them.
      calibrate: whether to fit the temperature of the labels on this split.
      rationale_mix: what share of the examples is shown without rationale, or with another's; the split is
        then called after it, as in 'test.wrong25'.
      bases: as in `assemble`.

    Raises:
      ConfigError: the run has no checkpoint yet, there is nothing to calibrate, or a temperature of the
        folder is for something else.
      DataError: the run was tuned, or would be evaluated, with rationales that were written from the label.
      ConfigError, DataError: as `load_examples`, `assemble` and `right_labels`.
    """
    _check_calibration(rank, calibrate)
    check_mixed(rationale_mix, experiment.variant, "eval.rationale_mix")
    check_evaluable(run_dir, experiment)
    task, name = experiment.task, split
    load_metrics(task.metrics)
    if rationale_mix is None:
        examples = load_examples(task, experiment.variant, split)
    else:
        examples, name = load_shown(task, split, rationale_mix), f"{split}.{rationale_mix.label}"
    check_same("examples", fingerprint(examples))
    spans = None if bounds is None else _spans(examples, bounds, task, split)
    right = None if rank is None else right_labels(examples, task, rank.labels)
    network = assemble(experiment, 0, bases)
    weights, step = best_weights(run_dir, network)
    fields: list[dict[str, Any]] = [{}] * len(examples)
    places = task.places(examples.languages)
    if rank is None or right is None:
        texts, means = answer(network, weights, examples, task, batch_size, search, spans)
    else:
        rank = rank if calibrate else calibrated(run_dir, rank, step)
        ranking = rank_examples(network, weights, examples, task, batch_size, rank)
        if calibrate:
            ranking = calibrate_ranking(run_dir, ranking, right, split, step)
        texts, means, fields = ranking.labels, ranking.metrics(right, places), ranking.fields()
    if rationale_mix is not None:
        kinds = deal(rationale_mix, examples.ids).kinds
        fields = [{**more, "shown": kind} for more, kind in zip(fields, kinds, strict=True)]
    counts = {place: examples.counts(*languages) for place, languages in places.languages.items()}
    graded = Graded(task, examples, texts)
    scored = Scored(name, step, means | graded.scores(intervals=True), counts)
    if is_first():
        write_predictions(run_dir / "predictions" / f"{name}.jsonl", examples, texts, fields)
        row = json.dumps({"step": step, "split": name, **scored.metrics})
        append(run_dir / "metrics.jsonl", row + "\n")
        write_report(run_dir)
    return scored


def _spans(examples: Examples, bounds: Bounds, task: Task, split: str) -> list[Spans]:
    """What the answer of each example may be."""
    bounded = Bounded(bounds, task)
    by_id = {row["id"]: bounded.spans(row) for row in task.rows(split, task.languages)}
    return [by_id[id] for id in examples.ids]


def _check_calibration(rank: Rank | None, calibrate: bool) -> None:
    if calibrate and rank is None:
        raise ConfigError(
            "eval.calibrate: expected labels whose probabilities are calibrated, found none; "
            "set eval.rank = @Rank()."
        )
    if calibrate and rank is not None and rank.temperature is not None:
        raise ConfigError(
            f"Rank.temperature: expected None with eval.calibrate, which fits it, found {rank.temperature}."
        )


def check_evaluable(run_dir: Path, experiment: Experiment) -> None:
    """Makes sure that a run has nothing to do with rationales written from the label, now or when it tuned.

    Raises:
      ConfigError: the run has no checkpoint yet.
      DataError: it has.
    """
    check_unaided(experiment.task, experiment.variant)
    store = open_checkpoints(run_dir)
    try:
        step = store.best()
        assert step is not None
        found = store.note(step).get(GIVEN_LABEL)
    finally:
        store.close()
    if found:
        raise refusal(str(run_dir), found)


def best_weights(run_dir: Path, network: Network) -> tuple[Variables, int]:
    """The best checkpoint's weights, for `network.answering`, and its step.

    Raises:
      ConfigError: there is none.
    """
    with _best(run_dir) as (store, step):
        return network.merged(restore_learned(store, step, network)), step


def best_step(run_dir: Path) -> int:
    """The step of the best checkpoint.

    Raises:
      ConfigError: there is none.
    """
    with _best(run_dir) as (_, step):
        return step


@contextmanager
def _best(run_dir: Path) -> Iterator[tuple[CheckpointStore, int]]:
    """The checkpoints of a run, open, and the step of the best."""
    with closing(open_checkpoints(run_dir)) as store:
        step = store.best()
        assert step is not None
        yield store, step


def open_checkpoints(run_dir: Path) -> CheckpointStore:
    """The checkpoints of a run, of which there is at least one; the caller closes them.

    Raises:
      ConfigError: there is none.
    """
    folder = run_dir / "checkpoints"
    store = CheckpointStore(folder) if folder.is_dir() else None
    latest = None if store is None else store.latest()
    if latest is None or store is None:
        raise ConfigError(
            f"{run_dir}: expected the folder of a trained run, found no checkpoint; run `fiat train` first."
        )
    return CheckpointStore(folder, best=store.note(latest).get(HEADLINE))
