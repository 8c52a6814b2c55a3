"""The threshold of a run's cascade: chosen on a split by answering it twice, and kept in the run folder."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from fiat_jax.data.metrics import LABELS, load_metrics, own_score
from fiat_jax.data.mixing import check_reads_rationales
from fiat_jax.data.pipeline import Examples, load_examples
from fiat_jax.data.tasks import Task
from fiat_jax.decoding.search import Greedy
from fiat_jax.decoding.stream import Request
from fiat_jax.errors import ConfigError
from fiat_jax.parallel.hosts import check_same, is_first
from fiat_jax.records import write_whole
from fiat_jax.study.answering import Graded, decoder, longest_first, write_predictions
from fiat_jax.study.cascading import FILE, Point, check_wanted, choose, sureness, trade_off
from fiat_jax.study.charts import lines
from fiat_jax.study.evaluation import best_weights, check_evaluable
from fiat_jax.study.experiment import Experiment, Network, assemble
from fiat_jax.study.tuning import fingerprint
from fiat_jax.typing import Variables


class Chosen(NamedTuple):
    """A threshold, and what it was chosen from.

    Attributes:
      split: which examples.
      examples: how many.
      score: the name of what is their quality.
      point: what was chosen.
      points: the whole curve.
    """

    split: str
    examples: int
    score: str
    point: Point
    points: list[Point]

    def table(self) -> str:
        """The chosen point between nobody asked and all."""
        shown = {"none": self.points[0], "chosen": self.point, "all": self.points[-1]}
        label = LABELS[self.score]
        width = max(7, len(label) + 2)
        rows = [
            f"{self.split}, {self.examples} examples",
            f"{'asked':<10}{'share':>7}{label:>{width}}  threshold",
        ]
        for name, (share, threshold, quality) in shown.items():
            rows.append(f"{name:<10}{100 * share:6.1f}%{quality:{width}.1f}  {threshold:.4f}")
        return "\n".join(rows)


def choose_threshold(
    run_dir: Path,
    experiment: Experiment,
    split: str,
    batch_size: int,
    share: float | None = None,
    quality: float | None = None,
) -> Chosen:
    """Answers a split with and without rationales, and keeps the threshold that is wanted.

    Args:
      run_dir: the run folder; gets cascade.json, cascade.svg and predictions/SPLIT.cascade.jsonl.
      experiment: what was tuned on what.
      split: which examples; not those that are reported later.
      batch_size: rows at a time; changes no answer.
      share: the share of examples to ask about at most.
      quality: the score to reach with the fewest calls, instead: the `own_score` of the task.

    Raises:
      ConfigError: the run reads no rationales, there is no such split, the task's metrics do not score each
        example, or no threshold does what is wanted.
      ConfigError, DataError: as `check_evaluable`, `load_examples` and `assemble`.
    """
    check_reads_rationales(experiment.variant, "cascade")
    check_wanted(share, quality)
    task = experiment.task
    load_metrics(task.metrics)
    score = own_score(task.metrics)
    splits = [one for one in task.splits() if one != "train"]
    if split not in splits:
        raise ConfigError(
            f"cascade.split: expected a split that the run has not learned from, {' or '.join(splits)}, "
            f"found {split!r}; set Task.holdout before training, so that there are examples to choose on."
        )
    check_evaluable(run_dir, experiment)
    asked, without = load_examples(task, "fiat", split), load_examples(task, "instruction", split)
    check_same("examples", fingerprint(asked, without))
    network = assemble(experiment, seed=0)
    weights, step = best_weights(run_dir, network)
    texts, sure = answer_surely(network, weights, without, task, batch_size)
    others, _ = answer_surely(network, weights, asked, task, batch_size)
    points = trade_off(sure, Graded(task, asked, texts).each(), Graded(task, asked, others).each())
    chosen = Chosen(split, len(sure), score, choose(points, share, quality), points)
    if is_first():
        fields = [
            {"without": text, "sureness": round(value, 4)} for text, value in zip(texts, sure, strict=True)
        ]
        write_predictions(run_dir / "predictions" / f"{split}.cascade.jsonl", asked, others, fields)
        _write(run_dir, chosen, step)
    return chosen


def answer_surely(
    network: Network, weights: Variables, examples: Examples, task: Task, batch_size: int
) -> tuple[list[str], list[float]]:
    """Greedy answers of examples in their order, and how sure each is."""
    tokens, count = task.tokens(), len(examples)
    texts, sure = [""] * count, [0.0] * count
    requests = [Request(inputs) for inputs in examples.inputs]
    for row, written in decoder(network, weights, task, Greedy(), batch_size).run(longest_first(requests)):
        texts[row], sure[row] = task.read(tokens.decode(written.tokens[0])), sureness(written)
    return texts, sure


def _write(run_dir: Path, chosen: Chosen, step: int) -> None:
    curve = [point._asdict() for point in chosen.points]
    found: dict[str, Any] = {**chosen.point._asdict(), "metric": chosen.score, "split": chosen.split}
    found |= {"n": chosen.examples, "step": step, "curve": curve}
    write_whole(run_dir / FILE, json.dumps(found, indent=1) + "\n")
    ends = [(100 * point.share, point.quality) for point in (chosen.points[0], chosen.points[-1])]
    unsure = [(100 * point.share, point.quality) for point in chosen.points]
    drawn = {"the unsure first": unsure, "at random": ends}
    picture = lines(f"{LABELS[chosen.score]} on {chosen.split}", drawn, "% of the examples asked about")
    write_whole(run_dir / "cascade.svg", picture)
