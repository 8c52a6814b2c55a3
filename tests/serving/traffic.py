"""Requests as a server gets them, most of them good, each with the status that it must have."""

import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from fake_openai import BROKEN, MALFORMED, Reply

ADAPTERS = (None, "one", "other")
BODY_BYTES, ROWS = 20_000, 4
FAILURE = 0.3
"""The share of attempts at which the reasoner fails; it is asked twice."""


class Case(NamedTuple):
    """A request: its body, the status it must have, and what it asks where that is 200."""

    body: bytes
    status: int
    rows: Sequence[dict[str, Any]] = ()
    adapter: str | None = None


def fails(text: str, attempt: int) -> Reply | None:
    """What the reasoner answers instead of a rationale, the same each time."""
    draw = random.Random(f"{attempt} {text}")
    return draw.choice([BROKEN, MALFORMED]) if draw.random() < FAILURE else None


def question(row: dict[str, Any]) -> str:
    """What the reasoner is asked about a row."""
    return f"{row['question']} {row['context']}"


def thoughts(row: dict[str, Any]) -> str:
    """What it answers."""
    return f"thoughts on {question(row)}"


def cases(count: int, seed: int = 0) -> list[Case]:
    """So many requests; no row is in two of them."""
    rng = random.Random(seed)
    return [_case(rng, f"{seed}-{n}") for n in range(count)]


def good(rng: random.Random, name: str) -> Case:
    """A request that can be answered, if the reasoner does."""
    rows = [_row(rng, f"{name}-{n}") for n in range(rng.randint(1, 3))]
    adapter = rng.choice(ADAPTERS)
    unreasoned = any(fails(question(row), 0) and fails(question(row), 1) for row in rows)
    body = {"inputs": rows if len(rows) > 1 else rows[0]} | ({"adapter": adapter} if adapter else {})
    return Case(json.dumps(body).encode(), 502 if unreasoned else 200, rows, adapter)


def _row(rng: random.Random, name: str) -> dict[str, Any]:
    words = " ".join(rng.choices(["sand", "stone", "salt", "river", "lies", "at"], k=rng.randint(1, 9)))
    return {"question": f"what lies at {name}?", "context": words}


def _case(rng: random.Random, name: str) -> Case:
    kind, row = rng.random(), _row(rng, name)
    if kind < 0.8:
        return good(rng, name)
    if kind < 0.9:
        wrong: list[Any] = [
            {"inputs": {"question": "what?"}},
            {"inputs": [row, {"question": ["what?"], "context": ""}]},
            {"inputs": row, "adapter": "another"},
            {"inputs": row, "seed": "seven"},
            {"inputs": []},
            [row],
        ]
        body = json.dumps(rng.choice(wrong)).encode()
        return Case(rng.choice([body, body, body, body[:-1], b""]), 422)
    if kind < 0.95:
        large = [{"inputs": [row] * (ROWS + 1)}, {"inputs": {**row, "context": "x" * BODY_BYTES}}]
        return Case(json.dumps(rng.choice(large)).encode(), 413)
    return Case(json.dumps({"inputs": {**row, "question": "x" * 400, "rationale": "y"}}).encode(), 422)
