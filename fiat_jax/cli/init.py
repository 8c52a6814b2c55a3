"""`fiat init`: a starting folder from the rows that someone has."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fiat_jax.cli.starting import METRICS, Start, gin_text
from fiat_jax.data.intake.files import Rows
from fiat_jax.data.intake.kinds import Kind
from fiat_jax.data.intake.lengths import answer_length, estimate, input_length, other_letters
from fiat_jax.data.intake.taking import Intake, take_in
from fiat_jax.data.vocabularies import load_tokens
from fiat_jax.errors import ConfigError
from fiat_jax.paths import absolute, at

_MOST_HELD = 50
"""Examples of a language to validate on, at most."""

_OTHER = 0.1
"""The share of letters outside the Latin script above which FLAN-T5's vocabulary will not do."""

_NEXT = """
next, in {folder}:

    cd {folder}
    fiat tasks --gin_file {name}.gin

with a large model's rationales (OPENAI_BASE_URL, OPENAI_API_KEY, and OpenAI.model in {name}.gin):

    fiat annotate --gin_file {name}.gin
    fiat train --gin_file {name}.gin --run_dir runs/{name}
    fiat eval --run_dir runs/{name}

or at once, without them:

    fiat train --gin_file {name}.gin --run_dir runs/instruction --gin.Experiment.variant=instruction
    fiat eval --run_dir runs/instruction"""

_ANSWER = """    fiat predict --run_dir runs/instruction --gin.predict.input=unanswered.jsonl \\
        --gin.predict.output=answers.jsonl"""


def init(
    data: tuple[str, ...] = (),
    output: str = "mine",
    kind: Kind | None = None,
    input_fields: str = "",
    answer_field: str | None = None,
    id_field: str | None = None,
    language_field: str | None = None,
    model: str | None = None,
) -> None:
    """Looks at rows, and writes a folder with train and test as JSON lines and a gin file to start from.

    Args:
      data: a CSV, TSV or JSON-lines file; may be several, one a split, with train, validation or test in
        their names.
      output: the folder, whose name becomes the task's.
      kind: extractive, classification, numeric or generation; by default what the answers look like.
      input_fields: what the model reads, in order, with commas between; by default what looks like it.
      answer_field: what it writes; by default by its name, or the last field.
      id_field: where ids are; by default by its name, or made where there is none.
      language_field: where languages are; by default by its name.
      model: a T5 to tune, a folder or hub id; by default FLAN-T5-small, or mT5-small for other scripts.
    """
    if not data:
        raise ConfigError("init.data: expected a file of rows, found none; give it: --data rows.csv")
    intake = take_in(
        data,
        answer_field=answer_field,
        input_fields=[name.strip() for name in input_fields.split(",") if name.strip()],
        id_field=id_field,
        language_field=language_field,
        kind=kind,
    )
    start, said = _start(intake, output, model)
    written = _write(output, intake, start)
    for line in intake.notes:
        print(line)
    for line in (*intake.guesses.said, *said):
        print(f"guess: {line}")
    print(f"{output}: {', '.join(written)}")
    print(_NEXT.format(folder=output, name=start.name))
    if intake.unanswered:
        print(_ANSWER)


def _start(intake: Intake, output: str, model: str | None) -> tuple[Start, list[str]]:
    """What the gin file says beside the guesses about fields, and what of it is a guess."""
    inputs, answers = intake.texts()
    others, here = other_letters(inputs + answers), Path(model or "")
    folder = str(here.resolve()) if model and here.exists() else ""
    vocabulary = folder or "byte" * ("byt5" in (model or "").lower())
    count = _counter(vocabulary) if vocabulary else estimate
    length, cut = input_length(inputs, count)
    said = []
    if model is None:
        why = f"since {others:.0%} of the letters are not Latin, " if others > _OTHER else ""
        said.append(f"the model is {'mT5' if why else 'FLAN-T5'}-small, {why}another: --model")
    counted = "counted" if vocabulary else "estimated from letters; --model FOLDER counts them"
    said.append(f"{length} tokens for an input, {counted}; {cut} of {len(inputs)} would be cut")
    said.append(f"scored by {', '.join(METRICS[intake.guesses.kind])}; others: Task.metrics")
    if holdout := _holdout(intake):
        said.append(f"{holdout} rows of train{' a language' * bool(intake.languages)} are to validate on")
    start = Start(
        name=re.sub(r"\W+", "_", absolute(at(output)).name) or "mine",
        model=folder or model or "",
        model_file="models/mt5.gin" if others > _OTHER else "models/flan_t5_small.gin",
        splits=tuple(intake.splits),
        id_field=intake.id_field,
        languages=intake.languages,
        holdout=holdout,
        inputs_length=length,
        targets_length=answer_length(answers, count),
    )
    return start, said


def _holdout(intake: Intake) -> int:
    """Examples of a language to hold out for validation: a sixth of the smallest one's."""
    if "validation" in intake.splits:
        return 0
    field = intake.guesses.language_field if intake.languages else None
    sizes = Counter(row[field] if field else "" for row in intake.splits["train"])
    return min(*(sizes[language] // 6 for language in intake.languages or sizes), _MOST_HELD)


def _counter(vocabulary: str) -> Callable[[str], int]:
    tokens = load_tokens(vocabulary)
    return lambda text: len(tokens.encode(text))


def _write(output: str, intake: Intake, start: Start) -> list[str]:
    """Writes the folder, and says what of how many rows is in it."""
    folder = at(output)
    rows = intake.splits | ({"unanswered": intake.unanswered} if intake.unanswered else {})
    files = {f"{name}.jsonl": _jsonl(some) for name, some in rows.items()}
    files[f"{start.name}.gin"] = gin_text(intake.guesses, start)
    if there := [name for name in files if (folder / name).exists()]:
        raise ConfigError(
            f"init.output: expected a folder without {there[0]}, found one in {output}; "
            "choose another --output."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [f"{name}.jsonl ({len(some)} rows)" for name, some in rows.items()] + [f"{start.name}.gin"]


def _jsonl(rows: Rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
