"""How far an annotation is, from its store alone: nothing is asked or changed."""

from pathlib import Path

from fiat_jax.reasoning.budget import Price
from fiat_jax.reasoning.gathering import Gathered
from fiat_jax.reasoning.holdings import Holdings, Writer, holdings


def status(gathered: Gathered, place: str | Path, price: Price | None = None) -> str:
    """Tables of the examples by split and of the prompts in the store, then what has failed or is in batches.

    Args:
      gathered: the requests of the prompt that is set now.
      place: the store, or where it will be.
      price: what tokens cost; None if it is not known.
    """
    kept = holdings(place)
    tables = [_splits(gathered, kept)]
    if kept.writers:
        tables.append(_prompts(kept.writers, price))
    failed = [(id, kept.failures[key]) for id, key in gathered.keys.items() if key in kept.failures]
    lines = [
        f"{'set aside' if failure.set_aside else 'failed'}: {id} ({gathered.splits[id]}): {failure.reason} "
        f"({_often(failure.times)}{failure.time})"
        for id, failure in failed
    ]
    lines += [
        f"in a batch: {len(sent.keys)} requests, as {sent.batch or 'one that may not have arrived'} "
        f"(sent at {sent.time})"
        for sent in kept.batches
    ]
    return "\n\n".join([*map(_table, tables), *(["\n".join(lines)] if lines else [])])


def _often(times: int) -> str:
    return "once, at " if times == 1 else f"{times} times, the last at "


def _splits(gathered: Gathered, kept: Holdings) -> list[list[str]]:
    batched = kept.in_batches()
    said = ["in batches"] if batched else []
    rows = [["split", "examples", "answered", "failed", "set aside", *said, "to ask"]]
    for split in dict.fromkeys(gathered.splits.values()):
        keys = [key for id, key in gathered.keys.items() if gathered.splits[id] == split]
        lacking = [key for key in keys if key not in kept.answers]
        asked = [key for key in lacking if key not in batched]
        failures = [kept.failures[key] for key in asked if key in kept.failures]
        aside = sum(failure.set_aside for failure in failures)
        sent = [len(lacking) - len(asked)] if batched else []
        counts = (
            len(keys),
            len(keys) - len(lacking),
            len(failures) - aside,
            aside,
            *sent,
            len(asked) - aside,
        )
        rows.append([split, *map(str, counts)])
    return rows


def _prompts(writers: list[Writer], price: Price | None) -> list[list[str]]:
    rows = [["prompt", "model", "answers", "read", "written", "cached", *(["cost"] if price else []), "last"]]
    for one in writers:
        read, written, cached = (count or 0 for count in one.spent)
        cost = [price.say(price.cost(read, written, cached))] if price else []
        names = " ".join([one.model, *(f"({name})" for name in one.revisions if name != one.model)])
        counts = (one.answers, read, written, cached)
        rows.append([one.prompt[:12], names, *map(str, counts), *cost, one.last or ""])
    return rows


def _table(rows: list[list[str]]) -> str:
    """Columns of equal width: numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            cell.rjust(width) if rows[-1][i].isdigit() else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
