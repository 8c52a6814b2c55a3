"""The fields of an adapter_config.json. It is foreign: nothing in it is believed before it is checked."""

import json
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat_jax.checkpoints.peft_tensors import Place
from fiat_jax.checkpoints.tensors import without_repeats
from fiat_jax.errors import DataError

_MOST_BYTES = 2**20
# fmt: off
_KNOWN = (
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "eva_config",
    "exclude_modules", "fan_in_fan_out", "feedforward_modules", "inference_mode", "init_ia3_weights",
    "init_lora_weights", "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout",
    "lora_ga_config", "megatron_core", "num_attention_heads", "num_layers", "num_transformer_submodules",
    "num_virtual_tokens", "peft_type", "peft_version", "prompt_tuning_init", "prompt_tuning_init_text",
    "qalora_group_size", "r", "rank_pattern", "revision", "runtime_config", "target_modules", "task_type",
    "token_dim", "tokenizer_kwargs", "tokenizer_name_or_path", "use_dora", "use_rslora",
)
# fmt: on
"""Fields that are read, that the tensors show, that say how training began, or that do nothing for a T5."""


@dataclass(frozen=True)
class Fields:
    """An adapter_config.json.

    Attributes:
      path: of the file.
      raw: its fields.
    """

    path: Path
    raw: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Fields":
        """Reads a file.

        Raises:
          DataError: it is no JSON object of a sensible size.
        """
        try:
            if path.exists() and not path.is_file():
                raise ValueError("it is no file")
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError(f"it has over {_MOST_BYTES} bytes")
            raw = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=without_repeats)
            if not isinstance(raw, dict):
                raise ValueError(f"it holds a {type(raw).__name__}")
        except (OSError, ValueError, RecursionError) as error:
            found = getattr(error, "strerror", None) or error
            raise DataError(
                f"{path}: expected an adapter's settings as a JSON object, but {found}."
            ) from None
        return cls(path, raw)

    def take(self, name: str, default: Any, expected: str, fits: Callable[[Any], bool]) -> Any:
        """The value of a field, or its default where it is absent or null.

        Raises:
          DataError: it does not fit.
        """
        value = self.raw.get(name)
        value = default if value is None else value
        if not fits(value):
            raise DataError(f"{self.path}: expected {name} to be {expected}, found {reprlib.repr(value)}.")
        return value

    def whole(self, name: str, default: Any) -> int:
        """The value of a field that holds a number from 1."""
        return self.take(name, default, "a whole number from 1", is_count)

    def flag(self, name: str) -> bool:
        """The value of a field that is false by default."""
        return self.take(name, False, "true or false", lambda value: isinstance(value, bool))

    def pattern(self, name: str, place: Place, default: Any) -> Any:
        """What rank_pattern or alpha_pattern says of a linear layer, by PEFT's rule: the first that matches.

        Raises:
          DataError: it says different things of different layers.
        """
        field = self.take(name, {}, "an object of numbers by module", _is_pattern_field)
        for key in field:
            if not _is_simple(key):
                raise DataError(
                    f"{self.path}: expected names or simple regular expressions in {name}, "
                    f"found {reprlib.repr(key)}; write the names of the modules out."
                )
        found = {
            next((field[k] for k in field if re.match(rf"(.*\.)?({k})$", module)), default)
            for module in place.modules
        }
        if len(found) > 1:
            raise DataError(
                f"{self.path}: expected {name} to give one value to all layers of {place.modules[0]}, "
                f"found {', '.join(map(str, sorted(found)))}; layers are stacked here and share it."
            )
        return found.pop()

    def check_others(self, *ours: str) -> None:
        """Refuses fields that are neither PEFT's and known nor these of ours, and say something.

        Raises:
          DataError: a field is set that no adapter here can follow.
        """
        for name, value in self.raw.items():
            if name not in (*_KNOWN, *ours) and value not in (None, False, "", [], {}):
                raise DataError(
                    f"{self.path}: expected {reprlib.repr(name)} to be unset, found {reprlib.repr(value)}; "
                    "such an adapter cannot be represented here."
                )


def is_count(value: Any) -> bool:
    """Whether a JSON value is a whole number from 1."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**31


def _is_pattern_field(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_number, value.values()))


def _is_simple(pattern: str) -> bool:
    """Whether a regular expression is quick to match, whoever wrote it: few choices, and none nested."""
    repeats, choices = len(re.findall(r"[*+?{]", pattern)), pattern.count("|")
    if len(pattern) > 200 or 2 * repeats + choices > 6 or re.search(r"\)[*+?{]|\(\?|\\\d", pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
