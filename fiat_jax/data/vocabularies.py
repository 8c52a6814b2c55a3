"""Text to token ids and back, without TensorFlow; `seqio_vocabularies` gives seqio the same ids."""

import functools
import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from fiat_jax.errors import ConfigError
from fiat_jax.paths import at, is_remote, local_copy

FILES = ("tokenizer.json", "spiece.model")
"""What a vocabulary is read from, best first."""


class Span(NamedTuple):
    """A token and the characters that it stands for, text[start:end]."""

    id: int
    start: int
    end: int


class Tokens(Protocol):
    """A vocabulary.

    Attributes:
      pad_id: what fills up a row; no text has it.
      eos_id: the end of a sequence.
      unk_id: what stands for text that it cannot write; None if it can write all.
      size: ids in all.
    """

    pad_id: int
    eos_id: int
    unk_id: int | None
    size: int

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without an end."""

    def spans(self, text: str) -> list[Span]:
        """The same ids with their places in the text, in order; a character may belong to none."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids up to the first end; pads and unknown tokens leave no trace."""


def decode_batch(tokens: Tokens, rows: Iterable[Iterable[int]]) -> list[str]:
    """The texts of rows of ids."""
    return [tokens.decode(row) for row in rows]


class JsonTokens:
    """A Hugging Face tokenizer.json."""

    def __init__(self, path: str | Path) -> None:
        from tokenizers import Tokenizer

        try:
            text = Path(path).read_text(encoding="utf-8")
            model = json.loads(text)["model"]
            self._tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exceptions
            raise ConfigError(f"{path}: expected a tokenizer.json, but it does not load ({error}).") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.pad_id, self.eos_id = _special_ids(path, self._tokenizer.token_to_id)
        unknown = model.get("unk_token")
        self.unk_id = model.get("unk_id") if unknown is None else self._tokenizer.token_to_id(unknown)
        self.size = self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """See `Tokens`."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def spans(self, text: str) -> list[Span]:
        """See `Tokens`."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return _spans(text, encoding.ids, encoding.offsets)

    def decode(self, ids: Iterable[int]) -> str:
        """See `Tokens`."""
        return self._tokenizer.decode(_words(self, ids), skip_special_tokens=True)


class SentencePieceTokens:
    """A sentencepiece model."""

    def __init__(self, path: str | Path) -> None:
        from sentencepiece import SentencePieceProcessor

        try:
            self._processor = SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise ConfigError(f"{path}: expected a sentencepiece model, but {error}.") from None
        self.pad_id, self.eos_id = _special_ids(path, self._id)
        self.unk_id: int | None = self._processor.unk_id()
        self.size = self._processor.get_piece_size()

    def encode(self, text: str) -> list[int]:
        """See `Tokens`."""
        return self._processor.encode(text)

    def spans(self, text: str) -> list[Span]:
        """See `Tokens`."""
        found = self._processor.encode(text, out_type="offset_mapping")
        return _spans(text, found["ids"], found["offsets"])

    def decode(self, ids: Iterable[int]) -> str:
        """See `Tokens`."""
        return self._processor.decode(_words(self, ids))

    def _id(self, piece: str) -> int | None:
        """A piece's id; None where the model has no such piece."""
        number = self._processor.piece_to_id(piece)
        return number if self._processor.id_to_piece(number) == piece else None


class ByteTokens:
    """UTF-8 bytes, as ByT5 reads them: byte b is id b + 3."""

    pad_id, eos_id = 0, 1
    unk_id: int | None = 2
    size = 259

    def encode(self, text: str) -> list[int]:
        """See `Tokens`."""
        return [byte + 3 for byte in text.encode("utf-8")]

    def spans(self, text: str) -> list[Span]:
        """See `Tokens`; the last byte of a character stands for all of it."""
        places = [(at, at + 1) for at, one in enumerate(text) for _ in one.encode("utf-8")]
        return _spans(text, self.encode(text), places)

    def decode(self, ids: Iterable[int]) -> str:
        """See `Tokens`."""
        return bytes(word - 3 for word in _words(self, ids)).decode("utf-8", errors="ignore")


def find_vocabulary(path: str) -> Path | None:
    """The file of a vocabulary; None for 'byte', which needs none.

    Args:
      path: 'byte', a tokenizer.json, a sentencepiece .model, or a folder or hub id that holds one.

    Raises:
      ConfigError: there is none.
    """
    if path == "byte":
        return None
    place = at(path)
    if is_remote(place) and place.exists():
        place = local_copy(place, FILES)
    if not place.exists() and path.count("/") <= 1 and not place.suffix:
        place = _hub_folder(path)
    for file in [place / name for name in FILES] if place.is_dir() else [place]:
        if file.is_file() and file.suffix in (".json", ".model"):
            return file
    raise ConfigError(
        f"{path}: expected {' or '.join(FILES)}, a folder with one of them, or 'byte'; found none."
    )


@functools.cache
def _hub_folder(hub_id: str) -> Path:
    from fiat_jax.checkpoints.huggingface import find_folder

    return find_folder(hub_id)


def load_tokens(path: str) -> Tokens:
    """Reads a vocabulary; the same unchanged file is read once.

    Args:
      path: as in `find_vocabulary`.

    Raises:
      ConfigError: there is none, it is broken, or it is not one of a T5.
    """
    file = find_vocabulary(path)
    return ByteTokens() if file is None else _load(str(file), file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _load(file: str, changed: int) -> Tokens:
    return JsonTokens(file) if file.endswith(".json") else SentencePieceTokens(file)


def _special_ids(path: str | Path, id_of: Callable[[str], int | None]) -> tuple[int, int]:
    """The ids of the pad and the end; MADLAD's vocabularies have no pad, and '<s>' stands for it."""
    pad, start, end = map(id_of, ("<pad>", "<s>", "</s>"))
    pad = start if pad is None else pad
    if pad is None or end is None:
        raise ConfigError(
            f"{path}: expected a T5's vocabulary, with <pad> or <s> and </s>, found {pad} and {end} as ids."
        )
    return pad, end


def _spans(text: str, ids: Iterable[int], places: Sequence[tuple[int, int]]) -> list[Span]:
    """Tokens with their places, each character in one of them.

    The space that is put before a text is given the place of what comes next, and a mark that is made one
    letter with what it stands on is given none.
    """
    starts = [start for start, _ in places[1:]] + [len(text)]
    spans = []
    for id, (start, end), following in zip(ids, places, starts, strict=False):
        end = min(end, following)
        while end < following and unicodedata.combining(text[end]):
            end += 1
        spans.append(Span(id, start, end))
    return spans


def _words(tokens: Tokens, ids: Iterable[int]) -> list[int]:
    """The ids before the end that stand for text."""
    words: Sequence[int] = list(map(int, ids))
    if tokens.eos_id in words:
        words = words[: words.index(tokens.eos_id)]
    return [word for word in words if word not in (tokens.pad_id, tokens.unk_id) and word < tokens.size]
