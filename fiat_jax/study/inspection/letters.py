"""What a vocabulary cannot write: letters that become <unk>, and such as leave no trace at all."""

import bisect
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from fiat_jax.data.vocabularies import Tokens
from fiat_jax.study.inspection.reading import Read
from fiat_jax.study.inspection.tables import Table, percent

_WORD = re.compile(r"\S+")
_NAMES = {"\n": "line break", "\r": "carriage return", "\t": "tab"}
_SHOWN, _WORDS = 10, 6


class Letters:
    """What a vocabulary can write, a character at a time and each asked once."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._vanish: dict[str, bool] = {}
        self._unknown: dict[str, bool] = {}

    def vanishes(self, character: str) -> bool:
        """Whether a character leaves nothing, or only a space, of itself."""
        if character not in self._vanish:
            self._vanish[character] = (
                unicodedata.category(character) != "Zs"
                and self._tokens.unk_id not in self._tokens.encode(character)
                and self._written(f"a{character}b") in ("ab", "a b")
            )
        return self._vanish[character]

    def suspicious(self, character: str) -> bool:
        """Whether a character is lost, or might be in some words."""
        if character not in self._unknown:
            unknown = self._tokens.unk_id
            within = (self._tokens.encode(text) for text in (character, f"a{character}b", f" {character} "))
            self._unknown[character] = any(unknown in ids for ids in within)
        return self._unknown[character] or self.vanishes(character)

    def lost(self, text: str) -> tuple[Counter[str], Counter[str]]:
        """The letters of a text that are lost, and the words that they are lost from."""
        letters, words = Counter[str](), Counter[str]()
        if not any(map(self.suspicious, set(text))):
            return letters, words
        letters.update({one: text.count(one) for one in set(text) if self.vanishes(one)})
        found = list(_WORD.finditer(text))
        ends = [word.end() for word in found]
        hit = set()
        for id, start, end in self._tokens.spans(text):
            if id == self._tokens.unk_id:
                letters.update(clusters(text[start:end]))
                hit.add(bisect.bisect_right(ends, end - 1))
        words.update(found[at].group() for at in hit if at < len(found))
        return letters, words

    def _written(self, text: str) -> str:
        return self._tokens.decode(self._tokens.encode(text))


def clusters(text: str) -> list[str]:
    """Letters with the marks that stand on or below them, white space left out."""
    found: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        if found and unicodedata.combining(character):
            found[-1] += character
        elif not character.isspace():
            found.append(character)
    return found


def name_of(letter: str) -> str:
    """A letter as it can be shown: itself, or its name where it has no picture."""
    if letter in _NAMES:
        return _NAMES[letter]
    if letter.isprintable() and not letter.isspace() and unicodedata.category(letter[0])[0] != "M":
        return letter
    return unicodedata.name(letter[0], f"U+{ord(letter[0]):04X}").lower()


@dataclass
class _Lost:
    """What one field loses in one language."""

    characters: int = 0
    letters: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)


def letters_table(examples: Iterable[Read], letters: Letters) -> tuple[Table | None, Counter[str]]:
    """What is lost of each field in each language, and of all together by letter; None where nothing is."""
    found: dict[tuple[str, str], _Lost] = defaultdict(_Lost)
    for one in examples:
        texts = {**one.fields, "answer": one.target, "rationale": one.rationale}
        for name, text in texts.items():
            lost, (gone, words) = found[name, one.language], letters.lost(text)
            lost.characters += len(text)
            lost.letters += gone
            lost.words += words
    rows = []
    for (name, language), lost in found.items():
        if not lost.letters:
            continue
        shown = [f"{name_of(one)} ({count:,})" for one, count in lost.letters.most_common(_SHOWN)]
        more = len(lost.letters) - len(shown)
        count = lost.letters.total()
        rows.append(
            (
                name,
                language,
                ", ".join(shown) + f", and {more} others" * bool(more),
                ", ".join(word[:24] for word, _ in lost.words.most_common(_WORDS)),
                f"{count:,}",
                percent(count, lost.characters),
            )
        )
    total: Counter[str] = sum((lost.letters for lost in found.values()), Counter())
    if not rows:
        return None, total
    head = ("field", "language", "lost", "in words such as", "characters", "% of all")
    return Table(head, tuple(rows), numbers=2), total
