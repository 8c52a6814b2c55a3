"""Which examples of one set stand, or nearly stand, in another: all of both are compared, in seconds.

The rule is that of `reasoning.overlap`. It is asked of few pairs: of the field that tells examples apart
best, each text is looked up by its rarest n-grams. Where the smaller of two texts has c of its s n-grams in
the other, its s - c + k rarest ones have at least k in common with it, so no pair is missed.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fiat_jax.reasoning.overlap import GRAM, Sketch, overlap, plain

Fields = Mapping[str, str]

MOST_GRAMS = 6_000_000
"""N-grams that are looked up; of more, every second, fourth, ... is taken."""
MOST_PAIRS = 1_000_000
"""Pairs that the rule is asked of; more are not compared, which is said."""

_NONE = np.zeros(0, int)
_LETTER = re.compile(r"[^\W_]")
_PRIME = np.uint64(0x9E3779B97F4A7C15)


class Twin(NamedTuple):
    """The example of the other set that one is most like: its position, and the overlap, 0 to 1."""

    at: int
    share: float


class Twins(NamedTuple):
    """What was found.

    Attributes:
      exact: the same text in all fields, white space apart: by position on the right, that on the left.
      near: those that only nearly are one.
      compared_all: False where pairs that are alike in some n-grams were too many to look at all.
    """

    exact: dict[int, int]
    near: dict[int, Twin]
    compared_all: bool


def twins(left: Sequence[Fields], right: Sequence[Fields], alike: float) -> Twins:
    """Finds the examples on the right that stand on the left too.

    Args:
      left, right: the fields of each example.
      alike: the least overlap of two that are taken for one.
    """
    first: dict[tuple[str, ...], int] = {}
    for at, fields in enumerate(left):
        first.setdefault(_same(fields), at)
    keys = [_same(fields) for fields in right]
    exact = {at: first[key] for at, key in enumerate(keys) if key in first}
    others: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, key in enumerate(keys):
        if at not in exact:
            others[key].append(at)
    ours, theirs = list(first.values()), [places[0] for places in others.values()]
    found, compared_all = _near([left[at] for at in ours], [right[at] for at in theirs], alike)
    near = {
        at: Twin(ours[twin.at], twin.share)
        for number, twin in found.items()
        for at in others[keys[theirs[number]]]
    }
    return Twins(exact, dict(sorted(near.items())), compared_all)


def _same(fields: Fields) -> tuple[str, ...]:
    return tuple(f"{name} {' '.join(text.split())}" for name, text in sorted(fields.items()))


def _near(left: Sequence[Fields], right: Sequence[Fields], alike: float) -> tuple[dict[int, Twin], bool]:
    """The twin of each example on the right that has one, and whether all were compared."""
    found: dict[int, Twin] = {}
    compared_all = True
    ours, theirs = _by_filled(left), _by_filled(right)
    for names, at_left in ours.items():
        for other_names, at_right in theirs.items():
            if common := names & other_names:
                some = [{name: left[at][name] for name in common} for at in at_left]
                more = [{name: right[at][name] for name in common} for at in at_right]
                candidates, all_there = _candidates(some, more, alike)
                compared_all &= all_there
                for number, twin in _verified(some, more, candidates, alike):
                    at = at_right[number]
                    if at not in found or twin.share > found[at].share:
                        found[at] = Twin(at_left[twin.at], twin.share)
    return found, compared_all


def _by_filled(rows: Sequence[Fields]) -> dict[frozenset[str], list[int]]:
    """The positions of examples by which of their fields have text: only such are compared."""
    groups: dict[frozenset[str], list[int]] = defaultdict(list)
    for at, fields in enumerate(rows):
        groups[frozenset(name for name, text in fields.items() if _LETTER.search(text))].append(at)
    return groups


def _candidates(
    left: Sequence[Fields], right: Sequence[Fields], alike: float
) -> tuple[list[tuple[int, int]], bool]:
    """Pairs of positions that may be alike in the field that tells most apart, in order of the right."""
    both = (*left, *right)
    distinct = {name: {one[name] for one in both} for name in left[0]}
    name = min(distinct, key=lambda name: (-len(distinct[name]), sum(map(len, distinct[name]))))
    values: dict[str, int] = {}
    numbers = [values.setdefault(plain(fields[name]), len(values)) for fields in both]
    at_left, at_right = _positions(numbers[: len(left)]), _positions(numbers[len(left) :])
    pairs, all_there = _alike(list(values), at_left, at_right, alike)
    every = ((one, other) for a, b in pairs for one in at_left[a] for other in at_right[b])
    drawn = list(itertools.islice(every, MOST_PAIRS + 1))
    return sorted(drawn, key=lambda pair: pair[1]), all_there and len(drawn) <= MOST_PAIRS


def _positions(numbers: Sequence[int]) -> dict[int, list[int]]:
    places: dict[int, list[int]] = {}
    for at, number in enumerate(numbers):
        places.setdefault(number, []).append(at)
    return places


def _alike(
    values: Sequence[str], left: Collection[int], right: Collection[int], alike: float
) -> tuple[list[tuple[int, int]], bool]:
    """Pairs of a text of the left and one of the right that may be alike, and whether these are all."""
    grams, sizes, sampled = _grams(values)
    owners = np.repeat(np.arange(len(values)), sizes)
    _, grams, counts = np.unique(grams, return_inverse=True, return_counts=True)
    grams = grams[np.lexsort((counts[grams], owners))]  # of each text the rarest first
    slack = 3 * np.sqrt(sizes * alike * (1 - alike)) if sampled else 0.0
    shared = np.maximum(1, np.ceil(alike * sizes - slack - 1e-9)).astype(int)
    wanted = np.minimum(shared, 1 + sizes // 8)
    ends = np.cumsum(sizes)
    pairs: list[tuple[int, int]] = []
    for asking, asked, turned in ((left, right, False), (right, left, True)):
        holders, starts = _holders(grams, owners, asked, len(counts))
        for one in asking:
            start = ends[one] - sizes[one]
            telling = grams[start : ends[one] - shared[one] + wanted[one]]
            found = [holders[starts[gram] : starts[gram + 1]] for gram in telling.tolist()]
            met = np.bincount(np.concatenate([_NONE, *found]))
            others = np.flatnonzero(met >= wanted[one])
            larger = others[sizes[others] > sizes[one] - (not turned)].tolist()
            pairs += [(other, one) if turned else (one, other) for other in larger]
            if len(pairs) > MOST_PAIRS:
                return pairs, False
    return pairs, True


def _holders(
    grams: np.ndarray, owners: np.ndarray, asked: Collection[int], count: int
) -> tuple[np.ndarray, list[int]]:
    """The texts among some that have an n-gram, n-gram after n-gram, and where those of each begin."""
    among = np.isin(owners, np.fromiter(asked, int))
    grams, owners = grams[among], owners[among]
    starts = np.concatenate([[0], np.cumsum(np.bincount(grams, minlength=count))])
    return owners[np.argsort(grams, kind="stable")], starts.tolist()


def _grams(values: Sequence[str]) -> tuple[np.ndarray, np.ndarray, bool]:
    """The n-grams of texts as hashes, each once a text; how many are of each; whether they are a sample."""
    letters = sum(map(len, values)) + len(values) * (GRAM - 1)
    halvings = max(0, int(np.ceil(np.log2(max(letters, 1) / MOST_GRAMS))))
    edge = " " * (GRAM - 1)
    every = []
    for text in values:
        codes = np.frombuffer(f"{edge}{text}{edge}".encode("utf-32-le"), np.uint32).astype(np.uint64)
        hashes = np.zeros(len(codes) - GRAM + 1, np.uint64)
        for place in range(GRAM):
            hashes = (hashes + codes[place : place + len(hashes)]) * _PRIME
            hashes ^= hashes >> np.uint64(29)
        if halvings:
            hashes = hashes[hashes >> np.uint64(64 - halvings) == 0]
        every.append(np.unique(hashes))
    return np.concatenate(every), np.array([len(one) for one in every]), bool(halvings)


def _verified(
    left: Sequence[Fields], right: Sequence[Fields], candidates: Iterable[tuple[int, int]], alike: float
) -> Iterator[tuple[int, Twin]]:
    """The candidates that are alike by the rule: the position on the right, and its twin."""
    sketch = lru_cache(maxsize=1000)(lambda at: Sketch(left[at]))
    last, other = -1, None
    for one, at in candidates:
        if at != last or other is None:
            last, other = at, Sketch(right[at])
        if (share := overlap(sketch(one), other, alike)) >= alike:
            yield at, Twin(one, share)
