"""An adapter's settings as PEFT's adapter_config.json has them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fiat_jax.adapters import IA3, DoRA, Learnable, LoRA, PrefixTuning, SoftPrompt
from fiat_jax.adapters.targets import matches
from fiat_jax.checkpoints.peft_tensors import Place, attentions, places
from fiat_jax.models.config import T5Config

OURS = "fiat_jax"
"""The field that marks a layout of our own, and holds the adapter's kind."""


def settings(adapter: Learnable, config: T5Config) -> dict[str, Any]:
    """The fields of adapter_config.json that say what an adapter is."""
    if isinstance(adapter, PrefixTuning):
        paths = [path for path in attentions(config) if adapter.adapts(path)]
        return {OURS: "PrefixTuning", "length": adapter.length, "targets": paths}
    common = {"task_type": "SEQ_2_SEQ_LM", "inference_mode": True, "modules_to_save": None}
    if isinstance(adapter, SoftPrompt):
        start = "RANDOM" if adapter.start == "random" else "SAMPLE_VOCAB"
        return common | {
            "peft_type": "PROMPT_TUNING",
            "num_virtual_tokens": adapter.length,
            "num_transformer_submodules": 1,
            "token_dim": config.d_model,
            "num_attention_heads": config.num_heads,
            "num_layers": config.num_encoder_layers,
            "prompt_tuning_init": start,
        }
    every = places(config)
    adapted = [place for place in every if adapter.adapts(place.path)]
    others = [place for place in every if place not in adapted]
    common |= {"target_modules": _names(adapted, others), "fan_in_fan_out": False}
    if isinstance(adapter, IA3):
        return common | {"peft_type": "IA3"} | _ia3_modules(adapter, adapted, others)
    assert isinstance(adapter, LoRA)
    return common | {
        "peft_type": "LORA",
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "rank_pattern": _pattern_field(
            {place: adapter.rank_of(place.path) for place in adapted}, adapter.rank
        ),
        "alpha_pattern": _pattern_field(
            {place: adapter.alpha_of(place.path) for place in adapted}, adapter.alpha
        ),
        "bias": "none",
        "use_rslora": adapter.rank_stabilised,
        "use_dora": isinstance(adapter, DoRA),
    }


def _ia3_modules(adapter: IA3, adapted: list[Place], others: list[Place]) -> dict[str, list[str]]:
    """Both lists of modules in the same form: PEFT wants one to be part of the other."""
    inputs = [place for place in adapted if matches(adapter.inputs, place.path)]
    outputs = [place for place in adapted if place not in inputs]
    targets, scaled = _names(adapted, others), _names(inputs, outputs, before="")
    if not set(scaled) <= set(targets):
        targets, scaled = _whole_names(adapted), _whole_names(inputs)
    return {"target_modules": targets, "feedforward_modules": scaled}


def _pattern_field(values: Mapping[Place, Any], default: Any) -> dict[str, Any]:
    """rank_pattern or alpha_pattern: what differs from the default, by module."""
    field: dict[str, Any] = {}
    for value in sorted(set(values.values()) - {default}):
        chosen = [place for place, one in values.items() if one == value]
        field |= dict.fromkeys(_names(chosen, [place for place in values if place not in chosen]), value)
    return field


def _names(chosen: Sequence[Place], others: Iterable[Place], before: str = ".") -> list[str]:
    """The last parts of modules' names where they tell them from the others, else whole names.

    Args:
      before: what PEFT wants before a last part where it looks for one at the end of a name.
    """
    ends = {place.modules[0].rsplit(".", 1)[-1] for place in chosen}
    ambiguous = any(place.modules[0].endswith(before + end) for place in others for end in ends)
    return _whole_names(chosen) if ambiguous else sorted(ends)


def _whole_names(chosen: Iterable[Place]) -> list[str]:
    return sorted(module for place in chosen for module in place.modules)
