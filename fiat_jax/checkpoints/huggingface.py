"""T5 weights from a Hugging Face folder or hub id: config.json read raw, safetensors only, no torch.

The files are checked against the config before an array is allocated.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat_jax.checkpoints.fingerprint import fingerprint
from fiat_jax.checkpoints.loading import read_params
from fiat_jax.checkpoints.names import rows
from fiat_jax.checkpoints.tensors import Tensor, open_folder, same_values, some
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.models.config import T5Config
from fiat_jax.paths import at, is_remote, local_copy
from fiat_jax.typing import Params

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_WEIGHTS = ["config.json", "*.safetensors", "*.index.json"]
_HUB_WORDS = ["tokenizer*.json", "special_tokens_map.json", "spiece.model", "generation_config.json"]
_SHARED, _HEAD = "shared.weight", "lm_head.weight"
# Other names under which files hold the embedding: beside shared.weight, or instead of it.
_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# The first T5 checkpoints hold a bias for cross-attention, which no T5 reads.
_UNREAD = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"


@dataclass(frozen=True)
class Pretrained:
    """A T5 in a folder: its headers are read and agree with its config, its values are not read yet.

    Attributes:
      config: what config.json and the settings say.
      tensors: the weights by their names, with one embedding, and without a head that is the embedding.
    """

    config: T5Config
    tensors: Mapping[str, Tensor]

    def params(self, shardings: Any = None, *, learned: bool = False) -> Params:
        """The base: nested dicts of arrays, layers stacked on the leading axis.

        Args:
          shardings: where each array goes, as a tree of the same form; None gives numpy arrays.
          learned: whether the base is learned, and all of it float32. A frozen one has its matrices in
            `config.dtype`; its norms and biases by position are float32 either way.
        """
        return read_params(self.config, self.tensors, learned, shardings)

    def fingerprint(self) -> str:
        """Of the weights, by which an adapter knows its base; see `checkpoints.fingerprint`."""
        return fingerprint(self.tensors)


def open_model(source: str | Path, **settings: Any) -> Pretrained:
    """Opens a T5 or mT5.

    Args:
      source: a folder with config.json and safetensors, or a hub id such as 'google/flan-t5-small'.
      **settings: fields of the config to set over what config.json says, such as dtype, remat and dropout.

    Raises:
      ConfigError: no such folder or hub id, or a model that is not supported.
      DataError: weights that are not safetensors, or that disagree with the config.
    """
    folder = find_folder(source)
    config, tensors = _open(folder, settings)
    _check(config, tensors, folder)
    return Pretrained(config, tensors)


def load(source: str | Path, **settings: Any) -> tuple[T5Config, Params]:
    """The config and, as float32 numpy arrays, the base of `open_model`. Arguments and errors as there."""
    pretrained = open_model(source, **settings)
    return pretrained.config, pretrained.params(learned=True)


def load_config(source: str | Path, **settings: Any) -> T5Config:
    """The config of `open_model`, without a check of the weights. Arguments and errors as there."""
    return _open(find_folder(source), settings)[0]


def plan_config(source: str | Path, **settings: Any) -> T5Config:
    """The config of a model whose weights need not be there: of a folder, config.json is enough.

    The weights tell whether the head is the embedding; without them, it is in the first T5s alone, whose
    feed-forward layers are not gated. Arguments and errors as for `open_model`.
    """
    folder = find_folder(source, wanted=["config.json"])
    if any(folder.glob("*.safetensors")):
        return load_config(folder, **settings)
    raw = read_config(folder)
    config = T5Config.from_hf(raw, tied=False, **settings)
    return config if config.gated else T5Config.from_hf(raw, tied=True, **settings)


def read_config(folder: str | Path) -> dict[str, Any]:
    """The config.json of a folder as it is written.

    Raises:
      ConfigError: no such file, or one that is not a JSON object.
    """
    path = Path(folder) / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: expected a Hugging Face model's config, but {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected one JSON object, found broken JSON ({error}).") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected one JSON object, found {type(raw).__name__}.")
    return raw


def find_folder(source: str | Path, wanted: Sequence[str] = (*_HUB_WEIGHTS, *_HUB_WORDS)) -> Path:
    """The folder itself, or a copy in the cache of one in a bucket, or that of a hub id in the hub's cache.

    HF_HOME, HF_TOKEN and HF_HUB_OFFLINE are honoured.

    Args:
      source: a folder, gs://BUCKET/FOLDER or a hub id.
      wanted: patterns of the files that are downloaded.

    Raises:
      ConfigError: neither a folder nor a hub id that can be had.
    """
    folder = at(source) if is_remote(source) else Path(source).expanduser()
    if folder.is_dir():
        return local_copy(folder, wanted)
    if folder.exists() or not _HUB_ID.fullmatch(str(source)):
        raise ConfigError(
            f"{source}: expected a folder with config.json and safetensors, or a hub id like 'owner/name'."
        )
    return _download(str(source), wanted)


def _download(hub_id: str, wanted: Sequence[str]) -> Path:
    from huggingface_hub import errors, snapshot_download

    expected = f"{hub_id}: expected a folder or a hub id; there is no such folder, and"
    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(wanted)))
    except errors.LocalEntryNotFoundError:
        raise ConfigError(
            f"{expected} the hub cannot be reached (or HF_HUB_OFFLINE is set) while HF_HOME does not "
            "hold the model; check the path, or download the model where there is a network."
        ) from None
    except errors.RepositoryNotFoundError:
        raise ConfigError(
            f"{expected} the hub has no such model that you may read; "
            "check the spelling, and set HF_TOKEN if it is private or gated."
        ) from None
    except Exception as error:  # of huggingface_hub or of the HTTP library it happens to use
        raise ConfigError(f"{expected} the hub did not give the model: {error}") from None


def _open(folder: Path, settings: Mapping[str, Any]) -> tuple[T5Config, dict[str, Tensor]]:
    raw = read_config(folder)
    tensors = _without_copies(open_folder(folder), folder)
    tied = _is_tied(raw, tensors, folder)
    if tied:
        tensors.pop(_HEAD, None)
    return T5Config.from_hf(raw, tied=tied, **settings), tensors


def _without_copies(tensors: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """The tensors with one embedding, as shared.weight."""
    embeddings = [name for name in (_SHARED, *_COPIES) if name in tensors]
    if not embeddings:
        return tensors
    for copy in embeddings[1:]:
        if not same_values(tensors[embeddings[0]], tensors[copy]):
            raise DataError(
                f"{folder}: expected one embedding for encoder and decoder, found a {copy} that differs from "
                f"{embeddings[0]}; such a model is not a T5."
            )
    kept = {name: tensor for name, tensor in tensors.items() if name not in (_SHARED, *_COPIES, _UNREAD)}
    return kept | {_SHARED: tensors[embeddings[0]]}


def _is_tied(raw: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path) -> bool:
    """Whether the head is the embedding. What config.json says of it is only trusted to miss a lost head."""
    if _HEAD in tensors:
        return _SHARED in tensors and same_values(tensors[_HEAD], tensors[_SHARED])
    if raw.get("tie_word_embeddings") is False:
        raise DataError(
            f"{folder}: config.json says that the head is not tied, and the file holds no {_HEAD}; "
            "take a complete copy of the model, or set tie_word_embeddings to true if that is what it is."
        )
    return True


def _check(config: T5Config, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Names every tensor that is missing, unexpected or of another shape than the config says."""
    layers = max(config.num_encoder_layers, config.num_decoder_layers)
    if layers > len(tensors):  # before names are made for them all
        raise DataError(
            f"{folder}: config.json says {layers} layers, but the weights hold {len(tensors)} tensors."
        )
    expected = {name: row.their_shape(config) for row in rows(config) for name in row.names(config)}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    shapes = [f"{n} {found[n]} instead of {s}" for n, s in expected.items() if n in found and found[n] != s]
    problems = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": shapes,
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {some(names)}" for kind, names in problems.items() if names)
        raise DataError(
            f"{folder}: expected the weights that config.json describes, found tensors {listed}; "
            "take both files from the same model."
        )
