"""How it was run."""

from collections import Counter
from collections.abc import Iterable

from fiat_jax.study.comparing.report.blocks import Block, Code, Heading, Items, Section, Table
from fiat_jax.study.comparing.report.found import Found
from fiat_jax.study.comparing.results import Result


def settings(found: Found) -> Section:
    """Budget, what was chosen, seeds, versions, devices, failures and the configuration."""
    study = found.study
    about = [
        ("task", study.task),
        ("training examples", ", ".join(f"{size:,}" for size in study.sizes)),
        ("seeds", ", ".join(map(str, study.seeds))),
        ("test examples", ", ".join(f"{count:,} {name}".strip() for name, count in found.counts.items())),
        ("devices", ", ".join(sorted({one.device for one in _all(found) if one.device})) or "not known"),
        ("resamples", f"{found.resamples:,}, more where many comparisons need it"),
    ]
    blocks: list[Block] = [Table(("", ""), about)]
    if study.budget:
        budget = list(study.budget.items())
        blocks.append(Table(("", ""), budget, title="Budget, the same for every tuned paradigm"))
    if chosen := _chosen(found):
        blocks.append(chosen)
    if found.failed:
        blocks.append(Heading("Failed cells"))
        blocks.append(Items([f"{name}: {sentence}" for name, sentence in found.failed.items()]))
    if study.versions:
        blocks.append(Table(("package", "version"), list(study.versions.items()), title="Versions"))
    if study.settings:
        blocks += [Heading("Configuration"), Code(study.settings)]
    return Section("Settings", blocks)


def _all(found: Found) -> list[Result]:
    return [result for results in found.results.values() for result in results]


def _chosen(found: Found) -> Table | None:
    rows = []
    for (line, size), results in found.results.items():
        if not any(one.steps for one in results):
            continue
        tried = [one.tried for one in results if one.tried]
        rates = [f"{_number(rate)}: {score:.1f}" for one in tried[:1] for rate, score in one.items()]
        rows.append(
            (
                line.label,
                f"{size:,}" if size is not None else "",
                _several(_number(one.learning_rate) for one in results if one.learning_rate is not None),
                "\n".join(
                    f"{one.step:,} of {one.steps:,}" for one in results if one.step is not None and one.steps
                ),
                "\n".join("" if one.validation is None else f"{one.validation:.1f}" for one in results),
                "\n".join(rates),
            )
        )
    if not rows:
        return None
    head = (
        "paradigm",
        "examples",
        "learning rate",
        "step, of each seed",
        "validation, of each seed",
        "tried",
    )
    return Table(head, rows, numbers=5, title="What was chosen on validation")


def _several(values: Iterable[str]) -> str:
    """Values, with how often where they differ."""
    counts = Counter(values)
    return "\n".join(value if len(counts) == 1 else f"{value} ({count} x)" for value, count in counts.items())


def _number(rate: float | str) -> str:
    try:
        return f"{float(rate):.2g}"
    except ValueError:
        return str(rate)
