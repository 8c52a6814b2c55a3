"""`fiat eval`: scores a run on a split."""

from fiat_jax.data.mixing import RationaleMix
from fiat_jax.decoding.rank import Rank
from fiat_jax.decoding.search import BeamSearch, Greedy, Sample
from fiat_jax.paths import at
from fiat_jax.study.bounds import Bounds
from fiat_jax.study.evaluation import evaluate_run
from fiat_jax.study.experiment import Experiment


def evaluate(
    run_dir: str,
    experiment: Experiment,
    split: str = "test",
    batch_size: int = 32,
    search: Greedy | Sample | BeamSearch = Greedy(),
    bounds: Bounds | None = None,
    rank: Rank | None = None,
    calibrate: bool = False,
    rationale_mix: RationaleMix | None = None,
) -> None:
    """Answers a split with the best checkpoint of a run, and scores the answers.

    Args:
      run_dir: the run folder; gets predictions/SPLIT.jsonl, and a line in metrics.jsonl.
      experiment: what was tuned on what; read from the run folder.
      split: which examples.
      batch_size: examples at a time; changes no answer.
      search: how an answer's tokens are chosen.
      bounds: what answers may be, such as spans of the passage; None for anything.
      rank: labels to choose from, for a task of classification; None to let the model write.
      calibrate: whether to fit the temperature of the labels on this split, for what is ranked later; not on
        the split that is reported.
      rationale_mix: what share of the examples is shown without rationale, or with another's, to see what the
        run does then.
    """
    scored = evaluate_run(
        at(run_dir), experiment, split, batch_size, search, bounds, rank, calibrate, rationale_mix
    )
    print(scored.table())
