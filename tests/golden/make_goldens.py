"""Writes the golden files of this folder from the reference implementation, transformers on torch.

    pip install -e '.[peers]'
    python tests/golden/make_goldens.py                                        # the folders tiny_*/
    python tests/golden/make_goldens.py --real T5_FOLDER --afriqa DATA_FOLDER  # real_t5.npz too

T5_FOLDER is a Hugging Face folder of the small real T5, DATA_FOLDER holds {bem,hau,ibo,zul}.test.jsonl.
README.md beside this file says what the files hold. All is float32, in eval mode, on the CPU. Models are read
by from_pretrained from a folder that holds every tensor: a model built from a config ties its head.
"""

import argparse
import json
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForSeq2SeqLM, PreTrainedModel

HERE = Path(__file__).parent
MAX_NEW_TOKENS, BEAMS = 32, 4

# Head width unlike d_model / heads, and stacks of unlike depth, so that no two sizes can be mistaken.
TINY = dict(
    model_type="t5",
    architectures=["T5ForConditionalGeneration"],
    vocab_size=128,
    d_model=32,
    d_kv=6,
    d_ff=36,
    num_layers=3,
    num_decoder_layers=2,
    num_heads=4,
    dropout_rate=0.1,
    layer_norm_epsilon=1e-6,
    relative_attention_num_buckets=32,
    relative_attention_max_distance=128,
    is_encoder_decoder=True,
    pad_token_id=0,
    eos_token_id=1,
    decoder_start_token_id=0,
)
SMALLER = dict(vocab_size=64, d_model=16, d_ff=20, num_heads=2)
VARIANTS = {
    "tiny_gated": dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "tiny_relu": dict(feed_forward_proj="relu", tie_word_embeddings=True),
    "tiny_silu": SMALLER
    | dict(feed_forward_proj="gated-silu", tie_word_embeddings=False, pad_token_id=1, eos_token_id=2),
    "tiny_mt5": SMALLER | dict(model_type="mt5", feed_forward_proj="gated-gelu", tie_word_embeddings=True),
    "tiny_umt5": SMALLER | dict(model_type="umt5", feed_forward_proj="gated-gelu", tie_word_embeddings=False),
}
SEEDS = dict(tiny_gated=0, tiny_relu=20, tiny_silu=3, tiny_mt5=2, tiny_umt5=0)
"""Seeds whose greedy answers differ, and end or not."""
INPUT_LENGTHS, TARGET_LENGTHS = (200, 133, 5), (140, 7, 1)  # past the last relative distance of 128

# Written for this file: question, title, context, answer.
SENTENCES = [
    (
        "Which river runs past the mill?",
        "The mill",
        "The old mill stands where the Alder river bends to the south. It ground barley for three villages "
        "until the winter of 1887, when ice broke its wheel.",
        "the Alder river",
    ),
    (
        "Who built the first bridge?",
        "Bridges",
        "A mason called Ruth Hollis built the first stone bridge. Her sons added two arches after the flood.",
        "Ruth Hollis",
    ),
    (
        "Ni lini umunsi wa mbere?",
        "Kalenda",
        "The first day of the harvest is set by the elders when the new moon is seen.",
        "the new moon",
    ),
    (
        "Wane launi ne tutar?",
        "The flag",
        "The flag of the harbour is blue above white, and a green star is sewn in its upper corner.",
        "blue and white",
    ),
    (
        "Kedu aha nwa eze?",
        "A tale",
        "The king had one daughter, Adaeze, and she kept the keys of the granary.",
        "Adaeze",
    ),
    (
        "Yiziphi izinyanga ezimbili?",
        "Seasons",
        "Rain comes in November and in March; the months between are dry, and the wells are shut by day.",
        "November and March",
    ),
    (
        "How many steps lead to the tower?",
        "The tower",
        "There are 214 steps to the tower. The last 14 are of oak; a rope takes the place of the rail. "
        + "From the top one sees the salt flats, the lighthouse and, in clear weather, the hills behind the "
        "town where the shepherds spend the summer. " * 5,
        "214",
    ),
    ("What did the baker leave?", "Bread", "The baker left a loaf.", "a loaf"),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, help="Hugging Face folder of the small real T5")
    parser.add_argument("--afriqa", type=Path, help="folder of the AfriQA test files")
    args = parser.parse_args()
    for name, variant in VARIANTS.items():
        write_tiny(HERE / name, TINY | variant, SEEDS[name])
    if args.real:
        write_real(args.real, args.afriqa)


