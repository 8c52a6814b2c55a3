"""Comparisons as sentences, each with its interval."""

import math

from fiat_jax.study.statistics.cells import run_name
from fiat_jax.study.statistics.comparing import Comparison
from fiat_jax.study.statistics.efficiency import Needed
from fiat_jax.study.statistics.estimates import LEVEL, seeds_text


def compared(found: Comparison, unit: str = "F1", digits: int = 1) -> str:
    """What a comparison says.

    Args:
      found: one of a family, or one alone.
      unit: what scores are called.
      digits: after the point.

    Returns:
      Such as 'FIAT is 12.3 F1 better than fine-tuning at 300 examples (9.8 to 14.9, n = 400, 3 seeds).'; 'No
      difference found' where the interval holds zero; and the difference with the remark that it may be
      chance among so many, where Holm's p is not below 0.05.
    """
    gap, facts = found.difference, found.difference.facts(digits)
    one, other = _sides(found)
    where = f" in {found.language}" if found.language else ""
    if found.family > 1:
        facts += f"; p = {found.adjusted:.2g} after Holm's correction for {found.family} comparisons"
    if gap.low <= 0 <= gap.high:
        between = f"between {one} and {other}{where}"
        return f"No difference found {between}: {gap.value:+.{digits}f} {unit} ({facts})."
    word = "better" if gap.value > 0 else "worse"
    doubtful = found.family > 1 and found.adjusted >= 1 - LEVEL
    doubt = ", which may be chance among so many comparisons" if doubtful else ""
    return f"{one} is {abs(gap.value):.{digits}f} {unit} {word} than {other}{where} ({facts}){doubt}."


def data_needed(found: Needed, unit: str = "F1", digits: int = 1) -> str:
    """What a data efficiency says.

    Returns:
      Such as 'fine-tuning needs 2,100 examples to reach FIAT at 300 examples, 70.1 F1 (1,400 to more than
      3,000, ...)', where 3,000 is the largest size that was measured.
    """
    smallest, largest = f"{found.sizes[0]:,}", f"{found.sizes[-1]:,}"

    goal = f"{_at(found.goal, found.goal_regime)}, {found.score:.{digits}f} {unit}"
    facts = (
        f"{interval_text(found)}, n = {found.test_examples:,}, "
        f"{seeds_text(found.seeds, found.left_out)}; measured from {smallest} to {largest}, where the curve "
        f"misses a mean by {found.misses:.{digits}f} {unit} at most"
    )
    return (
        f"{found.paradigm} needs {examples_text(found, found.examples)} examples to reach {goal} ({facts})."
    )


def examples_text(found: Needed, examples: float) -> str:
    """A number of examples, as far as it was measured: such as '772' or 'more than 3,000'."""
    if math.isinf(examples):
        return f"more than {found.sizes[-1]:,}"
    return f"{examples:,.0f}" if examples else f"fewer than {found.sizes[0]:,}"


def interval_text(found: Needed) -> str:
    """The interval of how many are needed; one number where both ends are alike."""
    return " to ".join(dict.fromkeys(examples_text(found, end) for end in (found.low, found.high)))


def _sides(found: Comparison) -> tuple[str, str]:
    """Both names, with the regime said once where it is the same."""
    one, other = found.regimes
    return found.one if one == other else _at(found.one, one), _at(found.other, other)


def _at(paradigm: str, regime: int | None) -> str:
    return run_name(paradigm, regime) + ("" if regime is None else " examples")
