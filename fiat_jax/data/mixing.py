"""Examples that are shown without their rationale, or with that of another example.

In training, so that what is learned works where there is no rationale, or a bad one; in evaluation, to see
what it does there.
"""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from fiat_jax.data.batches import BUCKETS, TrainBatches
from fiat_jax.data.pipeline import Examples, in_buckets, load_examples
from fiat_jax.data.rates import Mixing
from fiat_jax.data.rendering import joined
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Cut, Variant
from fiat_jax.errors import ConfigError, DataError

Kind = Literal["own", "without", "wrong"]


@dataclass(frozen=True)
class RationaleMix:
    """What share of the examples is shown otherwise than with its own rationale.

    In training each pass over the examples draws anew, every example by itself; in evaluation and prediction
    a row is dealt with the same way each time.

    Attributes:
      without: the share that is shown as the instruction variant has it.
      wrong: the share that is shown with the rationale of another example.
      seed: which examples those are.
    """

    without: float = 0.0
    wrong: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("without", "wrong"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"RationaleMix.{name}: expected a share from 0 to 1, found {getattr(self, name)}."
                )
        if self.without + self.wrong > 1:
            raise ConfigError(
                f"RationaleMix: expected shares that add up to 1 at most, found without = {self.without} and "
                f"wrong = {self.wrong}."
            )
        if self.seed < 0:
            raise ConfigError(f"RationaleMix.seed: expected 0 or more, found {self.seed}.")

    @property
    def label(self) -> str:
        """A few letters that tell this mix from others, such as 'wrong25-seed1'."""
        shares = [
            f"{name}{100 * getattr(self, name):g}" for name in ("wrong", "without") if getattr(self, name)
        ]
        return "-".join([*(shares or ["own"]), *[f"seed{self.seed}"] * bool(self.seed)])

    def kind(self, draw: float) -> Kind:
        """How an example is shown, of a number in [0, 1) that is drawn for it."""
        if draw < self.wrong:
            return "wrong"
        return "without" if draw < self.wrong + self.without else "own"


class Dealt(NamedTuple):
    """How N examples are shown.

    Attributes:
      kinds: of each.
      donors: the position of the example whose rationale each is shown with, where that is a wrong one.
    """

    kinds: tuple[Kind, ...]
    donors: tuple[int, ...]


def deal(mix: RationaleMix, ids: Sequence[str]) -> Dealt:
    """Deals with a split: the shares are exact, and larger ones hold the rows of the smaller.

    The examples are put in an order by hashes of seed and id. The first are shown with a wrong rationale, the
    next without one, and the donor of each is the one after it, so that no two have the same donor and none
    is its own.

    Raises:
      DataError: there is one example alone, and it should have another's rationale.
    """
    count = len(ids)
    if count < 2 and mix.wrong:
        raise DataError(f"RationaleMix.wrong: expected two examples or more to exchange, found {count}.")
    order = sorted(range(count), key=lambda at: _hash(mix.seed, ids[at]))
    donors = dict(zip(order, [*order[1:], *order[:1]], strict=True))
    kinds = {at: mix.kind((place + 0.5) / count) for place, at in enumerate(order)}
    return Dealt(tuple(kinds[at] for at in range(count)), tuple(donors[at] for at in range(count)))


def check_mixed(mix: RationaleMix | None, variant: Variant, name: str) -> None:
    """As `check_reads_rationales`, where rationales are mixed."""
    if mix is not None:
        check_reads_rationales(variant, name)


def check_reads_rationales(variant: Variant, name: str) -> None:
    """Makes sure that what a setting does something to, rationales, is read.

    Raises:
      ConfigError: it is not.
    """
    if variant != "fiat":
        raise ConfigError(
            f"{name}: expected the variant 'fiat', which reads rationales, found {variant!r}; "
            "leave one of them out."
        )


class Shown:
    """The examples of a split with rationales that are not theirs, tokenised when they are asked for.

    Args:
      task: the task.
      split: which examples.

    Raises:
      ConfigError, DataError: as `rendering.render`.
    """

    def __init__(self, task: Task, split: str) -> None:
        self._task, self._tokens = task, task.tokens()
        pairs = [
            pair
            for language in task.languages or ("",)
            for pair in joined(task, "fiat", split, (language,) if language else ())
        ]
        self._rows, self._rationales = [row for row, _ in pairs], [rationale for _, rationale in pairs]
        self.encode = functools.lru_cache(maxsize=4096)(self._encode)

    def _encode(self, row: int, donor: int | None) -> tuple[np.ndarray, str, Cut]:
        """An example with another's rationale, or with none: ids, text, and what was cut."""
        task, rationale = self._task, "" if donor is None else self._rationales[donor]
        filling = task.filling(self._rows[row], rationale)
        name = f"task {task.name}, example {filling.id}"
        fitted = task.template.fit("fiat", filling, self._tokens, task.inputs_length, name)
        ids = [*self._tokens.encode(fitted.text), self._tokens.eos_id]
        return np.array(ids, np.int32), fitted.text, fitted.cut


