"""The answer: which paradigm, by how much, and how sure that is."""

from fiat_jax.study.comparing.report.blocks import Block, Heading, Items, Section, Table, Text
from fiat_jax.study.comparing.report.efficiency import LEAST, efficiencies
from fiat_jax.study.comparing.report.explained import explained, explained_score
from fiat_jax.study.comparing.report.found import FIAT, Found, at_size, named
from fiat_jax.study.comparing.report.line import Line
from fiat_jax.study.comparing.report.rivals import KINDS, outcome, reference, rivals
from fiat_jax.study.comparing.report.unfinished import lacking
from fiat_jax.study.statistics import compared, data_needed

_WORDS = {
    "better": "{one} scores higher than {others}",
    "worse": "{one} scores lower than {others}",
    "alike": "no difference was found between {one} and {others}",
    "open": "it is not settled whether {one} differs from {others}",
}
_CALLED = {
    "prompting": "prompting the large model",
    "fine-tuning": "the best fine-tuning",
    "adapter without rationale": "the best adapter without rationale",
}


def verdict(found: Found) -> Section:
    """The verdict, and what was compared."""
    blocks: list[Block] = []
    if not found.runs:
        blocks.append(Text(_nothing(found), strong=True))
    else:
        blocks += _answer(found)
    if missing := lacking(found):
        blocks += [Heading("What is missing"), Items(missing)]
    rows = [(label, explained(name)) for name, label in found.study.paradigms.items()]
    blocks.append(Table(("paradigm", "what it is"), rows, title="What was compared"))
    blocks.append(Text(_score(found)))
    return Section("", blocks)


def headline(found: Found, size: int | None) -> str:
    """Against what the reference does better and worse at a size, in words alone."""
    one, its = reference(found, size), rivals(found, size)
    if one is None:
        return ""
    parts = []
    for word, form in _WORDS.items():
        if others := [_CALLED[kind] for kind, test in its.items() if outcome(test) == word]:
            parts.append(
                form.format(
                    one=one.label, others=_listed(others, "and" if word in ("better", "worse") else "or")
                )
            )
    said = "; ".join(parts) or _alone(found, one)
    where = f"{at_size(size).strip()}, " if size is not None else ""
    return _sentence(f"{where}{said}.")


def _answer(found: Found) -> list[Block]:
    first, last = found.smallest, found.largest
    blocks: list[Block] = [Text(headline(found, last), strong=True)]
    best = found.best(found.lines, last)
    highest = found.estimate(best, last) if best else None
    said = []
    if best and highest:
        said.append(
            f"Of all {len(found.at(last))} the highest mean{at_size(last)} is that of {best.label}: "
            f"{found.study.unit} {highest.text()}."
        )
    said += _sentences(found, last)
    if _has_fiat(found):
        said += [f"There is no {kind} to compare with." for kind in KINDS if kind not in rivals(found, last)]
    if first != last:
        said += _smallest(found)
    blocks.append(Items([*said, *_efficiency(found)]))
    if not _has_fiat(found):
        blocks.append(Text("FIAT has not run: everything is compared with the line that scores best."))
    blocks.append(
        Text(
            "In brackets: the interval of 95 %, about other test examples, and other seeds where there are "
            "two or more. The best of a kind has the highest mean on the test, which favours it a little."
        )
    )
    return blocks


def _has_fiat(found: Found) -> bool:
    return any(line.paradigm == FIAT for line in found.references)


def _alone(found: Found, one: Line) -> str:
    """What is said where there is nothing of any kind to compare with."""
    if _has_fiat(found):
        return f"{one.label} has nothing to be compared with"
    return f"FIAT has not run; of what has, {one.label} has the highest mean"


def _sentences(found: Found, size: int | None) -> list[str]:
    return [_sentence(compared(test.found, found.unit)) for test in rivals(found, size).values()]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(names: list[str], last: str) -> str:
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _smallest(found: Found) -> list[str]:
    """What is otherwise at the smallest size."""
    first, last = (rivals(found, size) for size in (found.smallest, found.largest))
    if not first:
        return []
    if {kind: outcome(test) for kind, test in first.items()} == {
        kind: outcome(test) for kind, test in last.items()
    }:
        return [f"The same was found{at_size(found.smallest)}."]
    return [headline(found, found.smallest), *_sentences(found, found.smallest)]


def _efficiency(found: Found) -> list[str]:
    if some := efficiencies(found, "fine-tuning"):
        return [_sentence(data_needed(some[0], found.unit))]
    if "fine-tuning" not in rivals(found, found.largest) or len(found.sizes) >= LEAST:
        return []
    goal = reference(found, found.largest)
    name = goal.label if goal else ""
    return [f"How many examples fine-tuning needs to reach {name} is not known: {LEAST} sizes are needed."]


def _nothing(found: Found) -> str:
    if found.results:
        return "Nothing can be said: no language that counts has two test examples."
    return "No cell has finished yet: there is nothing to compare."


def _score(found: Found) -> str:
    counted = found.score.languages
    said = f"The score is {explained_score(found.study.score, found.study.unit)}. "
    if len(counted) > 1:
        languages = f"{len(counted)} languages ({', '.join(map(named, counted))})"
        said += f"It is the mean over {languages}, each the mean of its examples. "
    return f"{said}There are {sum(found.counts.values()):,} test examples."
