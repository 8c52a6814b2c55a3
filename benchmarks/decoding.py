"""Greedy and beam decoding here, in transformers and in CTranslate2: the same work in one process, in turns.

    pip install -e '.[peers]'
    python benchmarks/decoding.py --base T5_FOLDER [--beams 4] [--rounds 3]
    python benchmarks/decoding.py --shape t5-large --precisions bfloat16 --systems fiat_jax,transformers

A batch of random tokens, 16 rows of 256, and exactly 64 new tokens each: no row may end. Every system
answers the batch once unmeasured, then in the order A B C A B C. With a shape, weights are drawn at random.
Printed are tokens a second, their least and most, and the ratio to each other system of the median; then the
floor: what the bytes and products that greedy decoding cannot do without would take at the bandwidth and rate
that this machine shows in the same process.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fiat_jax.checkpoints import huggingface
from fiat_jax.decoding import GREEDY, BeamSearch, Decoder, Request
from fiat_jax.models import T5, T5Config
from fiat_jax.parallel import Mesh

ROWS, INPUTS, TOKENS = 16, 256, 64
PRECISIONS = ("float32", "bfloat16", "int8")
DEEP = dict(
    vocab_size=32128,
    d_kv=64,
    num_layers=24,
    num_decoder_layers=24,
    feed_forward_proj="gated-gelu",
    decoder_start_token_id=0,
)
SHAPES = {
    "t5-large": DEEP | dict(d_model=1024, d_ff=2816, num_heads=16),
    "t5-xl": DEEP | dict(d_model=2048, d_ff=5120, num_heads=32),
}
Answer = Callable[[np.ndarray], object]
Model = Path | str  # a folder, or the name of a shape


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--base", type=Path, help="folder of a T5 as transformers has it")
    which.add_argument("--shape", choices=SHAPES, help="of random weights")
    parser.add_argument("--beams", type=int, default=1, help="1 is greedy (1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each system answers (3)")
    parser.add_argument("--systems", default="fiat_jax,transformers,ctranslate2", help="of these, which")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="of these, which")
    flags = parser.parse_args()
    inputs = np.random.default_rng(0).integers(3, 32000, (ROWS, INPUTS)).astype(np.int32)
    inputs[:, -1] = 1
    makers = {"fiat_jax": ours, "transformers": transformers, "ctranslate2": ctranslate2}
    systems: dict[str, Answer] = {}
    for precision in flags.precisions.split(","):
        for name in flags.systems.split(","):
            made = makers[name](flags.base or flags.shape, precision, flags.beams)
            if made is not None:
                systems[f"{name} {precision}"] = made
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for measured in (False, *[True] * flags.rounds):
        for name, answer in systems.items():
            begun = time.monotonic()
            answer(inputs)
            if measured:
                seconds[name].append(time.monotonic() - begun)
    print(f"{jax.devices()[0].device_kind}\n{table(seconds)}")
    if flags.beams == 1 and flags.base:
        print(floor(huggingface.open_model(flags.base).config))


def ours(model: Model, precision: str, beams: int) -> Answer:
    """`Decoder` on all rows at once."""
    how = {"dtype": "float32", "answer_in_int8": True} if precision == "int8" else {"dtype": precision}
    if isinstance(model, Path):
        pretrained = huggingface.open_model(model, **how)
        config, params = pretrained.config, jax.tree.map(jnp.asarray, pretrained.params())
    else:
        config = T5Config.from_hf({"model_type": "t5", **SHAPES[model]}, tied=False, **how)
        few = jnp.ones((1, 1), jnp.int32)
        params = nn.unbox(jax.jit(T5(config).init)(jax.random.key(0), few, few))["params"]
        params = jax.tree.map(lambda x: x.astype(config.dtype) if x.ndim > 1 else x, params)
    config = replace(config, eos_id=-1)  # which no token is
    search = GREEDY if beams == 1 else BeamSearch(beams)
    decoder = Decoder(T5(config), {"params": params}, Mesh().build(), TOKENS, search, ROWS)

    def answer(inputs: np.ndarray) -> list[np.ndarray]:
        waiting = [[(at, Request(row)) for at, row in enumerate(inputs)]]
        found = dict(decoder.run(lambda count, idle: waiting.pop() if waiting else None))
        assert all(len(one.tokens[0]) == TOKENS for one in found.values()) and len(found) == ROWS
        return [found[at].tokens[0] for at in range(ROWS)]

    return answer


def transformers(model: Model, precision: str, beams: int) -> Answer | None:
    """`generate` of transformers; it has no int8 for a CPU."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, T5Config

    if precision == "int8":
        return None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, precision)
    if isinstance(model, Path):
        network = AutoModelForSeq2SeqLM.from_pretrained(model, dtype=dtype).eval().to(device)
    else:
        with torch.device(device):
            network = AutoModelForSeq2SeqLM.from_config(T5Config(**SHAPES[model]), dtype=dtype).eval()

    def answer(inputs: np.ndarray) -> object:
        ids = torch.tensor(inputs, dtype=torch.long, device=device)
        with torch.inference_mode():
            out = network.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                num_beams=beams,
                min_new_tokens=TOKENS,
                max_new_tokens=TOKENS,
            )
        assert out.shape == (ROWS, 1 + TOKENS)
        return out.cpu()

    return answer


