"""What the two models of the miniature world are pretrained on: all that each of them saw, and nothing else.

The target task is in neither: where a question for a ware is in an invented language, its translation is all
that stands with it; no passage, no reasoning and no answer.

The reasoner saw, told apart by an instruction,

- English questions with a passage, reasoned about and answered: for a ware, for the verb, and with a wrong
  ware, to which the answer is the right one;
- of the languages that it knows best only questions for the verb and with a wrong ware, the same;
- English questions for several wares with a passage, to which the answer is a list;
- questions of all kinds in all invented languages, without a passage, said in English.

Of each invented language it saw so many different sentences as `Language.corpus` says, so that it lacks words
of the rare ones. The tuned model saw no word of them. It read English questions of all kinds with a passage,
half of them with reasoning, which was about something else in one case of seven; lists of the same kind; and
in a second course also questions about others than the passage, where the reasoning had to be believed.
"""

import random
from collections.abc import Callable, Iterator, Mapping

from fiat_jax.data.templates import Filling, Variant
from fiat_jax.miniature.language import LANGUAGES, WARES, Fact, Kind, question, question_in, statement
from fiat_jax.miniature.world import FACTS, REASON, TEMPLATE, Row, drawn, passage, told

LIST = "List the orders."
TRANSLATE = "Say it in English."

REASONED = ("vel", "tok")
"""Languages in which the reasoner learns to reason, about other questions than those of the target task."""

KINDS: tuple[Kind, ...] = ("what", "how", "wrong")

_VARIANTS: tuple[Variant, ...] = ("plain", "instruction", "fiat")

Lesson = tuple[str, str]  # text and answer
Draw = random.Random


def reasoner_lessons(count: int) -> Iterator[Row]:
    """Examples for the reasoner: 'id', 'text' and 'answer'."""
    return _drawn("reasoner", {_reasoned: 4, _listed: 4, _reasoned_in: 2, _translated: 4}, count)


def first_tuned_lessons(count: int) -> Iterator[Row]:
    """The first examples for the tuned model: 'id', 'text' and 'answer'."""
    return _drawn("tuned", {_answered: 3, _listed: 1}, count)


def tuned_lessons(count: int) -> Iterator[Row]:
    """The examples for the tuned model after them."""
    return _drawn("tuned, unheard", {_answered: 2, _listed: 1, _unheard: 1}, count)


LESSONS = {"reasoner": (reasoner_lessons,), "tuned": (first_tuned_lessons, tuned_lessons)}
"""What gives so many lessons of a model, by the courses that it takes one after another."""


def _drawn(seed: str, shares: Mapping[Callable[[Draw], Lesson], int], count: int) -> Iterator[Row]:
    rng = random.Random(seed)
    kinds = rng.choices(list(shares), list(shares.values()), k=count)
    for number, kind in enumerate(kinds, start=1):
        text, answer = kind(rng)
        yield {"id": str(number), "text": text, "answer": answer}


def _reasoned(rng: Draw) -> Lesson:
    kind, fact = _kind(rng), drawn(rng)
    facts = told(rng, fact, rng.randint(1, FACTS))
    asked = _asked(rng, kind, facts)
    return _read(rng, question(kind, asked), facts), _reasoning(kind, asked, fact)


def _listed(rng: Draw) -> Lesson:
    facts = told(rng, drawn(rng), rng.randint(1, FACTS))
    asked = facts[:3]
    people = " ".join(fact.people for fact in asked)
    fields = {"question": f"{asked[0].verb} {people} what?", "context": passage(rng, facts)}
    listed = " ".join(f"{statement(fact)}." for fact in asked)
    return f"{LIST} {TEMPLATE.compose('plain', Filling('', '', fields))}", listed


def _reasoned_in(rng: Draw) -> Lesson:
    kind: Kind = rng.choice(("how", "wrong"))
    language, fact = _sentence(rng, kind, REASONED)
    facts = told(rng, fact, rng.randint(1, FACTS))
    asked = _asked(rng, kind, facts)
    return _read(rng, question_in(language, kind, asked), facts), _reasoning(kind, asked, fact)


def _translated(rng: Draw) -> Lesson:
    kind = _kind(rng)
    language, fact = _sentence(rng, kind)
    return f"{TRANSLATE} question: {question_in(language, kind, fact)}", question(kind, fact)


def _answered(rng: Draw) -> Lesson:
    """A question for the tuned model, as each variant reads it."""
    kind, facts = _kind(rng), told(rng, fact := drawn(rng), rng.choice((2, 3, FACTS)))
    asked = _asked(rng, kind, facts)
    reasoning = _reasoning(kind, asked, fact)
    if rng.random() < 1 / 7:
        another = rng.choice(facts[1:])
        reasoning = _reasoning(kind, another, another)
    (variant,) = rng.choices(_VARIANTS, (1, 1, 2))
    fields = {"question": question(kind, asked), "context": passage(rng, facts)}
    return TEMPLATE.compose(variant, Filling("", "", fields, reasoning)), _answer(kind, fact)


def _unheard(rng: Draw) -> Lesson:
    """A question for the tuned model that nothing in the passage goes with, so that the reasoning decides."""
    kind, facts = _kind(rng), told(rng, fact := drawn(rng))
    fields = {"question": question(kind, drawn(rng)), "context": passage(rng, facts)}
    reasoning = _reasoning(kind, _asked(rng, kind, facts), fact)
    return TEMPLATE.compose("fiat", Filling("", "", fields, reasoning)), _answer(kind, fact)


def _read(rng: Draw, question: str, facts: list[Fact]) -> str:
    """A question and a passage, as the reasoner reads them."""
    fields = {"question": question, "context": passage(rng, facts)}
    return f"{REASON} {TEMPLATE.compose('plain', Filling('', '', fields))}"


def _kind(rng: Draw) -> Kind:
    """What a question is for; for a ware it is most of the time."""
    return rng.choices(KINDS, (3, 1, 1))[0]


def _asked(rng: Draw, kind: Kind, facts: list[Fact]) -> Fact:
    """What is asked about the first fact: the fact itself, or one with a ware that the passage has not."""
    if kind != "wrong":
        return facts[0]
    said = {fact.ware for fact in facts}
    return facts[0]._replace(ware=rng.choice([ware for ware in WARES if ware not in said]))


def _reasoning(kind: Kind, asked: Fact, fact: Fact) -> str:
    return f"{question(kind, asked)} {statement(fact)}. The answer is: {_answer(kind, fact)}"


def _answer(kind: Kind, fact: Fact) -> str:
    return fact.verb if kind == "how" else fact.ware


def _corpus(language: str) -> dict[str, list[Fact]]:
    """What there is to learn a language from: the facts that its sentences of each kind are about."""
    rng = random.Random(f"corpus {language}")
    return {kind: [drawn(rng) for _ in range(LANGUAGES[language].corpus)] for kind in KINDS}


_CORPORA = {language: _corpus(language) for language in LANGUAGES}


def _sentence(rng: Draw, kind: str, languages: tuple[str, ...] = tuple(LANGUAGES)) -> tuple[str, Fact]:
    """A language, less often one that has little, and what some sentence of it is about."""
    (language,) = rng.choices(languages, [LANGUAGES[one].corpus ** 0.25 for one in languages])
    return language, rng.choice(_CORPORA[language][kind])