def load_shown(task: Task, split: str, mix: RationaleMix) -> Examples:
    """The examples of a split as a mix shows them; where all are without, no rationale is needed.

    Raises:
      ConfigError, DataError: as `load_examples`.
    """
    if mix.without == 1:
        return load_examples(task, "instruction", split)
    return show(mix, load_examples(task, "fiat", split), task, split)


def show(mix: RationaleMix, examples: Examples, task: Task, split: str) -> Examples:
    """The examples of a split as a mix shows them.

    Args:
      mix: the shares.
      examples: of the fiat variant.
      task: whose they are.
      split: which.
    """
    shown, tokens = Shown(task, split), task.tokens()
    kinds, donors = deal(mix, examples.ids)
    inputs, texts = list(examples.inputs), list(examples.texts)
    cut, unknown = list(examples.cut), list(examples.unknown)
    for at, (kind, donor) in enumerate(zip(kinds, donors, strict=True)):
        if kind != "own":
            inputs[at], texts[at], cut[at] = shown.encode(at, donor if kind == "wrong" else None)
            unknown[at] = int((inputs[at] == tokens.unk_id).sum())
    changed = replace(
        examples,
        inputs=tuple(inputs),
        texts=tuple(texts),
        cut=tuple(cut),
        unknown=tuple(unknown),
        longest=None,  # another's rationale may be longer
    )
    return in_buckets(task, changed)


class MixedBatches(TrainBatches):
    """Batches of which a share is shown otherwise, drawn anew for each example in each epoch.

    How an example is shown is a function of the seeds, the epoch and its position alone.

    Args:
      examples: of the fiat variant.
      bare: the same without rationales.
      shown: the same with rationales of others.
      mix: the shares; in expectation, since each example is drawn by itself.
      batch_size, seed: as in `TrainBatches`.
      longest: tokens of an input at most.
      buckets, mixing, packed_in: as in `TrainBatches`.
    """

    def __init__(
        self,
        examples: Examples,
        bare: Examples,
        shown: Shown,
        mix: RationaleMix,
        batch_size: int,
        seed: int,
        longest: int,
        buckets: tuple[int, ...] = BUCKETS,
        mixing: Mixing = "proportional",
        packed_in: int | None = None,
    ) -> None:
        super().__init__(examples, batch_size, seed, buckets, mixing, packed_in)
        if mix.wrong and len(examples) < 2:
            raise DataError("RationaleMix.wrong: expected two examples or more to exchange, found 1.")
        self.read, self.mix = (examples, bare), mix
        self._bare = dict(zip(bare.ids, bare.inputs, strict=True))  # it may have more of them
        self._shown, self._longest = shown, (max(longest, examples.lengths[0]), examples.lengths[1])
        # With rates, the languages of a batch are in passes of their own.
        self._dealt = functools.lru_cache(maxsize=4 * len(set(examples.languages)))(self._deal)

    def _inputs(self, epoch: int, row: int) -> np.ndarray:
        kinds, donors = self._dealt(epoch)
        if kinds[row] == "wrong":
            return self._shown.encode(row, donors[row])[0]
        examples = self.examples
        return examples.inputs[row] if kinds[row] == "own" else self._bare[examples.ids[row]]

    def _deal(self, epoch: int) -> Dealt:
        """From raw random bits, which no release of numpy changes, and none of those of the order."""
        count = len(self.examples)
        bits = np.random.Philox(key=[self.seed, epoch], counter=[0, 0, self.mix.seed, 1])
        draws, others = bits.random_raw((2, count)) >> 11
        kinds = tuple(self.mix.kind(draw * 2.0**-53) for draw in draws.tolist())
        further = 1 + others % max(count - 1, 1)
        return Dealt(kinds, tuple(((np.arange(count) + further.astype(np.int64)) % count).tolist()))


def _hash(seed: int, id: str) -> str:
    return hashlib.sha256(f"{seed} {id}".encode()).hexdigest()
