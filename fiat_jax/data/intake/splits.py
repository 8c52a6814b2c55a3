"""Rows with ids, without what stands twice, in splits."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from pathlib import PurePath
from typing import Any

from fiat_jax.data.intake.files import Rows
from fiat_jax.errors import ConfigError

TEST_SHARE = 0.2
MOST_TEST = 1000

_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
_SPLITS |= {"dev": "validation", "test": "test", "eval": "test"}


def split_of(place: str) -> str | None:
    """The split that a file's name says it is."""
    words = re.split(r"[\W_]+", PurePath(place).stem.lower())
    found = {_SPLITS[word] for word in words if word in _SPLITS}
    return found.pop() if len(found) == 1 else None


def named_splits(places: tuple[str, ...]) -> dict[str, str]:
    """The file of each split; one file alone is 'train', whatever it is called.

    Raises:
      ConfigError: several files of which the names do not tell.
    """
    if len(places) == 1:
        return {"train": places[0]}
    splits = {split_of(place) or "": place for place in places}
    if len(splits) < len(places) or "" in splits or "train" not in splits:
        raise ConfigError(
            "init.data: expected one file, or a file a split with train, validation or test in their names, "
            f"found {', '.join(places)}; rename them."
        )
    return splits


def without_repeats(splits: dict[str, Rows], id_field: str | None) -> tuple[dict[str, Rows], list[str]]:
    """Splits in which no row comes twice; what is in 'test' or 'validation' stays there."""
    seen: set[str] = set()
    kept: dict[str, Rows] = {}
    repeats: Counter[str] = Counter()
    for split in sorted(splits, key=("test", "validation", "train").index):
        kept[split] = []
        for row in splits[split]:
            text = _text({name: value for name, value in row.items() if name != id_field})
            repeats[split] += text in seen
            if text not in seen:
                seen.add(text)
                kept[split].append(row)
    notes = [f"{split}: {count} rows left out that stand twice" for split, count in repeats.items() if count]
    return {split: kept[split] for split in splits}, notes


def with_ids(rows: Rows, own: str | None, id_field: str, taken: set[str]) -> tuple[Rows, int]:
    """Rows with an id each that no other has, and how many of their own had to change.

    Args:
      rows: without repeats.
      own: the field of their own ids; None to make some of the rows' contents.
      id_field: the field of the ids.
      taken: ids that are used already; those of the rows are added.
    """
    named, changed = [], 0
    for row in rows:
        id = row.get(own) if own else None
        made = first = hashlib.sha256(_text(row).encode()).hexdigest()[:12] if id is None else str(id)
        number = 2
        while made in taken:
            made, number = f"{first}-{number}", number + 1
        changed += own is not None and made != str(id)
        taken.add(made)
        named.append({id_field: made} | {name: value for name, value in row.items() if name != id_field})
    return named, changed


def split_apart(
    rows: Rows, id_field: str, language_field: str | None, passage: str
) -> tuple[Rows, Rows, bool]:
    """Train and test of some rows, and whether they share passages.

    A fifth of each language, at most `MOST_TEST`, becomes the test, chosen by hashes: of the passages, so
    that questions on one stay together, or where few rows would have to share too many, of the ids.
    """
    by_language = defaultdict(list)
    for row in rows:
        by_language[str(row.get(language_field)) if language_field else ""].append(row)
    test: set[str] = set()
    shared = False
    for its in by_language.values():
        wanted = min(max(round(TEST_SHARE * len(its)), 1), MOST_TEST)
        chosen = _taken(its, wanted, passage)
        if len(chosen) < wanted / 2:
            chosen, shared = _taken(its, wanted, id_field), True
        test.update(row[id_field] for row in chosen)
    return (
        [row for row in rows if row[id_field] not in test],
        [row for row in rows if row[id_field] in test],
        shared,
    )


def _taken(rows: Rows, wanted: int, field: str) -> Rows:
    """Some of the rows, whole groups of one value of a field at a time, in the order of their hashes."""
    groups = defaultdict(list)
    for row in rows:
        groups[str(row.get(field))].append(row)
    taken: Rows = []
    for value in sorted(groups, key=lambda one: hashlib.sha256(one.encode("utf-8", "replace")).hexdigest()):
        if len(taken) + len(groups[value]) <= wanted:
            taken += groups[value]
    return taken


def _text(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=True)
