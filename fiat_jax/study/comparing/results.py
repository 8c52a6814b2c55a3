"""What a sweep has found, as small JSON files: one about the study, and one for each finished cell."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from fiat_jax.errors import DataError
from fiat_jax.records import write_whole

T = TypeVar("T")

FORMAT = 1
STUDY = "study.json"
RESULTS = "results"
"""The folder of the cells' files, beside `STUDY`."""


@dataclass(frozen=True)
class Study:
    """What all cells have in common.

    Attributes:
      task: its name.
      score, unit: the name of an example's score, and what tables call it.
      mean_of: the languages whose mean is the overall score; () for all.
      paradigms: labels by name, in the order of the sweep.
      sizes: of the regimes, ascending.
      seeds: of the runs.
      ids, languages, answers: [N] of the test examples; an answer is a list of good ones.
      inputs: [N] what is read of each without rationale and instruction, as text.
      rationales: [N] by prompt; a prompt without a name is ''.
      budget: what every tuned paradigm may use, as words by name.
      reasoner: about the rationales, by prompt: mean tokens, and price of an example where it is known.
      versions: of the packages.
      settings: the configuration as it was really used.
    """

    task: str
    score: str
    unit: str
    mean_of: tuple[str, ...]
    paradigms: Mapping[str, str]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    ids: tuple[str, ...]
    languages: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    inputs: tuple[str, ...]
    rationales: Mapping[str, tuple[str, ...]]
    budget: Mapping[str, str]
    reasoner: Mapping[str, Mapping[str, float]]
    versions: Mapping[str, str]
    settings: str = ""


@dataclass(frozen=True)
class Result:
    """What one cell gave.

    Attributes:
      paradigm: by name.
      size: training examples; None where none are tuned on.
      seed: None where nothing is random.
      base, adapter, prompt: which of several; '' where there is one alone.
      scores, answers: [N] of the test examples.
      validation: the score by which rate and step were chosen; None without validation.
      learning_rate, step, steps: what was chosen, and the updates in all; None where nothing is tuned.
      tried: validation scores by the learning rates that were tried, for the seed that chose.
      learned: how many weights are learned.
      asked: the share of the test examples that the reasoner was asked about.
      train_tokens: tokens read and learned in tuning, all its updates together.
      train_seconds, answer_seconds: of this cell, compiling among them.
      device: what it ran on.
    """

    paradigm: str
    size: int | None
    seed: int | None
    base: str
    adapter: str
    prompt: str
    scores: tuple[float, ...]
    answers: tuple[str, ...]
    validation: float | None = None
    learning_rate: float | None = None
    step: int | None = None
    steps: int | None = None
    tried: Mapping[str, float] = field(default_factory=dict)
    learned: int = 0
    asked: float = 0.0
    train_tokens: int = 0
    train_seconds: float = 0.0
    answer_seconds: float = 0.0
    device: str = ""


@dataclass(frozen=True)
class Comparison:
    """A study with the results that there are of it, in the order of their files' names.

    Attributes:
      study: what they have in common.
      results: of the finished cells.
      failed: sentences by the names of cells that failed.
    """

    study: Study
    results: tuple[Result, ...]
    failed: Mapping[str, str]


def write_study(folder: Path, study: Study) -> None:
    """Writes what all cells have in common."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / STUDY, _text(asdict(study)))


def write_result(folder: Path, name: str, result: Result) -> None:
    """Writes what a cell gave, in the place of an earlier failure."""
    _write(folder, name, {**asdict(result), "scores": [round(score, 4) for score in result.scores]})


def write_failure(folder: Path, name: str, sentence: str) -> None:
    """Writes why a cell failed."""
    _write(folder, name, {"failed": sentence})


def read_result(folder: Path, name: str) -> Result | None:
    """What a cell gave; None where it has not run, or has failed."""
    path = folder / RESULTS / f"{name}.json"
    held = _read(path) if path.exists() else {"failed": ""}
    return None if "failed" in held else _built(Result, held, path)


def read_comparison(folder: Path) -> Comparison:
    """Reads what a sweep has left in its folder.

    Raises:
      DataError: it is no such folder, or a file is not as it was written.
    """
    study = _built(Study, _read(folder / STUDY), folder / STUDY)
    results, failed = [], {}
    for path in sorted((folder / RESULTS).glob("*.json")):
        held = _read(path)
        if "failed" in held:
            failed[path.stem] = str(held["failed"])
            continue
        result = _built(Result, held, path)
        for name in ("scores", "answers"):
            if len(getattr(result, name)) != len(study.ids):
                raise DataError(
                    f"{path}: expected {name} of the {len(study.ids)} test examples of {STUDY}, found "
                    f"{len(getattr(result, name))}; remove the file, and run `fiat compare` again."
                )
        results.append(result)
    return Comparison(study, tuple(results), failed)


def _write(folder: Path, name: str, held: Mapping[str, Any]) -> None:
    path = folder / RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _text(held))


def _text(held: Mapping[str, Any]) -> str:
    return json.dumps({"format": FORMAT, **held}, ensure_ascii=False) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected what `fiat compare` wrote, but {error}.") from None
    if not isinstance(held, dict) or held.pop("format", None) != FORMAT:
        raise DataError(f"{path}: expected JSON of format {FORMAT}, as `fiat compare` writes it.")
    return held


def _built(cls: type[T], held: dict[str, Any], path: Path) -> T:
    """A dataclass of what was read, lists as tuples."""
    names = {one.name for one in fields(cls)}  # type: ignore[arg-type]
    if names != set(held):
        wrong = ", ".join(sorted(names ^ set(held)))
        raise DataError(f"{path}: expected the fields of a {cls.__name__.lower()}, found others ({wrong}).")
    return cls(**{name: _frozen(value) for name, value in held.items()})


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return {name: _frozen(one) for name, one in value.items()} if isinstance(value, dict) else value
