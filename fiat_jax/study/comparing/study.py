"""A comparison from its settings to its report."""

from collections.abc import Iterable
from importlib import metadata

from fiat_jax.data.metrics import LABELS, load_metrics, own_score
from fiat_jax.data.pipeline import load_examples
from fiat_jax.errors import ConfigError, FiatError
from fiat_jax.paths import is_remote
from fiat_jax.reasoning.holdings import holdings
from fiat_jax.reasoning.store import is_store
from fiat_jax.records import fill
from fiat_jax.study.comparing.answering import rationales_of
from fiat_jax.study.comparing.report import Report, write_report
from fiat_jax.study.comparing.results import Study, write_study
from fiat_jax.study.comparing.running import run_cells
from fiat_jax.study.comparing.setups import Setups
from fiat_jax.study.comparing.trials import Start

_PACKAGES = ("fiat_jax", "jax", "flax", "optax", "numpy")


def compare_paradigms(setups: Setups, start: Start, settings: str) -> Report:
    """Runs a sweep, or what is left of it, and writes down what it has in common.

    Args:
      setups: the cells, in the sweep's folder.
      start: makes the folder of a run.
      settings: the configuration, for the report.

    Raises:
      ConfigError: the table cannot be run.
      FiatError: some cells have failed; the others are done.
      InterruptedRun: as `run_cells`.
    """
    load_metrics(setups.experiment.task.metrics)
    own_score(setups.experiment.task.metrics)
    if is_remote(setups.folder):
        raise ConfigError(f"compare.run_dir: expected a local folder, found {setups.folder}; copy it later.")
    setups.check()
    setups.write_tokens()
    setups.check_sizes()
    write_study(setups.folder, described(setups, settings))
    failed = run_cells(setups, start)
    report = write_report(setups.folder)
    if failed:
        raise FiatError(
            f"{setups.folder}: {len(failed)} of {len(setups.cells)} cells failed, {failed[0]} the first; the "
            "report has what is there, and the same command tries them again."
        )
    return report


def described(setups: Setups, settings: str) -> Study:
    """What all cells of a sweep have in common."""
    sweep, task = setups.sweep, setups.experiment.task
    examples = load_examples(setups.task_of(setups.cells[0]), "plain", "test")
    score = own_score(task.metrics)
    places = sweep.prompts or ({"": task.rationales} if task.rationales else {})
    by_prompt = {
        cell.prompt: rationales_of(setups.task_of(cell), examples)
        for cell in setups.cells
        if cell.prompt in places and (cell.paradigm.answers == "reasoner" or cell.paradigm.variant == "fiat")
    }
    return Study(
        task=task.name,
        score=score,
        unit=LABELS[score],
        mean_of=task.mean_of,
        paradigms={one.name: one.label for one in sweep.all},
        sizes=sweep.sizes,
        seeds=sweep.seeds,
        ids=tuple(examples.ids),
        languages=tuple(examples.languages),
        answers=tuple(examples.answers),
        inputs=tuple(examples.texts),
        rationales=by_prompt,
        budget=_budget(setups),
        reasoner={
            prompt: _reasoner(setups, texts, places[prompt], examples.languages)
            for prompt, texts in by_prompt.items()
        },
        versions={name: metadata.version(name) for name in _PACKAGES},
        settings=settings,
    )


def _budget(setups: Setups) -> dict[str, str]:
    """What each tuned paradigm may use, in words."""
    sweep, tuning, task = setups.sweep, setups.tuning, setups.experiment.task
    updates = f"{tuning.steps:,} steps" if tuning.steps else f"{tuning.epochs:g} epochs"
    rates = {kind: ", ".join(f"{rate:g}" for rate in ones) for kind, ones in sweep.learning_rates.items()}
    found = {
        "training": f"{updates} of {tuning.batch_size} examples, at every size and for every paradigm",
        "learning rates": f"{rates['adapter']} for an adapter, {rates['base']} for the base",
    }
    if "validation" in task.splits():
        count = len(load_examples(setups.task_of(setups.cells[0]), "plain", "validation"))
        every = f"of every {tuning.eval_every} steps" if tuning.eval_every else "of the last step"
        found["validation"] = (
            f"{count} examples choose the checkpoint ({every}), and the learning rate of the first seed, "
            "which the other seeds take"
        )
    else:
        found["validation"] = "none: the last checkpoint counts"
    return found


def _reasoner(
    setups: Setups, rationales: tuple[str, ...], place: str, languages: Iterable[str]
) -> dict[str, float]:
    """What a rationale costs in the mean: its tokens, as the tuned model counts and as the store says."""
    tokens, price = setups.experiment.task.tokens(), setups.sweep.price
    found = {"tokens": sum(len(tokens.encode(text)) for text in rationales) / len(rationales)}
    places = [fill(place, {"language": one}) for one in dict.fromkeys(languages)]
    spent = [
        one for path in dict.fromkeys(places) if is_store(path) for one in holdings(path).answers.values()
    ]
    counted = [one for one in spent if one.read is not None and one.written is not None]
    if counted:
        read = sum(one.read or 0 for one in counted) / len(counted)
        written = sum(one.written or 0 for one in counted) / len(counted)
        found |= {"read": read, "written": written}
        if price is not None:
            found["price"] = price.cost(read, written)
    return found
