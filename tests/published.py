"""The sizes that published models have, as their config.json gives them, for tests that allocate nothing."""

from typing import Any

FLAN = dict(model_type="t5", vocab_size=32128, d_kv=64, feed_forward_proj="gated-gelu")
MT5 = FLAN | dict(model_type="mt5", vocab_size=250112)
UMT5 = FLAN | dict(model_type="umt5", vocab_size=256384)
UL2 = FLAN | dict(feed_forward_proj="gated-silu")
BYT5 = FLAN | dict(vocab_size=384)
V1_0 = dict(model_type="t5", vocab_size=32128, feed_forward_proj="relu")
MADLAD = FLAN | dict(vocab_size=256000, d_kv=128, pad_token_id=1, eos_token_id=2)


def _sizes(d_model: int, d_ff: int, num_heads: int, num_layers: int, *decoder: int, **more: Any) -> dict:
    sizes = dict(d_model=d_model, d_ff=d_ff, num_heads=num_heads, num_layers=num_layers)
    return sizes | dict(num_decoder_layers=decoder[0] if decoder else num_layers) | more


MODELS: dict[str, tuple[dict[str, Any], bool, int | float]] = {
    "google-t5/t5-small": (V1_0 | _sizes(512, 2048, 8, 6, d_kv=64), True, 60_506_624),
    "google-t5/t5-11b": (V1_0 | _sizes(1024, 65536, 128, 24, d_kv=128), True, 11_307_321_344),
    "google/flan-t5-small": (FLAN | _sizes(512, 1024, 6, 8), False, 76_961_152),
    "google/flan-t5-xxl": (FLAN | _sizes(4096, 10240, 64, 24), False, 11_135_332_352),
    "google/mt5-small": (MT5 | _sizes(512, 1024, 6, 8), False, 300_176_768),
    "google/mt5-xxl": (MT5 | _sizes(4096, 10240, 64, 24), False, 12_921_057_280),
    "google/byt5-xxl": (BYT5 | _sizes(4672, 12352, 64, 36, 12), False, 12.9e9),
    "google/umt5-xxl": (UMT5 | _sizes(4096, 10240, 64, 24), False, 13e9),
    "google/ul2": (UL2 | _sizes(4096, 16384, 16, 32, d_kv=256), False, 20e9),
    "Salesforce/codet5-base": (V1_0 | _sizes(768, 3072, 12, 12, d_kv=64, vocab_size=32100), True, 223e6),
    "google/madlad400-3b-mt": (MADLAD | _sizes(1024, 8192, 16, 32), False, 2_940_374_016),
    "google/madlad400-7b-mt": (MADLAD | _sizes(2048, 8192, 16, 48), False, 8.3e9),
}
"""By hub id: config.json, whether the head is the embedding, and parameters (a float is a round figure)."""
