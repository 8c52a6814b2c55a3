"""Tasks in seqio's registry, under seqio's own rules.

A task of several languages is a seqio task for each language and variant, and for each variant a mixture
that takes from its languages at the rates of `Task.mixing`; without repeats it gives every example once.
Distillation is a mixture of 'instruction', which is scored, and of 'explanation', which is not.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from fiat_jax.data.metrics import METRICS
from fiat_jax.data.metrics.metric import Metric
from fiat_jax.data.rates import rate
from fiat_jax.data.rendering import joined, written
from fiat_jax.data.sources import Jsonl, Parquet
from fiat_jax.data.tables import Table
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Filling, Reading, Template, check_target
from fiat_jax.data.vocabularies import Tokens
from fiat_jax.errors import ConfigError
from fiat_jax.records import template_fields

_registered: dict[str, Task] = {}


def register_task(
    name: str,
    *,
    vocabulary: str,
    train: str | None = None,
    validation: str | None = None,
    test: str | None = None,
    input: str = Template.input,
    target: str = Template.target,
    instruction: str = Template.instruction,
    cut: str | Sequence[str] | None = None,
    rationales: str | None = None,
    languages: Sequence[str] = (),
    **settings: Any,
) -> Task:
    """Makes a task of JSON-lines, CSV, TSV or parquet files and registers it in seqio.

    Its variants and, with languages, their mixtures come by themselves: those of

        register_task("quiz", vocabulary="byte", train="rows.jsonl", input="q: {q}", answer_field="a")

    are 'quiz.plain' and 'quiz.instruction', and with rationales 'quiz.fiat' and 'quiz.distillation'.

    Args:
      name: the task's.
      vocabulary: a folder or file with tokenizer.json or spiece.model, or 'byte'.
      train, validation, test: a file for each split; may hold {language}. Names that end in .parquet, and
        folders, which end in /, are read as parquet, .csv and .tsv as tables, all others as JSON lines.
      input, target, instruction: as in `Template`.
      cut: the field to shorten where an input is too long, or several; by default the last of `input`.
      rationales, languages: as in `Task`.
      **settings: more of `Task`, such as id_field, answer_field, holdout, regime, mixing, inputs_length, and
        of `Template`, such as instructions, verbaliser, no_answer.

    Raises:
      ConfigError: files are of two kinds, or see `Task`, `Template` and `register`.
    """
    if cut is None:
        cut = (template_fields(input) or ("",))[-1]
    more = {name.name: settings.pop(name.name) for name in fields(Template) if name.name in settings}
    cut = cut if isinstance(cut, str) else tuple(cut)
    task = Task(
        name=name,
        source=_source({"train": train, "validation": validation, "test": test}),
        template=Template(input=input, target=target, instruction=instruction, cut=cut, **more),
        vocabulary=vocabulary,
        rationales=rationales,
        languages=tuple(languages),
        **settings,
    )
    register(task)
    return task


_SOURCES: dict[str, Callable[..., Parquet | Table]] = {
    "/": Parquet,
    ".parquet": Parquet,
    ".csv": Table,
    ".tsv": Table,
}
"""What reads files whose names end so; all others are JSON lines."""


def _source(places: dict[str, str | None]) -> Jsonl | Parquet | Table:
    """The source that reads the files of the splits, by the ends of their names."""
    given = [place for place in places.values() if place]
    usual: Callable[..., Jsonl | Parquet | Table] = Jsonl
    kinds = {next((kind for end, kind in _SOURCES.items() if place.endswith(end)), usual) for place in given}
    if len(kinds) > 1:
        raise ConfigError(
            f"register_task: expected JSON lines, parquet or tables for all splits, found {', '.join(given)}."
        )
    return (kinds.pop() if kinds else usual)(**places)


def register(task: Task) -> tuple[str, ...]:
    """Registers a task in seqio, once.

    Returns:
      The names of a task's readings, mixtures where it has languages, then those of single languages.

    Raises:
      ConfigError: another task has the name, or the template and the vocabulary do not go together.
    """
    task = replace(task, cache=None)  # what seqio gives is made of the rows
    names = tuple(
        task.seqio_name(reading, language)
        for language in ("", *task.languages)
        for reading in task.readings()
    )
    if _registered.get(task.name) != task:
        from fiat_jax.data.tensorflow import seqio

        taken = {*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()}
        if task.name in _registered or taken & set(names):
            raise ConfigError(
                f"task {task.name}: expected a name of its own, found a different task that is registered "
                "under it; choose another Task.name."
            )
        tokens = task.tokens()
        for reading in task.readings():
            if reading != "distillation":
                _add(task, reading, tokens)
        if "distillation" in task.readings():
            _add_distillation(task)
        _registered[task.name] = task
    return names


def _add(task: Task, reading: Reading, tokens: Tokens) -> None:
    """Registers one reading."""
    from fiat_jax.data.seqio_vocabularies import load_vocabulary
    from fiat_jax.data.tensorflow import seqio

    vocabulary = load_vocabulary(task.vocabulary)
    rates = []
    for language in task.languages or ("",):
        added = seqio.TaskRegistry.add(
            task.seqio_name(reading, language),
            source=seqio.FunctionDataSource(_reader(task, reading, language), splits=task.splits()),
            preprocessors=[
                _renderer(task, reading, tokens),
                seqio.preprocessors.tokenize,
                seqio.preprocessors.append_eos,
            ],
            output_features={name: seqio.Feature(vocabulary, add_eos=True) for name in ("inputs", "targets")},
            postprocess_fn=functools.partial(_postprocess, task),
            metric_fns=[] if reading == "explanation" else _metric_fns(task, language),
        )
        rates.append((added.name, functools.partial(_rate, task, language)))
    if task.languages:
        seqio.MixtureRegistry.add(task.seqio_name(reading), rates, sample_fn=_sample)


def _metric_fns(task: Task, language: str) -> list[Callable[..., dict[str, float]]]:
    """The metrics of a task as seqio calls them."""

    def of_language(metric: Metric) -> Callable[..., dict[str, float]]:
        return lambda targets, predictions: metric(targets, predictions, language)

    return [of_language(METRICS[name]) for name in task.metrics]


def _add_distillation(task: Task) -> None:
    """Registers mixtures of labels and rationales, as many of the ones as of the others."""
    from fiat_jax.data.tensorflow import seqio

    every = []
    for language in task.languages or ("",):
        rate = functools.partial(_rate, task, language)
        rates = [(task.seqio_name(one, language), rate) for one in ("instruction", "explanation")]
        seqio.MixtureRegistry.add(task.seqio_name("distillation", language), rates, sample_fn=_sample)
        every += rates
    if task.languages:
        seqio.MixtureRegistry.add(task.seqio_name("distillation"), every, sample_fn=_sample)


def _reader(task: Task, reading: Reading, language: str) -> Callable[..., Any]:
    """The rows of a language as a tf.data.Dataset; they are read, checked and joined at once."""
    from fiat_jax.data.tensorflow import tf

    def read(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        examples = [
            {
                "id": row["id"],
                "language": row["language"],
                "answers": task.answers(row),
                "rationale": rationale,
                "fields": task.input_fields(row),
                "targets": written(task, reading, row, rationale),
            }
            for row, rationale in joined(task, reading, split, (language,) if language else ())
        ]
        text = tf.TensorSpec([], tf.string)
        signature = {name: text for name in ("id", "language", "rationale", "targets")}
        signature["answers"] = tf.TensorSpec([None], tf.string)
        signature["fields"] = dict.fromkeys(template_fields(task.template.input), text)
        return tf.data.Dataset.from_generator(lambda: iter(examples), output_signature=signature)

    return read


def _renderer(task: Task, reading: Reading, tokens: Tokens) -> Callable[..., Any]:
    """A preprocessor: fields and rationale become inputs that fit their length."""
    from fiat_jax.data.tensorflow import tf

    def render(dataset: tf.data.Dataset, sequence_length: dict[str, int] | None = None) -> tf.data.Dataset:
        lengths = {"inputs": task.inputs_length, "targets": task.targets_length} | (sequence_length or {})
        names = template_fields(task.template.input)

        def text(*values: bytes) -> str:
            id, language, rationale, targets, *others = (value.decode() for value in values)
            filling = Filling(id, language, dict(zip(names, others, strict=True)), rationale)
            label = f"task {task.name}, example {id}"
            check_target(targets, tokens, lengths["targets"], label)
            return task.template.fit(reading, filling, tokens, lengths["inputs"], label).text

        def one(example: dict[str, Any]) -> dict[str, Any]:
            read = [example[name] for name in ("id", "language", "rationale", "targets")]
            inputs = tf.numpy_function(text, read + [example["fields"][name] for name in names], tf.string)
            inputs.set_shape([])
            return {name: example[name] for name in ("id", "language", "answers", "targets")} | {
                "inputs": inputs
            }

        return dataset.map(one)

    return render


def _postprocess(task: Task, output: str, example: dict[str, Any], is_target: bool) -> str | list[str]:
    """For seqio's evaluation: the good answers of an example, or the answer that was written."""
    return [answer.decode() for answer in example["answers"]] if is_target else task.read(output)


def _rate(task: Task, language: str, _: Any) -> float:
    """A language's share of the mixture, by its examples in the first split."""
    examples = sum(1 for _ in task.rows(task.splits()[0], (language,) if language else ()))
    return float(rate(examples, task.mixing))


def _sample(datasets: Any, rates: Any, seed: int | None) -> Any:
    """seqio's sampling, but going on to the end of the longest language."""
    from fiat_jax.data.tensorflow import tf

    return tf.data.Dataset.sample_from_datasets(datasets, rates, seed, stop_on_empty_dataset=False)
