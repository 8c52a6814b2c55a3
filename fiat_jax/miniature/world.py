"""The miniature world: passages of a few facts, and the target task, which no pretraining shows.

The target: a question in an invented language for a ware, and an English passage that names it.
"""

import itertools
import random

from fiat_jax.data.templates import Template
from fiat_jax.miniature.language import LANGUAGES, PEOPLE, VERBS, WARES, Fact, question_in, statement

Row = dict[str, str]

TEMPLATE = Template(input="question: {question} context: {context}", instruction="Answer from the context.")
"""What the tuned model reads."""

REASON = "Reason, then answer."
"""The instruction of the reasoning prompt; its input is that of the template."""

LENGTH, PROMPT_LENGTH, WRITTEN = 48, 32, 16
"""Tokens at most of what the tuned model reads, of what the reasoner is asked, and of what it writes."""

FACTS = 4
"""In a passage."""

ASKED = 24
"""Kinds of people that a language's questions are about, so that a few hundred examples can teach them."""

SIZES = {"train": 110, "test": 50, "new": 1}
"""Examples of a language."""


def splits(seed: int = 0) -> dict[str, list[Row]]:
    """All examples by split: 'train' and 'test', and 'new', whose rows have no answer.

    No question is asked in two of them.
    """
    rng = random.Random(seed)
    rows: dict[str, list[Row]] = {split: [] for split in SIZES}
    for language in LANGUAGES:
        pairs = itertools.product(VERBS, rng.sample(PEOPLE, ASKED))
        asked = rng.sample(list(pairs), sum(SIZES.values()))
        for split, size in SIZES.items():
            some, asked = asked[:size], asked[size:]
            for number, (verb, people) in enumerate(some, start=1):
                fact = Fact(verb, people, rng.choice(WARES))
                rows[split].append(
                    {
                        "id": f"{language}-{split}-{number}",
                        "language": language,
                        "question": question_in(language, "what", fact),
                        "context": passage(rng, told(rng, fact)),
                        "answer": fact.ware,
                    }
                )
    for row in rows["new"]:
        del row["answer"]
    return rows


def drawn(rng: random.Random) -> Fact:
    """Any fact."""
    return Fact(rng.choice(VERBS), rng.choice(PEOPLE), rng.choice(WARES))


def told(rng: random.Random, fact: Fact, facts: int = FACTS) -> list[Fact]:
    """What a passage says: a fact, and the same of other people and other wares."""
    people = rng.sample([one for one in PEOPLE if one != fact.people], facts - 1)
    wares = rng.sample([one for one in WARES if one != fact.ware], facts - 1)
    return [fact, *(Fact(fact.verb, one, ware) for one, ware in zip(people, wares, strict=True))]


def passage(rng: random.Random, facts: list[Fact]) -> str:
    """A passage of facts in any order."""
    return " ".join(f"{statement(fact)}." for fact in rng.sample(facts, len(facts)))
