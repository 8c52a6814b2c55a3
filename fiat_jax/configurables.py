"""What a gin file may name: the settings and the commands, each with the place where it is defined.

A place is 'module:name', imported only when a configuration uses it. It must be where the thing is written,
not a second name for it, so that a type annotation can be matched to the setting it asks for.
"""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, get_args, get_type_hints

CLIENTS = {
    "OpenAI": "fiat_jax.reasoning.clients.openai:OpenAI",
    "Gemini": "fiat_jax.reasoning.clients.gemini:Gemini",
    "Anthropic": "fiat_jax.reasoning.clients.anthropic:Anthropic",
    "Local": "fiat_jax.reasoning.clients.local:Local",
    "T5Reasoner": "fiat_jax.study.t5_reasoner:T5Reasoner",
    "Replay": "fiat_jax.reasoning.clients.replay:Replay",
}
"""Ways to reach the large model: what keeps the protocol `reasoning.calls.Client`."""

PREPROCESSORS = {
    "Squad": "fiat_jax.data.preprocessors.qa:Squad",
    "TydiqaGoldp": "fiat_jax.data.preprocessors.qa:TydiqaGoldp",
    "XtremeUp": "fiat_jax.data.preprocessors.qa:XtremeUp",
    "AfriqaGold": "fiat_jax.data.preprocessors.qa:AfriqaGold",
    "XorAttriqa": "fiat_jax.data.preprocessors.inference:XorAttriqa",
    "Esnli": "fiat_jax.data.preprocessors.inference:Esnli",
    "CommonsenseQa": "fiat_jax.data.preprocessors.choices:CommonsenseQa",
    "Ecqa": "fiat_jax.data.preprocessors.choices:Ecqa",
    "Aqua": "fiat_jax.data.preprocessors.choices:Aqua",
    "Gsm8k": "fiat_jax.data.preprocessors.problems:Gsm8k",
    "Mgsm": "fiat_jax.data.preprocessors.problems:Mgsm",
    "StrategyQa": "fiat_jax.data.preprocessors.problems:StrategyQa",
    "CotTable": "fiat_jax.data.preprocessors.problems:CotTable",
}
"""Formats of public data sets: what keeps the protocol `data.preprocessors.base.Preprocessor`."""

SETTINGS = {
    "Task": "fiat_jax.data.tasks:Task",
    "Regime": "fiat_jax.data.regimes:Regime",
    "Template": "fiat_jax.data.templates.template:Template",
    "Jsonl": "fiat_jax.data.sources:Jsonl",
    "Json": "fiat_jax.data.sources:Json",
    "Table": "fiat_jax.data.tables:Table",
    "Parquet": "fiat_jax.data.sources:Parquet",
    "Tfds": "fiat_jax.data.sources:Tfds",
    **PREPROCESSORS,
    "Base": "fiat_jax.checkpoints.base:Base",
    "LoRA": "fiat_jax.adapters.lora:LoRA",
    "DoRA": "fiat_jax.adapters.dora:DoRA",
    "IA3": "fiat_jax.adapters.ia3:IA3",
    "PrefixTuning": "fiat_jax.adapters.prefix:PrefixTuning",
    "SoftPrompt": "fiat_jax.adapters.soft_prompt:SoftPrompt",
    "Mesh": "fiat_jax.parallel.mesh:Mesh",
    "AdamW": "fiat_jax.training.optimizers:AdamW",
    "Adafactor": "fiat_jax.training.optimizers:Adafactor",
    "Prompt": "fiat_jax.reasoning.prompts:Prompt",
    **CLIENTS,
    "Price": "fiat_jax.reasoning.budget:Price",
    "Batch": "fiat_jax.reasoning.batches:Batch",
    "Beam": "fiat_jax.reasoning.beam:Beam",
    "Vote": "fiat_jax.reasoning.voting:Vote",
    "Shorten": "fiat_jax.reasoning.shortening:Shorten",
    "KeepRight": "fiat_jax.study.refining:KeepRight",
    "Rationalise": "fiat_jax.study.refining:Rationalise",
    "Greedy": "fiat_jax.decoding.search:Greedy",
    "Sample": "fiat_jax.decoding.search:Sample",
    "BeamSearch": "fiat_jax.decoding.search:BeamSearch",
    "Bounds": "fiat_jax.study.bounds:Bounds",
    "Draft": "fiat_jax.study.drafting:Draft",
    "Rank": "fiat_jax.decoding.rank:Rank",
    "Cascade": "fiat_jax.study.cascading:Cascade",
    "Experiment": "fiat_jax.study.experiment:Experiment",
    "RationaleMix": "fiat_jax.data.mixing:RationaleMix",
    "Tuning": "fiat_jax.study.tuning:Tuning",
    "Paradigm": "fiat_jax.study.comparing.paradigms:Paradigm",
    "Sweep": "fiat_jax.study.comparing.sweep:Sweep",
    "Limits": "fiat_jax.serving.limits:Limits",
    "Slices": "fiat_jax.study.engineering.slices:Slices",
    "APE": "fiat_jax.reasoning.search.ape:APE",
    "OPRO": "fiat_jax.reasoning.search.opro:OPRO",
    "Bootstrap": "fiat_jax.reasoning.search.bootstrap:Bootstrap",
}
"""Frozen dataclasses by gin name."""

PROTOCOLS = {"Client": tuple(CLIENTS), "Preprocessor": tuple(PREPROCESSORS)}
"""Which settings may stand where an annotation names a protocol."""


