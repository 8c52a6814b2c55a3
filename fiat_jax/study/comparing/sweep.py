"""The table of a comparison: paradigms by sizes by seeds, and the cells that it has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fiat_jax.adapters import IA3, DoRA, LoRA, PrefixTuning, SoftPrompt
from fiat_jax.checkpoints import Base
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.budget import Price
from fiat_jax.study.comparing.paradigms import Paradigm, named

RATES: Mapping[str, tuple[float, ...]] = {"adapter": (3e-4, 1e-3, 3e-3), "base": (1e-4, 3e-4, 1e-3)}


@dataclass(frozen=True)
class Sweep:
    """What is compared.

    Attributes:
      sizes: how many training examples there are, ascending; smaller regimes lie within larger ones.
      paradigms: by name, or one of your own (`Paradigm`); at every size.
      at_largest: further ones, at the largest size alone.
      seeds: of the choice of training examples, their order, the adapter's start and dropout.
      learning_rates: those that are tried where an 'adapter' is learned, and where the 'base' is: as many for
        both. The first seed of each size chooses by validation, and the other seeds take its choice.
      balanced: as in `Regime`.
      bases: several bases by name, in the place of `Experiment.base`, each with its own vocabulary.
      adapters: several adapters by name, in the place of `Experiment.adapter`.
      prompts: several rationale stores by the name of their reasoning prompt, in the place of
        `Task.rationales`.
      pretrained: the base before it was tuned on instructions, for the ablations of that.
      marker: what stands before the answer in a rationale.
      price: what the reasoner's tokens cost, for the report; their numbers are in a rationale store.
      at_once: how many runs go side by side, each on its share of the devices.
      keep_checkpoints: whether finished runs keep theirs; without, a run can be looked at but not asked.
    """

    sizes: tuple[int, ...]
    paradigms: tuple[str | Paradigm, ...] = ("icl", "finetune", "lora_instruction", "fiat")
    at_largest: tuple[str | Paradigm, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    learning_rates: dict[str, tuple[float, ...]] = field(default_factory=lambda: dict(RATES))
    balanced: bool = False
    bases: dict[str, Base] = field(default_factory=dict)
    adapters: dict[str, LoRA | DoRA | IA3 | PrefixTuning | SoftPrompt] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    pretrained: Base | None = None
    marker: str = "The answer is:"
    price: Price | None = None
    at_once: int = 1
    keep_checkpoints: bool = True

    def __post_init__(self) -> None:
        for name in ("sizes", "seeds"):
            given = getattr(self, name)
            if not given or list(given) != sorted(set(given)) or given[0] < (name == "sizes"):
                raise ConfigError(f"Sweep.{name}: expected one or more, ascending, found {given}.")
        rates = self.learning_rates
        if set(rates) != set(RATES) or len({len(ones) for ones in rates.values()}) > 1 or not rates["base"]:
            raise ConfigError(
                "Sweep.learning_rates: expected as many for 'adapter' as for 'base', so that both may use as "
                f"much, found {rates}."
            )
        if self.at_once < 1:
            raise ConfigError(f"Sweep.at_once: expected 1 or more, found {self.at_once}.")
        for name in ("bases", "adapters", "prompts"):
            if wrong := next((one for one in getattr(self, name) if not one.isidentifier()), None):
                raise ConfigError(
                    f"Sweep.{name}: expected names of letters, digits and underscores, found {wrong!r}."
                )
        lacking = [one.name for one in self.all if not one.instruction_tuned]
        if lacking and self.pretrained is None:
            raise ConfigError(
                f"Sweep.pretrained: expected the base before instruction tuning, as {lacking[0]} needs it, "
                "found None; set it to @pretrained/Base(), or leave that paradigm out."
            )

    @cached_property
    def all(self) -> tuple[Paradigm, ...]:
        """Every paradigm, those of the largest size last."""
        return named((*self.paradigms, *self.at_largest), "Sweep.paradigms")

    def rates(self, paradigm: Paradigm) -> tuple[float, ...]:
        """The learning rates that a paradigm tries."""
        return self.learning_rates[paradigm.learns]

    def cells(self) -> list["Cell"]:
        """All cells: what is not tuned, then seed after seed, in a seed the smallest size first."""
        untuned = [cell for one in self.all if not one.tuned for cell in self._named(one, None, None)]
        tuned = [
            cell
            for seed in self.seeds
            for size in self.sizes
            for one in self.all[: None if size == self.sizes[-1] else len(self.paradigms)]
            if one.tuned
            for cell in self._named(one, size, seed)
        ]
        return [*untuned, *tuned]

    def _named(self, paradigm: Paradigm, size: int | None, seed: int | None) -> Iterator["Cell"]:
        """The cells of a paradigm over the bases, adapters and prompts that make a difference to it."""
        model = paradigm.answers == "model"
        bases = self.bases if model and paradigm.instruction_tuned else {}
        adapters = self.adapters if paradigm.tuned and paradigm.learns == "adapter" else {}
        reads = not model or paradigm.variant in ("fiat", "distillation")
        seeds = self.seeds if paradigm.shots else (seed,)
        for base in bases or ("",):
            for adapter in adapters or ("",):
                for prompt in (self.prompts if reads else {}) or ("",):
                    for one in seeds:
                        yield Cell(paradigm, size, one, base, adapter, prompt)


@dataclass(frozen=True)
class Cell:
    """One entry of the table.

    Attributes:
      paradigm: what is compared.
      size: training examples; None where nothing is tuned.
      seed: None where nothing is random.
      base, adapter, prompt: names of `Sweep`; '' where there is one alone, or it makes no difference.
    """

    paradigm: Paradigm
    size: int | None
    seed: int | None
    base: str = ""
    adapter: str = ""
    prompt: str = ""

    @property
    def name(self) -> str:
        """Such as 'fiat-300-seed1'; names the cell's result."""
        parts = (self.paradigm.name, self.base, self.adapter, self.prompt, self.size)
        named = "-".join(str(part) for part in parts if part)
        return named if self.seed is None else f"{named}-seed{self.seed}"

    @property
    def run(self) -> tuple[object, ...]:
        """What is tuned: cells of which this is equal share a run."""
        return self.paradigm.run, self.size, self.seed, self.base, self.adapter, self.prompt
