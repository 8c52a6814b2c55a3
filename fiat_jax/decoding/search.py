"""How the next tokens are chosen: one setting each for greedy decoding, sampling and beam search."""

from dataclasses import dataclass

from fiat_jax.errors import ConfigError


@dataclass(frozen=True)
class _Rules:
    """What all searches may forbid or make dearer.

    Attributes:
      repetition_penalty: what the logits of tokens that were written already are divided by where they are
        positive and multiplied by where they are negative (Keskar et al. 2019, section 4.1); 1 changes none.
      no_repeat_ngram: the length of the runs of tokens that may not come twice in an answer; 0 for none.
    """

    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if self.repetition_penalty <= 0:
            raise ConfigError(
                f"{kind}.repetition_penalty: expected more than 0, found {self.repetition_penalty}."
            )
        if self.no_repeat_ngram < 0:
            raise ConfigError(f"{kind}.no_repeat_ngram: expected 0 or more, found {self.no_repeat_ngram}.")


@dataclass(frozen=True)
class Greedy(_Rules):
    """The most likely next token, again and again."""


@dataclass(frozen=True)
class Sample(_Rules):
    """Tokens drawn at random, those of each example from its own seed, whatever stands beside it in a batch.

    The logits are divided by the temperature; then each of the filters takes away what it does not keep, in
    the order of this list, and the rest is drawn from.

    Attributes:
      temperature: below 1 prefers what is likely.
      top_k: how many of the most likely tokens are kept; 0 for all.
      top_p: the most likely tokens are kept whose probabilities reach this sum (Holtzman et al. 2020).
      min_p: tokens are kept that are at least so likely, as a share of the likeliest (Nguyen et al. 2024).
      typical_p: tokens nearest to the expected surprise are kept, to this sum (Meister et al. 2023).
      seed: of all examples together.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0:
            raise ConfigError(
                f"Sample.temperature: expected more than 0, found {self.temperature}; use Greedy for none."
            )
        if self.top_k < 0:
            raise ConfigError(f"Sample.top_k: expected 0 or more, found {self.top_k}.")
        for name in ("top_p", "typical_p"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"Sample.{name}: expected a share in (0, 1], found {getattr(self, name)}.")
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"Sample.min_p: expected a share in [0, 1), found {self.min_p}.")


@dataclass(frozen=True)
class BeamSearch(_Rules):
    """The likeliest whole answers that are found when the likeliest beginnings are kept at each token.

    As in transformers: an answer's score is its log-probability divided by its length to a power, where the
    end counts as a token.

    Attributes:
      size: beginnings that are kept.
      length_penalty: the power; more than 0 prefers longer answers, less shorter ones.
      early_stopping: when an example is done: True, as soon as `size` answers are complete; False, when no
        beginning of its present length could beat the worst of them; 'never', when none of any length could.
      n_best: answers to give, the best first.
    """

    size: int = 4
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    n_best: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise ConfigError(f"BeamSearch.size: expected 1 or more, found {self.size}.")
        if not 1 <= self.n_best <= self.size:
            raise ConfigError(
                f"BeamSearch.n_best: expected 1 to {self.size}, as BeamSearch.size, found {self.n_best}."
            )
        if self.early_stopping not in (True, False, "never"):
            raise ConfigError(
                f"BeamSearch.early_stopping: expected True, False or 'never', found {self.early_stopping!r}."
            )


Search = Greedy | Sample | BeamSearch

GREEDY = Greedy()
