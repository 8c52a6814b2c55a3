"""`fiat quality`: what the rationales of a task are worth."""

from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.paths import at
from fiat_jax.reasoning.prompts import MARKER
from fiat_jax.study.rationale_quality import Judge, report_quality


def quality(
    task: Task,
    rationales: str | None = None,
    splits: tuple[str, ...] = (),
    marker: str = "",
    passage: str | None = None,
    samples: int = 3,
    output: str | None = None,
) -> None:
    """Reports how many rationales give an answer, how it agrees with passage and label, and their length.

    Args:
      task: whose examples; the labels of its training split alone are read.
      rationales: a rationale store or JSONL file, which may hold {language}; by default the task's.
      splits: the splits to report on; by default all that the task has.
      marker: what should come before an answer; by default the prompt's, where Task.prompt is set, or else
        'The answer is:'.
      passage: the field of a row where its answer should stand; by default the one that the template cuts,
        '' for none.
      samples: rationales to show of each kind and split.
      output: a folder that gets the report as quality.json and quality.html.
    """
    place = rationales or task.rationales
    if not place:
        raise ConfigError("quality.rationales: expected a store or a JSONL file, found none; name one.")
    chosen = task.chosen(splits, "quality.splits")
    marker = marker or (task.prompt.marker if task.prompt else MARKER)
    report = report_quality(Judge(task, marker, passage), place, chosen, samples)
    print(report.text())
    if output is not None:
        folder = at(output)
        folder.mkdir(parents=True, exist_ok=True)
        report.write_json(folder / "quality.json")
        report.write_html(folder / "quality.html")
        print(f"\n{folder / 'quality.html'}")
