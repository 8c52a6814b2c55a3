"""The miniature world: passages of a few facts, questions about them, and short answers."""

import itertools
import random
from collections.abc import Iterator

from fiat_jax.miniature.language import LANGUAGES, NAMES, RELATIONS, Relation, question, statement

Row = dict[str, str]

_SIZES = {"train": 170, "test": 50, "new": 2}


def splits(seed: int = 0) -> dict[str, list[Row]]:
    """All examples by split: 'train' and 'test', and 'new', whose rows have no answer.

    No question is asked in two of them.
    """
    rng = random.Random(seed)
    rows: dict[str, list[Row]] = {split: [] for split in _SIZES}
    for language in LANGUAGES:
        asked = rng.sample(list(itertools.product(NAMES, RELATIONS)), sum(_SIZES.values()))
        for split, size in _SIZES.items():
            some, asked = asked[:size], asked[size:]
            rows[split] += [
                {"id": f"{language}-{split}-{number}", "language": language, **_example(rng, *one, language)}
                for number, one in enumerate(some, start=1)
            ]
    for row in rows["new"]:
        del row["answer"]
    return rows


def copying(count: int, seed: int = 0) -> Iterator[Row]:
    """Examples that a T5 learns to copy from: statements in which one value stands between marks.

    They have no question, no reasoning, and no word of an invented language.
    """
    rng = random.Random(f"copying {seed}")
    for number in range(count):
        facts = [_fact(rng) for _ in range(rng.randint(1, 9))]
        name, relation, value = facts[rng.randrange(len(facts))]
        before, after = rng.choice(MARKS)
        marked = (name, relation, f"{before} {value} {after}")
        text = " ".join(statement(*(marked if fact == (name, relation, value) else fact)) for fact in facts)
        yield {"id": str(number), "text": text, "answer": value}


MARKS = (("[", "]"), ("(", ")"), ("<", ">"), ("*", "*"), (":", ";"))


def _example(rng: random.Random, name: str, relation: Relation, language: str) -> Row:
    """A question and a passage that says more of the same person, and the same of another."""
    other = rng.choice([one for one in NAMES if one != name])
    first, second, third = rng.sample([one for one in RELATIONS if one is not relation], 3)
    told = [(name, relation), (name, first), (name, second), (other, relation), (other, third)]
    facts = [(*about, rng.choice(about[1].values)) for about in told]
    answer = facts[0][-1]
    rng.shuffle(facts)
    return {
        "question": question(name, relation, language),
        "context": " ".join(statement(*fact) for fact in facts),
        "answer": answer,
    }


def _fact(rng: random.Random) -> tuple[str, Relation, str]:
    relation = rng.choice(RELATIONS)
    return rng.choice(NAMES), relation, rng.choice(relation.values)
