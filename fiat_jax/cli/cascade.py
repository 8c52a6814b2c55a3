"""`fiat cascade`: chooses when a run asks the large model."""

from fiat_jax.paths import at
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.threshold import choose_threshold


def cascade(
    run_dir: str,
    experiment: Experiment,
    split: str = "validation",
    share: float | None = None,
    quality: float | None = None,
    batch_size: int = 32,
) -> None:
    """Answers a split with and without rationales, and chooses how sure an answer without must be.

    Args:
      run_dir: the run folder; gets cascade.json, which predict and serve read, and the curve as cascade.svg.
      experiment: what was tuned on what; read from the run folder.
      split: which examples to choose on; not those that are reported.
      share: the share of the examples to ask the large model about at most.
      quality: the mean score to reach with as few calls as possible; one of the two is given.
      batch_size: examples at a time; changes no answer.
    """
    print(choose_threshold(at(run_dir), experiment, split, batch_size, share, quality).table())
