"""An example token by token: what is kept, what was cut away, and what the vocabulary cannot write."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import RATIONALE, Filling, Reading
from fiat_jax.data.vocabularies import Tokens
from fiat_jax.study.inspection.letters import Letters
from fiat_jax.study.inspection.reading import Read

Kind = Literal["kept", "unknown", "gone", "cut", "target", "skipped"]
"""Read; an <unk> to the model; no token at all, as line breaks in T5; shortened away; written; not shown."""

_CUT, _END = "\ufdd0", "\ufdd1"
"""No characters of any text."""
_MOST_CUT, _MOST_LETTERS, _MOST_LOST, _FEW = 2000, 24, 12, 10


class Token(NamedTuple):
    """A token, or several characters that are none: its text, and what it is."""

    text: str
    kind: Kind


@dataclass(frozen=True)
class Window:
    """How many tokens are shown: at the start, about the ends of what is cut, at the end, beside losses."""

    head: int
    about: int
    tail: int
    beside: int


@dataclass(frozen=True)
class Marked:
    """An example with its marks.

    Attributes:
      read: the example.
      why: why it is shown.
      input, target: its tokens.
    """

    read: Read
    why: str
    input: tuple[Token, ...]
    target: tuple[Token, ...]


def mark(task: Task, reading: Reading, read: Read, why: str, letters: Letters) -> Marked:
    """Marks an example; what is cut stands where it would have been."""
    tokens = task.tokens()
    parts = {**read.fields, RATIONALE: read.rationale}
    for name, gone in read.cut.items():
        end = len(parts[name]) - gone
        parts[name] = f"{parts[name][:end]}{_CUT}{parts[name][end:]}{_END}"
    filling = Filling(read.id, read.language, parts, parts.pop(RATIONALE))
    pieces = task.template.compose(reading, filling).split(_CUT)
    kept, holes, place = pieces[0], [], len(pieces[0])
    for piece in pieces[1:]:
        lost, _, more = piece.partition(_END)
        holes.append((place, lost))
        kept, place = kept + more, place + len(more)
    inputs = tuple(_with_holes(_tokens(kept, tokens, letters), holes, tokens)) if not read.refused else ()
    return Marked(read, why, inputs, tuple(_tokens(read.target, tokens, letters, "target")))


def _tokens(text: str, tokens: Tokens, letters: Letters, kind: Kind = "kept") -> Iterator[Token]:
    """The tokens of a text, all of its characters among them, once each."""
    done = 0
    for id, start, end in tokens.spans(text):
        if start > done:
            yield from _gap(text[done:start], letters, kind)
        if id == tokens.unk_id:
            yield from [Token(text[start:end], "unknown")] * (start < end)
        else:
            yield from _gap(text[start:end], letters, kind)
        done = end
    yield from _gap(text[done:], letters, kind)


def _gap(text: str, letters: Letters, kind: Kind) -> Iterator[Token]:
    """Characters that are no unknown ones; those that leave no trace apart."""
    kept = ""
    for character in text:
        if letters.vanishes(character):
            yield from [Token(kept, kind)] * bool(kept)
            yield Token(character, "gone")
            kept = ""
        else:
            kept += character
    yield from [Token(kept, kind)] * bool(kept)


def _with_holes(shown: Iterable[Token], holes: Sequence[tuple[int, str]], tokens: Tokens) -> Iterator[Token]:
    place, left = 0, list(holes)
    for token in shown:
        while left and left[0][0] <= place:
            yield from _cut(left.pop(0)[1], tokens)
        yield token
        place += len(token.text)
    for _, lost in left:
        yield from _cut(lost, tokens)


def _cut(text: str, tokens: Tokens) -> Iterator[Token]:
    """The tokens of what is cut away; of a long text those at its ends."""
    half = _MOST_CUT // 2
    parts = [text] if len(text) <= _MOST_CUT else [text[:half], text[-half:]]
    for number, part in enumerate(parts):
        if number:
            yield Token(text[half:-half], "skipped")
        done = 0
        for _, _, end in tokens.spans(part):
            if end > done:
                yield Token(part[done:end], "cut")
                done = end


def shortened(tokens: Sequence[Token], window: Window) -> list[Token]:
    """As many tokens as a window shows; how much is not shown is said in its place."""
    cut = [at for at, token in enumerate(tokens) if token.kind == "cut"]
    lost = [at for at, token in enumerate(tokens) if token.kind in ("unknown", "gone")]
    shown = set(range(window.head)) | set(range(len(tokens) - window.tail, len(tokens)))
    for places, beside in (({*cut[:1], *cut[-1:]}, window.about), (lost[:_MOST_LOST], window.beside)):
        for at in places:
            shown |= set(range(at - beside, at + beside + 1))
    out: list[Token] = []
    seen = (at in shown and token.kind != "skipped" for at, token in enumerate(tokens))
    for visible, some in itertools.groupby(zip(seen, tokens, strict=True), lambda one: one[0]):
        run = [token for _, token in some]
        if visible or (len(run) < _FEW and all(token.kind != "skipped" for token in run)):
            out += map(_short, run)
        else:
            hidden = sum(len(token.text) for token in run)
            out.append(Token(f"{hidden:,} characters more", "skipped"))
    return out


def _short(token: Token) -> Token:
    long = len(token.text) > _MOST_LETTERS
    return Token(f"{token.text[:_MOST_LETTERS]}…", token.kind) if long else token


def runs(tokens: Iterable[Token]) -> list[Token]:
    """Neighbours of one kind as one text."""
    out: list[Token] = []
    for token in tokens:
        if out and out[-1].kind == token.kind not in ("gone", "skipped"):
            out[-1] = Token(out[-1].text + token.text, token.kind)
        else:
            out.append(token)
    return out