def write_tiny(folder: Path, config: dict, seed: int) -> None:
    """A random model as published ones are written, and what it answers."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(random_weights(config, seed), folder / "model.safetensors", metadata={"format": "pt"})
    model = load(folder)
    tied = model.lm_head.weight.data_ptr() == model.shared.weight.data_ptr()
    assert tied == config["tie_word_embeddings"]
    if config["model_type"] == "t5":
        assert tied == model.config.scale_decoder_outputs
    random, end = np.random.default_rng(seed), config["eos_token_id"]
    inputs, targets = (
        pad([[*random.integers(end + 1, config["vocab_size"], n - 1), end] for n in lengths], model)
        for lengths in (INPUT_LENGTHS, TARGET_LENGTHS)
    )
    greedy = generate(model, inputs)
    assert (greedy == end).any() and (greedy[:, -1] > end).any(), "choose another seed"
    every_state, every_logit = (4, 8) if SMALLER.items() <= config.items() else (1, 4)
    values = run(model, inputs, targets, every_state, every_logit)
    values |= {"greedy": greedy, "beams": generate(model, inputs, BEAMS)}
    np.savez_compressed(folder / "expected.npz", inputs=inputs, targets=targets, **values)


def random_weights(config: dict, seed: int) -> dict[str, np.ndarray]:
    """transformers' own initial values, and values unlike 1 or 0 where it starts with those."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    options = {name: value for name, value in config.items() if name != "model_type"}
    empty = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(config["model_type"], **options))
    state = empty.state_dict()
    weights = {name: value.numpy().copy() for name, value in state.items() if "embed_tokens" not in name}
    for name, value in weights.items():
        if "norm" in name:
            value += random.normal(size=value.shape, scale=0.2)
        elif "relative_attention_bias" in name or name == "lm_head.weight":
            value[:] = random.normal(size=value.shape)
    if config["tie_word_embeddings"]:
        del weights["lm_head.weight"]
        weights["shared.weight"] *= 0.1  # else a tied model only repeats its last token
    return weights


def write_real(folder: Path, afriqa: Path) -> None:
    """A sample of the states and logits of the real model, its losses, and its greedy answers."""
    model, tokenizer = load(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    inputs = pad([tokenizer.encode(render(*fields[:3])).ids for fields in SENTENCES], model)
    targets = pad([tokenizer.encode(fields[3]).ids for fields in SENTENCES], model)
    values = run(model, inputs, targets, every_state=32, every_logit=251)
    questions = [
        [json.loads(line) for line in (afriqa / f"{language}.test.jsonl").open(encoding="utf-8")]
        for language in ("bem", "hau", "ibo", "zul")
    ]
    rows = islice(chain.from_iterable(zip(*questions, strict=True)), 50)
    encoded = (tokenizer.encode(render(row["question"], row["title"], row["context"])).ids for row in rows)
    greedy_inputs = pad([[*ids[:-1][:399], 1] for ids in encoded], model)
    greedy = np.concatenate([generate(model, batch) for batch in np.split(greedy_inputs, 5)])
    np.savez_compressed(
        HERE / "real_t5.npz",
        inputs=inputs,
        targets=targets,
        greedy_inputs=greedy_inputs,
        greedy=greedy,
        **values,
    )


def render(question: str, title: str, context: str) -> str:
    return f"question: {question} title: {title} context: {context}"


def load(folder: Path) -> PreTrainedModel:
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    if model.config.model_type == "umt5":  # transformers 5 scales any, whatever its config.json says
        model.config.tie_word_embeddings = "lm_head.weight" not in load_file(folder / "model.safetensors")
    return model


def pad(rows: list[list[int]], model: PreTrainedModel) -> np.ndarray:
    padded = np.full((len(rows), max(map(len, rows))), model.config.pad_token_id, np.int32)
    for slot, row in zip(padded, rows, strict=True):
        slot[: len(row)] = row
    return padded


@torch.no_grad()
def run(
    model: PreTrainedModel,
    inputs: np.ndarray,
    targets: np.ndarray,
    every_state: int,
    every_logit: int,
) -> dict[str, np.ndarray]:
    """Losses, and every so many of the features of the encoder's states and of the logits."""
    ids, labels = torch.tensor(inputs).long(), torch.tensor(targets).long()
    padding = model.config.pad_token_id
    labels[labels == padding] = -100
    out = model(input_ids=ids, attention_mask=(ids != padding).long(), labels=labels)
    losses = torch.nn.functional.cross_entropy(out.logits.transpose(1, 2), labels, reduction="none")
    return {
        "states": out.encoder_last_hidden_state[:, :, ::every_state].numpy(),
        "logits": out.logits[:, :, ::every_logit].numpy(),
        "losses": losses.numpy(),
        "loss": out.loss.numpy(),
    }


@torch.no_grad()
def generate(model: PreTrainedModel, inputs: np.ndarray, beams: int = 1) -> np.ndarray:
    """The best answers [B, MAX_NEW_TOKENS], without the decoder's start, padded after the end token."""
    ids, padding = torch.tensor(inputs).long(), model.config.pad_token_id
    mask = (ids != padding).long()
    out = model.generate(
        ids, attention_mask=mask, do_sample=False, num_beams=beams, max_new_tokens=MAX_NEW_TOKENS
    )[:, 1:].numpy()
    ends = out == model.config.eos_token_id
    out[np.cumsum(ends, axis=1) - ends > 0] = padding  # beams are padded with the end where padding is 0
    after = ((0, 0), (0, MAX_NEW_TOKENS - out.shape[1]))
    return np.pad(out, after, constant_values=padding).astype(np.int32)


if __name__ == "__main__":
    main()
