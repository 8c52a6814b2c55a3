"""Test examples on which FIAT wins and loses most."""

import numpy as np

from fiat_jax.study.comparing.report.blocks import Block, Example, Heading, Section, Text
from fiat_jax.study.comparing.report.explained import by_reasoner, without_rationale
from fiat_jax.study.comparing.report.found import Found, at_size
from fiat_jax.study.comparing.report.line import Line
from fiat_jax.study.comparing.report.rivals import reference

SHOWN = 3
"""Examples of each kind."""

_LETTERS = 700


def examples(found: Found) -> Section:
    """Wins and losses against the best tuned line without rationale, and against in-context learning."""
    title = "Where it wins and loses"
    size = found.largest if found.runs else None
    one = reference(found, size) if found.runs else None
    if one is None:
        return Section(title, [])
    kinds = (without_rationale, by_reasoner)
    best = [
        found.best(
            [line for line in found.lines if kind(line.paradigm) and line != one and one.fits(line)], size
        )
        for kind in kinds
    ]
    others = list(dict.fromkeys(line for line in best if line))
    rule = (
        f"Shown are the {SHOWN} test examples on which {one.label}{at_size(size)} has a mean score over "
        f"seeds that is most above, and most below, that of the other; of equal ones, the first in the test. "
        f"They are extremes, not typical."
    )
    blocks: list[Block] = [Text(rule if others else "There is nothing to compare with.")]
    for other in others:
        blocks += _against(found, one, other, size)
    return Section(title, blocks)


def _against(found: Found, one: Line, other: Line, size: int | None) -> list[Block]:
    apart = _means(found, one, size) - _means(found, other, size)
    higher, lower = int((apart > 0).sum()), int((apart < 0).sum())
    said = (
        f"{one.label} scores higher on {higher:,} of the {len(apart):,} test examples, lower on {lower:,}, "
        f"the same on {len(apart) - higher - lower:,}."
    )
    shown = [
        _example(found, one, other, at, size, how)
        for how, by in (("Won", -apart), ("Lost", apart))
        for at in np.argsort(by, kind="stable").tolist()[:SHOWN]
        if by[at] < 0
    ]
    return [Heading(f"Against {other.label}"), Text(said), *shown]


def _example(found: Found, one: Line, other: Line, at: int, size: int | None, how: str) -> Example:
    study = found.study
    language = f", {study.languages[at]}" if study.languages[at] else ""
    prompt = one.prompt if one.prompt in study.rationales else next(iter(study.rationales), "")
    rationale = study.rationales[prompt][at] if prompt in study.rationales else ""
    texts = [
        ("input", _short(study.inputs[at])),
        ("rationale", _short(rationale) or "none"),
        (one.label, _answers(found, one, at, size)),
        (other.label, _answers(found, other, at, size)),
        ("good answers", " | ".join(study.answers[at])),
    ]
    return Example(f"{how}: {study.ids[at]}{language}", texts)


def _answers(found: Found, line: Line, at: int, size: int | None) -> str:
    """What the seeds answer, how many of them where they differ, and the mean score."""
    results = found.results[found.place(line, size)]
    answers = [result.answers[at] for result in results]
    said = " | ".join(
        f"{answer or '(nothing)'}"
        + (f" [{answers.count(answer)} of {len(answers)}]" if len(set(answers)) > 1 else "")
        for answer in dict.fromkeys(answers)
    )
    return f"{_short(said)} (score {np.mean([result.scores[at] for result in results]):.0f})"


def _means(found: Found, line: Line, size: int | None) -> np.ndarray:
    """[N] of the test examples in the order of the study."""
    return np.mean([result.scores for result in found.results[found.place(line, size)]], axis=0)


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…"
