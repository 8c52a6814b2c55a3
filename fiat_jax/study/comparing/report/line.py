"""The lines of a report, and how they are called."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fiat_jax.study.comparing.results import Result, Study


@dataclass(frozen=True)
class Line:
    """A paradigm, with one of several bases, adapters and prompts.

    Attributes:
      paradigm, base, adapter, prompt: names, as of `Result`.
      label: as the report calls it; no two are the same.
    """

    paradigm: str
    base: str
    adapter: str
    prompt: str
    label: str

    def fits(self, other: "Line") -> bool:
        """Whether both have the same base, adapter and prompt, as far as they have them."""
        ours, theirs = (self.base, self.adapter, self.prompt), (other.base, other.adapter, other.prompt)
        return all(one == another or not (one and another) for one, another in zip(ours, theirs, strict=True))


def lines_of(study: Study, results: Iterable[Result]) -> list[tuple[Line, Result]]:
    """Each result with its line, in the order of the study, sizes and seeds ascending."""
    order = list(study.paradigms)
    labels = list(study.paradigms.values())
    found = []
    for result in results:
        label = study.paradigms.get(result.paradigm, result.paradigm)
        if labels.count(label) > 1:
            label += f" [{result.paradigm}]"
        names = [name for name in (result.base, result.adapter, result.prompt) if name]
        label += f" ({', '.join(names)})" if names else ""
        found.append((Line(result.paradigm, result.base, result.adapter, result.prompt, label), result))
    return sorted(
        found,
        key=lambda one: (
            order.index(one[0].paradigm) if one[0].paradigm in order else math.inf,
            one[0].label,
            one[1].size or 0,
            -1 if one[1].seed is None else one[1].seed,
        ),
    )
