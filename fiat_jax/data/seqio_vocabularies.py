"""Vocabularies as seqio knows them, with the ids of `vocabularies`."""

from typing import Any

import numpy as np

from fiat_jax.data.tensorflow import seqio, tf
from fiat_jax.data.vocabularies import find_vocabulary, load_tokens


class JsonVocabulary(seqio.Vocabulary):
    """A Hugging Face tokenizer.json.

    Args:
      path: the file, or a folder that holds it.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self._tokens = load_tokens(path)

    @property
    def bos_id(self) -> int | None:
        """A T5 has none."""
        return None

    @property
    def pad_id(self) -> int:
        """The file's."""
        return self._tokens.pad_id

    @property
    def eos_id(self) -> int:
        """The file's."""
        return self._tokens.eos_id

    @property
    def unk_id(self) -> int | None:
        """The file's."""
        return self._tokens.unk_id

    @property
    def _base_vocab_size(self) -> int:
        return self._tokens.size

    def _encode(self, s: str) -> list[int]:
        return self._tokens.encode(s)

    def _decode(self, ids: Any) -> str:
        return self._tokens.decode(ids)

    def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
        def encoded(text: Any) -> np.ndarray:  # bytes in a graph, an array of them outside
            return np.array(self._encode(np.asarray(text, object).item().decode()), np.int32)

        ids = tf.numpy_function(encoded, [s], tf.int32)
        ids.set_shape([None])
        return ids

    def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
        def texts(rows: np.ndarray) -> np.ndarray:
            flat = [self._decode(row).encode() for row in rows.reshape(-1, rows.shape[-1])]
            return np.array(flat, dtype=object).reshape(rows.shape[:-1])

        decoded = tf.numpy_function(texts, [ids], tf.string)
        decoded.set_shape(ids.shape[:-1])
        return decoded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonVocabulary) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)


def load_vocabulary(path: str) -> seqio.Vocabulary:
    """A seqio vocabulary.

    Args:
      path: 'byte', a tokenizer.json, a sentencepiece .model, or a folder that holds one.

    Raises:
      ConfigError: there is none, it is broken, or it is not one of a T5.
    """
    load_tokens(path)  # its checks
    file = find_vocabulary(path)
    if file is None:
        return seqio.ByteVocabulary()
    if file.suffix == ".json":
        return JsonVocabulary(str(file))
    model = seqio.SentencePieceVocabulary(str(file))
    sentinels = {model.tokenizer.piece_to_id(piece) for piece in ("<extra_id_0>", "\u2581<extra_id_0>")}
    return model if sentinels != {model.unk_id} else seqio.SentencePieceVocabulary(str(file), extra_ids=100)
