"""The paradigms that are compared: who answers, what is read, and what is learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fiat_jax.data.mixing import RationaleMix
from fiat_jax.data.templates import Variant
from fiat_jax.errors import ConfigError, did_you_mean

Learns = Literal["adapter", "base", "nothing"]


@dataclass(frozen=True)
class Paradigm:
    """One way to solve a task with few examples.

    Attributes:
      name: as `Sweep` and files call it: letters, digits and underscores.
      label: as reports call it.
      answers: who does: the 'reasoner', whose rationale ends in an answer, or the 'model'.
      variant: what the model reads, as in `Experiment`.
      instructed: whether a fiat variant reads the tuning instruction too.
      learns: an 'adapter', the 'base' itself, or 'nothing'.
      instruction_tuned: whether the base is the one tuned on instructions; else it is `Sweep.pretrained`.
      shots: training examples that stand, answered, before each input.
      mix: how rationales are mixed in training; None for each its own.
      shown: how they are in the test; paradigms that differ in nothing else are the same run.
      asked: the share of the test examples that a cascade asks the reasoner about; None for no cascade.
    """

    name: str
    label: str
    answers: Literal["reasoner", "model"] = "model"
    variant: Variant = "fiat"
    instructed: bool = True
    learns: Learns = "adapter"
    instruction_tuned: bool = True
    shots: int = 0
    mix: RationaleMix | None = None
    shown: RationaleMix | None = None
    asked: float | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ConfigError(
                f"Paradigm.name: expected letters, digits and underscores, found {self.name!r}."
            )
        for wrong, setting, instead in (
            (not self.instructed and self.variant != "fiat", "instructed = False", "variant = 'plain'"),
            (self.shots < 0, f"shots = {self.shots}", "0 or more"),
            (self.shots and self.learns != "nothing", f"shots = {self.shots}", "learns = 'nothing'"),
            (self.mix and self.learns == "nothing", "mix", "something that is learned"),
            (self.asked is not None and not 0 <= self.asked <= 1, f"asked = {self.asked}", "0 to 1"),
            (self.asked is not None and self.learns == "nothing", "asked", "something that is learned"),
            (self.asked is not None and self.shown, "asked beside shown", "one of them"),
        ):
            if wrong:
                raise ConfigError(f"Paradigm {self.name}: expected {instead}, found {setting}.")

    @property
    def tuned(self) -> bool:
        """Whether anything is learned."""
        return self.answers == "model" and self.learns != "nothing"

    @property
    def run(self) -> tuple[object, ...]:
        """What is tuned: paradigms of which this is equal share their runs."""
        return self.variant, self.instructed, self.learns, self.instruction_tuned, self.mix


PARADIGMS = (
    Paradigm("icl", "in-context learning", answers="reasoner", learns="nothing"),
    Paradigm("zero_shot", "zero-shot", variant="instruction", learns="nothing"),
    Paradigm("few_shot", "few-shot", variant="instruction", learns="nothing", shots=4),
    Paradigm("finetune", "fine-tuning", variant="plain", learns="base"),
    Paradigm("finetune_instruction", "fine-tuning, instruction", variant="instruction", learns="base"),
    Paradigm("lora", "adapter", variant="plain"),
    Paradigm("lora_instruction", "adapter, instruction", variant="instruction"),
    Paradigm("fiat", "FIAT"),
    Paradigm("fiat_uninstructed", "FIAT without instruction", instructed=False),
    Paradigm("fiat_full", "FIAT without adapter", learns="base"),
    Paradigm("fiat_pretrained", "FIAT without instruction-tuned base", instruction_tuned=False),
    Paradigm(
        "finetune_pretrained",
        "fine-tuning, base not instruction-tuned",
        variant="plain",
        learns="base",
        instruction_tuned=False,
    ),
    Paradigm("distilled", "distilled rationales", variant="distillation"),
    Paradigm("cascade", "cascade", mix=RationaleMix(without=0.5), asked=0.5),
    Paradigm("fiat_wrong", "FIAT with others' rationales", shown=RationaleMix(wrong=1.0)),
)
"""Those that go by their name: prompting, tuning, FIAT, its ablations, what may replace it, and a control."""

CUMULATIVE = ("fiat", "lora_instruction", "lora", "finetune", "finetune_pretrained")
"""FIAT losing one ingredient after another, as in Table 3 of the paper."""

ALONE = ("lora_instruction", "fiat_uninstructed", "fiat_full", "fiat_pretrained")
"""FIAT without one ingredient, the other three in place; in the same order."""

INGREDIENTS = ("rationale", "instruction", "adapter", "instruction-tuned base")
"""What each step of `CUMULATIVE` and each of `ALONE` takes away."""


def named(paradigms: Sequence[str | Paradigm], setting: str) -> tuple[Paradigm, ...]:
    """The paradigms of some names, and those given whole.

    Raises:
      ConfigError: a name is not known, or two paradigms have one.
    """
    known = {one.name: one for one in PARADIGMS}
    found: list[Paradigm] = []
    for one in paradigms:
        if isinstance(one, str) and one not in known:
            raise ConfigError(f"{setting}: expected a paradigm, found {one!r}; {did_you_mean(one, known)}")
        found.append(known[one] if isinstance(one, str) else one)
    names = [one.name for one in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"{setting}: expected each paradigm once, found {twice!r} twice.")
    return tuple(found)
