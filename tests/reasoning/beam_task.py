"""A small task in several files, and the words that `fiat annotate` needs to annotate it with Beam."""

import json
from pathlib import Path
from typing import Any

from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template

SHARDS, ROWS = 3, 20
COUNT = SHARDS * ROWS


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_shards(folder: Path) -> None:
    for shard in range(SHARDS):
        numbers = range(shard * ROWS, (shard + 1) * ROWS)
        rows = [{"id": f"e-{n}", "question": f"question {n}", "answer": "LABEL"} for n in numbers]
        write_rows(folder / f"rows-{shard}.jsonl", rows)


def expected() -> dict[str, str]:
    return {f"e-{n}": f"thoughts on question {n}" for n in range(COUNT)}


def task(source: Any, **settings: Any) -> Task:
    template = Template(input="{question}", target="{answer}", cut="")
    return Task(name="tiny", source=source, template=template, vocabulary="byte", **settings)


def sharded(folder: Path) -> Task:
    write_shards(folder)
    return task(Jsonl(train=f"{folder}/rows-*.jsonl"))


def words(folder: Path, url: str, store: Path, timeout_s: float, *options: str) -> list[str]:
    """The words after `fiat` that annotate the shards in a folder."""
    settings = {
        "annotate.task": "@Task()",
        "Task.name": "'tiny'",
        "Task.source": "@Jsonl()",
        "Task.template": "@Template()",
        "Task.vocabulary": "'byte'",
        "Jsonl.train": f"'{folder}/rows-*.jsonl'",
        "Template.input": "'{question}'",
        "Template.target": "'{answer}'",
        "Template.cut": "''",
        "annotate.client": "@OpenAI()",
        "annotate.prompt": "@Prompt()",
        "annotate.store": f"'{store}'",
        "annotate.pipeline": "@Beam()",
        "OpenAI.model": "'fake'",
        "OpenAI.base_url": f"'{url}'",
        "OpenAI.timeout_s": timeout_s,
        "Prompt.input": "'{question}'",
        "Beam.folder": f"'{folder}/beam'",
        "Beam.options": options,
    }
    return ["annotate", *(f"--gin.{name}={value}" for name, value in settings.items())]