class Command(NamedTuple):
    """A verb of `fiat`.

    Attributes:
      place: 'module:function' of the function whose parameters the command takes.
      help: one line for `fiat --help`.
      run_dir: what the command does with a run folder: 'starts' it, 'reads' it, or '' for neither.
      verb: what `fiat` calls it where gin files cannot: `import` is a statement there.
      joins: whether several processes can run it as one job.
      flags: parameters that are flags too. One named 'dry_run' has `--dry_run` run the command after the
        configuration is printed; it then makes nothing.
    """

    place: str
    help: str
    run_dir: str = ""
    verb: str = ""
    joins: bool = False
    flags: tuple[str, ...] = ()


COMMANDS = {
    "init": Command(
        "fiat_jax.cli.init:init",
        "start from a table or JSON lines: look at them, and write a folder",
        flags=(
            "data",
            "output",
            "kind",
            "input_fields",
            "answer_field",
            "id_field",
            "language_field",
            "model",
        ),
    ),
    "annotate": Command(
        "fiat_jax.cli.annotate:annotate",
        "ask the reasoner for a rationale of each example",
        flags=("dry_run", "status", "max_calls", "max_cost", "retry_failed"),
    ),
    "rationales": Command(
        "fiat_jax.cli.rationales:rationales",
        "merge rationale stores, and write or read them as JSON lines",
        flags=("store", "add", "output"),
    ),
    "quality": Command("fiat_jax.cli.quality:quality", "say what the rationales of a task are worth"),
    "refine": Command("fiat_jax.cli.refine:refine", "make better rationales of those there are"),
    "engineer": Command("fiat_jax.cli.engineer:engineer", "search a better prompt or instruction", "starts"),
    "cache": Command(
        "fiat_jax.cli.caching:cache", "keep a task's token ids, for machines without TensorFlow or the rows"
    ),
    "plan": Command("fiat_jax.cli.plan:plan", "say what a run will need and take, before it runs"),
    "train": Command("fiat_jax.cli.train:train", "tune a model, or go on with a run", "starts", joins=True),
    "eval": Command("fiat_jax.cli.eval:evaluate", "score a run on a split", "reads", joins=True),
    "compare": Command("fiat_jax.cli.compare:compare", "compare paradigms over sizes and seeds", "starts"),
    "cascade": Command(
        "fiat_jax.cli.cascade:cascade", "choose when a run asks the reasoner", "reads", joins=True
    ),
    "predict": Command("fiat_jax.cli.predict:predict", "answer new inputs with a run", "reads", joins=True),
    "serve": Command("fiat_jax.cli.serve:serve", "answer over HTTP with a run", "reads"),
    "export": Command("fiat_jax.cli.export:export", "take what a run has learned elsewhere", "reads"),
    "import_adapter": Command(
        "fiat_jax.cli.importing:import_adapter", "make a run of a PEFT adapter", "starts", "import"
    ),
    "merge": Command("fiat_jax.cli.merge:merge", "put an adapter into its base, or take it out", "reads"),
    "inspect": Command(
        "fiat_jax.cli.inspection:inspect",
        "look at examples as the model reads them, and for leaks between splits",
        flags=("output", "strict"),
    ),
    "tasks": Command("fiat_jax.cli.tasks:tasks", "list the tasks and show what the model reads"),
}
"""The commands, in the order of a first use."""


REQUIRED = inspect.Parameter.empty
"""The default of a parameter that has none."""


class Parameter(NamedTuple):
    """What a setting or a command takes: the resolved annotation, and the default or REQUIRED."""

    annotation: Any
    default: Any


def verbs() -> dict[str, str]:
    """The names of the commands by what `fiat` calls them."""
    return {command.verb or name: name for name, command in COMMANDS.items()}


def names() -> list[str]:
    """All that a gin file may name."""
    return [*COMMANDS, *SETTINGS]


def load(name: str) -> Any:
    """Imports the class of a setting or the function of a command."""
    module, attribute = (COMMANDS[name].place if name in COMMANDS else SETTINGS[name]).split(":")
    return getattr(importlib.import_module(module), attribute)


def name_of(cls: Any) -> str | None:
    """The gin name of a class, or None for one that gin files do not set."""
    defined = f"{getattr(cls, '__module__', '')}:{getattr(cls, '__qualname__', '')}"
    return next((name for name, place in SETTINGS.items() if place == defined), None)


def names_in(annotation: Any) -> tuple[str, ...]:
    """The gin names of all settings that an annotation takes."""
    if name := name_of(annotation):
        return (name,)
    if is_protocol(annotation):
        return PROTOCOLS.get(annotation.__name__, ())
    return tuple(name for one in get_args(annotation) for name in names_in(one))


def is_protocol(annotation: Any) -> bool:
    """Whether an annotation is a protocol of ours, and not a class."""
    return getattr(annotation, "_is_protocol", False)


def parameters(name: str) -> dict[str, Parameter]:
    """The parameters of a command, or the fields of a setting, in order."""
    return _parameters(load(name))


@cache
def _parameters(target: Callable[..., Any]) -> dict[str, Parameter]:
    hints = get_type_hints(target)
    factories = {}
    if is_dataclass(target):
        factories = {f.name: f.default_factory for f in fields(target) if f.default_factory is not MISSING}
    return {
        name: Parameter(hints.get(name, Any), factories[name]() if name in factories else parameter.default)
        for name, parameter in inspect.signature(target).parameters.items()
    }
