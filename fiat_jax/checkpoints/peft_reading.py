"""The adapter that a PEFT folder holds: its settings from adapter_config.json and the names of its tensors.

Which layers are adapted is read from the tensors, in whatever way `target_modules` says it. What our adapters
cannot be is refused by the field that says it.
"""

import logging
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from fiat_jax.adapters import IA3, DoRA, Learnable, LoRA, PrefixTuning, SoftPrompt
from fiat_jax.checkpoints.peft_config import OURS
from fiat_jax.checkpoints.peft_fields import Fields, is_count, is_number
from fiat_jax.checkpoints.peft_tensors import IA3_L, LORA_A, PROMPT, Place, attentions, places
from fiat_jax.checkpoints.tensors import Tensor, some
from fiat_jax.errors import DataError
from fiat_jax.models.config import T5Config

_PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""Values of init_lora_weights that leave the base as it is."""
_PROMPT_STARTS: dict[str, Literal["random", "vocabulary"]] = {
    "RANDOM": "random",
    "SAMPLE_VOCAB": "vocabulary",
    "TEXT": "vocabulary",
}

_log = logging.getLogger(__name__)


def read_settings(fields: Fields, tensors: Mapping[str, Tensor], config: T5Config) -> Learnable:
    """The adapter that an adapter_config.json and the names of its tensors describe.

    Raises:
      DataError: a kind or a field that no adapter here can be.
    """
    if OURS in fields.raw:
        return _read_prefix(fields, config)
    kind = fields.raw.get("peft_type")
    if kind not in list(_READERS):  # it may be of any type
        raise DataError(
            f"{fields.path}: expected peft_type to be one of {', '.join(_READERS)}, "
            f"found {reprlib.repr(kind)}; no other kind can be represented here."
        )
    fields.take(
        "task_type", None, "SEQ_2_SEQ_LM, for an encoder-decoder", lambda v: v in (None, "SEQ_2_SEQ_LM")
    )
    return _READERS[kind](fields, tensors, config)


def prompt_rows(fields: Fields) -> int:
    """The rows of a PROMPT_TUNING tensor, of which PEFT reads the first num_virtual_tokens for any T5."""
    submodules = fields.take("num_transformer_submodules", 1, "1 or 2", lambda v: is_count(v) and v < 3)
    return submodules * fields.whole("num_virtual_tokens", None)


def _read_lora(fields: Fields, tensors: Mapping[str, Tensor], config: T5Config) -> LoRA:
    fields.check_others()
    fields.take("bias", "none", "'none', since a T5 has no biases", lambda value: value == "none")
    fields.take(
        "init_lora_weights",
        True,
        "a start that leaves the base as it is (save the adapter converted to LoRA)",
        lambda value: any(value is one or value == one for one in _PLAIN_STARTS),
    )
    rank, alpha = fields.whole("r", 8), fields.take("lora_alpha", 8, "a number", is_number)
    adapted = _adapted(fields, LORA_A, tensors, config)
    ranks = {place.path: fields.pattern("rank_pattern", place, rank) for place in adapted}
    alphas = {place.path: fields.pattern("alpha_pattern", place, alpha) for place in adapted}
    if not all(map(is_count, ranks.values())):
        raise DataError(f"{fields.path}: expected whole numbers from 1 in rank_pattern, found others.")
    return (DoRA if fields.flag("use_dora") else LoRA)(
        targets=_patterns(ranks, [place.path for place in places(config)]),
        rank=rank,
        alpha=float(alpha),
        dropout=fields.take("lora_dropout", 0.0, "a rate in [0, 1)", lambda v: is_number(v) and 0 <= v < 1),
        rank_stabilised=fields.flag("use_rslora"),
        ranks=_overrides(ranks, rank),
        alphas=tuple((pattern, float(value)) for pattern, value in _overrides(alphas, alpha)),
    )


def _read_ia3(fields: Fields, tensors: Mapping[str, Tensor], config: T5Config) -> IA3:
    fields.check_others()
    adapted = _adapted(fields, IA3_L, tensors, config)
    inputs = [
        place.path
        for place in adapted
        if tensors[place.tensors(IA3_L)[0]].shape == (1, place.kernel[0]) != (place.kernel[1], 1)
    ]
    every, paths = [place.path for place in places(config)], [place.path for place in adapted]
    return IA3(targets=_patterns(paths, every), inputs=_patterns(inputs, paths))


def _read_soft_prompt(fields: Fields, tensors: Mapping[str, Tensor], config: T5Config) -> SoftPrompt:
    fields.check_others()
    width, length = config.d_model, fields.whole("num_virtual_tokens", None)
    fields.take("token_dim", width, f"{width}, the width of the base", lambda value: value == width)
    start = fields.take(
        "prompt_tuning_init",
        "RANDOM",
        f"one of {', '.join(_PROMPT_STARTS)}",
        lambda value: value in list(_PROMPT_STARTS),
    )
    if prompt_rows(fields) > length:
        _log.info("%s: rows of %s from %d are not read, as PEFT reads none.", fields.path, PROMPT, length)
    return SoftPrompt(length=length, start=_PROMPT_STARTS[start])


def _read_prefix(fields: Fields, config: T5Config) -> PrefixTuning:
    fields.take(OURS, None, "'PrefixTuning'", lambda value: value == "PrefixTuning")
    fields.check_others(OURS, "length", "targets")
    known = attentions(config)
    targets = fields.take(
        "targets",
        [],
        f"some of {', '.join(known)}",
        lambda value: isinstance(value, list) and len(value) > 0 and all(one in [*known] for one in value),
    )
    return PrefixTuning(length=fields.whole("length", None), targets=tuple(targets))


_READERS: dict[Any, Callable[[Fields, Mapping[str, Tensor], T5Config], Learnable]] = {
    "LORA": _read_lora,
    "IA3": _read_ia3,
    "PROMPT_TUNING": _read_soft_prompt,
}


def _adapted(fields: Fields, suffix: str, tensors: Mapping[str, Tensor], config: T5Config) -> list[Place]:
    """The linear layers that have a tensor of this suffix in every layer of their stack."""
    adapted = [place for place in places(config) if any(name in tensors for name in place.tensors(suffix))]
    for place in adapted:
        absent = [
            m for m, name in zip(place.modules, place.tensors(suffix), strict=True) if name not in tensors
        ]
        if absent:
            raise DataError(
                f"{fields.path}: expected target_modules and layers_to_transform to adapt a linear layer in "
                f"every layer of its stack or in none, found {place.modules[0]} and its kin adapted but for "
                f"{some(absent)}; layers are stacked here and share their adapter's settings."
            )
    if not adapted:
        raise DataError(
            f"{fields.path.parent}: expected tensors such as {places(config)[0].tensors(suffix)[0]}, "
            f"found {some(list(tensors))}; only linear layers inside the blocks can be adapted here."
        )
    return adapted


def _patterns(chosen: Iterable[str], every: Iterable[str]) -> tuple[str, ...]:
    """Regular expressions that match the chosen module paths of all there are: few where few can say it."""
    chosen, every = list(chosen), list(every)
    if chosen == every:
        return (".*",)
    found = []
    for path in chosen:
        end = path.rsplit("/", 1)[-1]
        alike = [one for one in every if one.endswith(f"/{end}")]
        found.append(f".*/{end}" if all(one in chosen for one in alike) else path)
    return tuple(dict.fromkeys(found))


def _overrides(values: Mapping[str, Any], default: Any) -> tuple[tuple[str, Any], ...]:
    """Pairs of a pattern and what differs from the default, as `LoRA.ranks` has them."""
    return tuple(
        (pattern, value)
        for value in sorted(set(values.values()) - {default})
        for pattern in _patterns([path for path, one in values.items() if one == value], values)
    )
