"""`fiat tasks`: what a configuration's task holds, and what the model reads of it."""

import textwrap

from fiat_jax.data.rendering import render
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Tally
from fiat_jax.errors import ConfigError, FiatError
from fiat_jax.paths import at
from fiat_jax.records import fill

_INDENT = "    "


def tasks(task: Task, split: str | None = None, example: int = 0, width: int = 110) -> None:
    """Prints the names of a task in seqio, its splits with their counts, and one example of each variant.

    Args:
      task: the task.
      split: the split of the example; by default the first.
      example: its position in the split, from 0.
      width: columns to print in.
    """
    split = split or task.splits()[0]
    _print_table(_names(task))
    print()
    _print_table(_counts(task))
    absent = _absent_rationales(task)
    for variant in task.readings():
        if variant not in ("plain", "instruction") and absent:
            print(f"\n{task.seqio_name(variant)}  no rationales yet: `fiat annotate` writes {absent[0]}")
            continue
        try:
            examples = list(render(task, variant, split))
        except FiatError as error:
            if variant != "explanation":  # which only distillation needs
                raise
            print(f"\n{task.seqio_name(variant)}  cannot be learned as it is: {error}")
            continue
        if not 0 <= example < len(examples):
            raise ConfigError(
                f"tasks.example: expected a position below {len(examples)} in split {split}, found {example}."
            )
        shown, tokens = examples[example], task.tokens()
        ids = tokens.encode(shown.input)
        lost = "".join(f", {name} cut by {100 * share:.0f} %" for name, share in shown.cut.items())
        print(
            f"\n{task.seqio_name(variant)}  {split} example {shown.id}: "
            f"{len(ids) + 1} of {task.inputs_length} tokens, "
            f"{sum(one == tokens.unk_id for one in ids)} unknown{lost}; "
            f"of {len(examples)} examples {Tally(one.cut for one in examples)}"
        )
        for label, text in (("input", shown.input), ("target", shown.target)):
            hanging = f"{_INDENT}{label:<8}"
            lines = textwrap.wrap(text, width, initial_indent=hanging, subsequent_indent=" " * len(hanging))
            print("\n".join(lines) or hanging)


def _absent_rationales(task: Task) -> list[str]:
    """The rationale files that are not there yet."""
    paths = {fill(task.rationales or "", {"language": language}) for language in task.languages or ("",)}
    return sorted(path for path in paths if path and not at(path).exists())


def _names(task: Task) -> list[list[str]]:
    """Each variant's name, and the languages that it mixes."""
    rows = [["in seqio", "of one language"]] if task.languages else [["in seqio"]]
    for variant in task.readings():
        rows.append([task.seqio_name(variant)])
        if task.languages:
            rows[-1].append("  ".join(task.seqio_name(variant, language) for language in task.languages))
    return rows


def _counts(task: Task) -> list[list[str]]:
    """Examples by split and language."""
    rows = [["split", *task.languages, "all"]]
    for split in task.splits():
        languages = [row["language"] for row in task.rows(split)]
        by_language = [str(languages.count(language)) for language in task.languages]
        rows.append([split, *by_language, str(len(languages))])
    return rows


def _print_table(rows: list[list[str]]) -> None:
    """Columns of equal width: text to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if rows[-1][i].isdigit() else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
