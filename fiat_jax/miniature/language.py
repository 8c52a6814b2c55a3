"""What can be said in the miniature world: English statements, and questions in two invented languages.

An invented language is English with each word replaced by one of its own; proper names stay as they are.
"""

import itertools
import random
from dataclasses import dataclass

LANGUAGES = {"vel": ("vlmnrsz", "aeiou"), "tok": ("tkpbdgh", "aeiou")}
"""The consonants and vowels of each language; no word belongs to two."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    "Ada Boris Cleo Dana Emil Fritz Greta Hugo Ines Jonas Kira Lars Mara Nils Olga Pavel "
    "Quinn Rosa Sven Tilda Ugo Vera Wim Yara"
)
PLACES = _words("Alder Birk Corvin Dorn Elmet Falke Gorst Holm")


@dataclass(frozen=True)
class Relation:
    """Something that is said of people.

    Attributes:
      verb: as questions have it.
      says: as statements have it.
      values: what may follow.
      asks: the question word.
    """

    verb: str
    says: str
    values: tuple[str, ...]
    asks: str = "what"


def _pairs(first: str, second: str) -> tuple[str, ...]:
    return tuple(map(" ".join, itertools.product(_words(first), _words(second))))


RELATIONS = (
    Relation("live", "lives in", PLACES, "where"),
    Relation("visit", "visits", PLACES),
    Relation("keep", "keeps", _pairs("two three four seven nine", "goats hens cats mules bees")),
    Relation("own", "owns", _pairs("red green blue white black", "boats carts houses mills")),
    Relation("wear", "wears", _pairs("red green blue white black", "boots hats coats gloves")),
    Relation("buy", "buys", _pairs("two three four seven nine", "cakes ropes bells lamps")),
    Relation("play", "plays", _words("drums flute harp chess cards fiddle")),
    Relation("sell", "sells", _words("bread cheese honey cloth candles salt")),
    Relation("grow", "grows", _words("plums beans roses wheat onions apples")),
    Relation("fear", "fears", _words("wolves storms ghosts snakes heights owls")),
    Relation("study", "studies", _words("stars maps law birds rivers music")),
    Relation("drink", "drinks", _words("tea milk cider water coffee broth")),
    Relation("paint", "paints", _words("walls ships faces signs horses doors")),
    Relation("carry", "carries", _words("letters stones wood coal baskets bricks")),
    Relation("build", "builds", _words("towers bridges clocks kites barns fences")),
    Relation("cook", "cooks", _words("soup fish rice lentils eggs noodles")),
)


def statement(name: str, relation: Relation, value: str) -> str:
    """A sentence, as passages have it."""
    return f"{name} {relation.says} {value}."


def question(name: str, relation: Relation, language: str) -> str:
    """A question in a language."""
    words = LEXICONS[language]
    return f"{words[relation.asks]} {words['does']} {name} {words[relation.verb]}?"


def _lexicon(language: str) -> dict[str, str]:
    """The words of a language by their English, made up once and for all."""
    rng = random.Random(language)
    syllables = list(map("".join, itertools.product(*LANGUAGES[language])))
    english = ["what", "where", "does", *(relation.verb for relation in RELATIONS)]
    words = list(map("".join, itertools.product(syllables, repeat=2)))
    return dict(zip(english, rng.sample(words, len(english)), strict=True))


LEXICONS = {language: _lexicon(language) for language in LANGUAGES}
"""For each language its words by their English."""
