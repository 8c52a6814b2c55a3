"""The gin file of a starting folder."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fiat_jax.data.intake.guesses import Guesses
from fiat_jax.data.intake.kinds import Kind

METRICS: Mapping[Kind, tuple[str, ...]] = {
    "extractive": ("squad",),
    "classification": ("accuracy", "macro_f1"),
    "numeric": ("numeric",),
    "generation": ("squad",),  # chrf, bleu and rouge need packages of an extra
}
"""How a kind of task is scored."""

_MOST_NAMED = 20
"""Labels that an instruction names, at most."""


class Start(NamedTuple):
    """What a starting folder's gin file says beside the guesses.

    Attributes:
      name: of the task.
      model: the base as `fiat init` was given it; '' for that of `model_file`.
      model_file: a gin file that names a base.
      splits: which there are, as files in the folder.
      id_field: where the ids are.
      languages: those to use; none where there is one.
      holdout: examples of each language to validate on.
      inputs_length, targets_length: in tokens.
    """

    name: str
    model: str
    model_file: str
    splits: tuple[str, ...]
    id_field: str
    languages: tuple[str, ...]
    holdout: int
    inputs_length: int
    targets_length: int


def gin_text(guesses: Guesses, start: Start) -> str:
    """The gin file: what README's step 2 has, for these rows."""
    what = _what(guesses)
    settings: dict[str, object] = {
        "Task.name": start.name,
        "Task.source": "@Jsonl()",
        **{f"Jsonl.{split}": f"{split}.jsonl" for split in start.splits},
        "Task.id_field": start.id_field,
        "Task.answer_field": guesses.answer_field,
        "Task.language_field": guesses.language_field,
        "Task.languages": start.languages,
        "Task.metrics": METRICS[guesses.kind],
        "Task.holdout": start.holdout,
        "Task.inputs_length": start.inputs_length,
        "Task.targets_length": start.targets_length,
        "Task.rationales": "rationales.sqlite",
        "Task.prompt": "@Prompt()",
        "Template.input": " ".join(f"{_word(name)}: {{{name}}}" for name in guesses.input_fields),
        "Template.instruction": _instruction(guesses, len(start.languages)),
        "Template.explanation": "Explain step by step how to find the answer.",
        "Template.cut": guesses.cut,
        "Tuning.optimizer": "@AdamW()",
        "AdamW.learning_rate": 1e-3,
    }
    if _can_rank(guesses.labels):
        settings |= {"eval.rank": "@Rank()", "Rank.labels": guesses.labels}
    reasoner = {
        "OpenAI.model": "MODEL",
        "Prompt.input": "\n".join(f"{_word(name).capitalize()}: {{{name}}}" for name in guesses.input_fields),
        "Prompt.instruction": f'Reason in two sentences, then end with "The answer is:" and {what}.',
        "annotate.client": "@OpenAI()",
        "annotate.store": "rationales.sqlite",
        "predict.client": "@OpenAI()",
        "predict.rationales": "rationales.sqlite",
        "engineer.client": "@OpenAI()",
        "engineer.methods": "(@APE(), @OPRO())",
        "serve.client": "@OpenAI()",
        "serve.rationales": "rationales.sqlite",
    }
    base = [f"include '{start.model_file}'"]
    if start.model:
        base = [f"Base.path = {start.model!r}", f"Task.vocabulary = {start.model!r}"]
    return "\n".join(
        [
            f"# Kind of task: {guesses.kind}, as `fiat init` saw it. Look it over;",
            f"# `fiat tasks --gin_file {start.name}.gin` shows what the model reads.",
            *base,
            "include 'adapters/lora.gin'",
            *_lines(settings),
            "",
            "# The large model, behind OPENAI_BASE_URL and OPENAI_API_KEY: name it. Nothing asks it before",
            "# `fiat annotate`; --gin.Experiment.variant=instruction does without.",
            *_lines(reasoner),
            "",
        ]
    )


def _lines(settings: Mapping[str, object]) -> list[str]:
    """Settings as gin; what is None, 0 or nothing is left at its default."""
    return [
        f"{name} = {value if str(value).lstrip('(').startswith('@') else repr(value)}"
        for name, value in settings.items()
        if value or name == "Template.cut"
    ]


def _word(name: str) -> str:
    return name.replace("_", " ").strip().lower()


def _can_rank(labels: Sequence[str]) -> bool:
    """Whether T5's vocabularies surely write some labels."""
    return bool(labels) and all(re.fullmatch(r"[\w .,:;!?'()/+-]+", one, re.ASCII) for one in labels)


def _what(guesses: Guesses) -> str:
    """What is asked for."""
    if guesses.kind == "extractive":
        return f"a short span of the {_word(guesses.cut)}"
    if guesses.kind == "numeric":
        return "a number"
    if _can_rank(guesses.labels) and len(guesses.labels) <= _MOST_NAMED:
        return f"one of: {', '.join(guesses.labels)}"
    return f"the {_word(guesses.answer_field)}"


def _instruction(guesses: Guesses, languages: int) -> str:
    """The tuning instruction for a kind of task."""
    first = {
        "extractive": f"Answer with {_what(guesses)}.",
        "classification": f"Answer with {_what(guesses)}.",
        "numeric": "Answer with a number alone.",
        "generation": f"Write {_what(guesses)}.",
    }[guesses.kind]
    return first + " The input may be in several languages." * (languages > 1)