def ctranslate2(model: Model, precision: str, beams: int) -> Answer | None:
    """`translate_batch` of CTranslate2 on all cores; None where it has no such precision on this machine."""
    import ctranslate2
    from tokenizers import Tokenizer

    if not isinstance(model, Path) or precision not in ctranslate2.get_supported_compute_types("cpu"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        converted = ctranslate2.converters.TransformersConverter(str(model)).convert(f"{folder}/model")
        cores = os.cpu_count() or 1
        translator = ctranslate2.Translator(converted, compute_type=precision, intra_threads=cores)
    tokens = Tokenizer.from_file(str(model / "tokenizer.json"))

    def answer(inputs: np.ndarray) -> object:
        rows = [[tokens.id_to_token(int(one)) for one in row] for row in inputs]
        lengths = dict(min_decoding_length=TOKENS, max_decoding_length=TOKENS)
        found = translator.translate_batch(rows, beam_size=beams, max_batch_size=0, **lengths)
        assert all(len(one.hypotheses[0]) == TOKENS for one in found)
        return found

    return answer


def table(seconds: dict[str, list[float]]) -> str:
    """Tokens a second of each system, and how many times those of the others it has."""
    rates = {name: [ROWS * TOKENS / one for one in each] for name, each in seconds.items()}
    lines = ["| system | tokens/s | least to most | times " + " | times ".join(rates) + " |"]
    lines.append("|---" * (3 + len(rates)) + "|")
    for name, each in rates.items():
        ratios = [f"{statistics.median(each) / statistics.median(other):.2f}" for other in rates.values()]
        cells = [name, f"{statistics.median(each):.0f}", f"{min(each):.0f} to {max(each):.0f}", *ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def floor(config: T5Config) -> str:
    """What greedy decoding in float32 cannot do without, at what this machine shows in the same process."""
    c = config
    attention, dense = 4 * c.d_model * c.d_attention, (3 if c.gated else 2) * c.d_model * c.d_ff
    encoder = c.num_encoder_layers * (attention + dense)
    decoder = c.num_decoder_layers * (attention + 2 * c.d_model * c.d_attention + dense)
    head, cross = c.d_model * c.vocab_size, c.num_decoder_layers * 2 * c.d_model * c.d_attention
    prefill = (
        2 * ROWS * INPUTS * (encoder + cross) + c.num_encoder_layers * 4 * ROWS * INPUTS**2 * c.d_attention
    )
    step = 2 * ROWS * (decoder + head) + c.num_decoder_layers * 4 * ROWS * INPUTS * c.d_attention
    bytes = 4 * (decoder + head + c.num_decoder_layers * 2 * ROWS * INPUTS * c.d_attention)
    rate, bandwidth = products(), reading()
    seconds = prefill / rate + TOKENS * max(step / rate, bytes / bandwidth)
    return (
        f"floor in float32: products at {rate / 1e9:.0f} GFLOP/s, reading at {bandwidth / 1e9:.1f} GB/s; "
        f"prefill {prefill / 1e9:.0f} GFLOP, {prefill / rate:.2f} s; a step {step / 1e9:.2f} GFLOP and "
        f"{bytes / 1e6:.0f} MB, {1e3 * max(step / rate, bytes / bandwidth):.1f} ms: "
        f"{ROWS * TOKENS / seconds:.0f} tokens/s"
    )


def products() -> float:
    """FLOPs a second of a large product in float32."""
    x = jnp.ones((2048, 2048))
    return 2 * 2048**3 / best(jax.jit(jnp.matmul), x, x)


def reading() -> float:
    """Bytes a second of a sum over more than the caches hold."""
    x = jnp.ones(2**26)
    return x.nbytes / best(jax.jit(jnp.sum), x)


def best(function: Callable[..., jax.Array], *arguments: jax.Array) -> float:
    """The least seconds of ten."""
    seconds = []
    for _ in range(11):
        begun = time.monotonic()
        jax.block_until_ready(function(*arguments))
        seconds.append(time.monotonic() - begun)
    return min(seconds[1:])


if __name__ == "__main__":
    main()
