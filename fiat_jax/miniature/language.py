"""What can be said in the miniature world, in English and in five invented languages.

An invented language has words of its own for all that is English, and an order of its own; names of people
stay as they are.
"""

import itertools
import random
from dataclasses import dataclass
from typing import Literal, NamedTuple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


VERBS = _words("send give sell lend show bring buy build")

PEOPLE = _words(
    "actors artists bakers bankers barbers brewers butchers clerks cooks cousins dancers dentists doctors "
    "drivers dyers farmers fishers grocers guards guests hatters hunters joiners judges knights lawyers "
    "maids masons mayors millers miners monks nurses painters pilots pipers players plumbers poets porters "
    "potters printers sailors scouts scribes shepherds singers smiths soldiers surgeons tailors tanners "
    "teachers tilers tinkers twins weavers widows wizards writers"
)

WARES = _words(
    "apples bells boats books boots bread candles carts chairs cheese coats combs drums eggs flour hats "
    "honey ink kites lamps nails paper pots rings ropes salt seeds shoes soap tea"
)


class Fact(NamedTuple):
    """An order, such as "send sailors ropes"."""

    verb: str
    people: str
    ware: str


Kind = Literal["what", "how", "wrong"]
"""What a question is for: the ware, the verb, or the right ware where it names a wrong one."""


def statement(fact: Fact) -> str:
    """A fact as passages have it, without the full stop."""
    return " ".join(fact)


def question(kind: Kind, fact: Fact) -> str:
    """A question about a fact, in English."""
    return f"{statement(_asking(kind, fact))}?"


@dataclass(frozen=True)
class Language:
    """An invented language.

    Attributes:
      consonants, vowels: of which its words are made; no word belongs to two languages.
      order: of what questions are made of.
      corpus: how many sentences there are of it in all, of each kind, to learn it from.
    """

    consonants: str
    vowels: str
    order: str
    corpus: int


LANGUAGES = {
    "vel": Language("vlsz", "aeiou", "verb people ware", 3000),
    "tok": Language("tkpb", "aeiou", "ware people verb", 3000),
    "nam": Language("nmrj", "aeiou", "people verb ware", 200),
    "dug": Language("dghw", "aeiou", "ware verb people", 60),
    "fex": Language("fxcq", "aeiou", "people ware verb", 25),
}
"""Two that are well known, and three that are ever rarer."""


def question_in(language: str, kind: Kind, fact: Fact) -> str:
    """A question about a fact, in an invented language."""
    asked, words = _asking(kind, fact)._asdict(), LEXICONS[language]
    parts = (asked[part] for part in LANGUAGES[language].order.split())
    return " ".join(words.get(part, part) for part in parts) + "?"


def _asking(kind: Kind, fact: Fact) -> Fact:
    """A fact with the question word in the place of what is asked."""
    if kind == "wrong":
        return fact
    return fact._replace(ware="what") if kind == "what" else fact._replace(verb="how")


def _lexicon(name: str, language: Language) -> dict[str, str]:
    """The words of a language by their English, made up once and for all."""
    rng = random.Random(name)
    syllables = list(map("".join, itertools.product(language.consonants, language.vowels)))
    english = ["what", "how", *VERBS, *PEOPLE]
    words = list(map("".join, itertools.product(syllables, repeat=2)))
    return dict(zip(english, rng.sample(words, len(english)), strict=True))


LEXICONS = {name: _lexicon(name, language) for name, language in LANGUAGES.items()}
"""For each language its words by their English."""
