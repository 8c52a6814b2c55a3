"""Beam search and the rules about repetition against transformers; needs the `peers` extra.

With FIAT_REAL_T5, the folder of a real T5, and FIAT_AFRIQA, that of AfriQA's rows, also over 200 real inputs.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from peers.test_parity import SMALL

from fiat_jax.checkpoints import huggingface
from fiat_jax.decoding import BeamSearch, Decoder, Greedy, Request
from fiat_jax.models import T5
from fiat_jax.parallel import Mesh

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.peers

LENGTH = 14


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A random model that likes to end, in torch and in ours, and inputs of many lengths."""
    from torch_t5 import load_torch, write_random

    folder = tmp_path_factory.mktemp("model")
    write_random(SMALL, False, folder, seed=3)
    theirs = load_torch(folder)
    with torch.no_grad():
        theirs.lm_head.weight[1] *= 1.5
    config, params = huggingface.load(folder, dtype="float32")
    params["lm_head"]["kernel"] = params["lm_head"]["kernel"].copy()
    params["lm_head"]["kernel"][:, 1] *= 1.5
    random = np.random.default_rng(1)
    rows = [random.integers(2, 61, size).astype(np.int32) for size in random.integers(3, 30, 24)]
    return SimpleNamespace(theirs=theirs, config=config, params=params, rows=rows)


def ours(pair, search, length=LENGTH, batch_size=8):
    decoder = Decoder(T5(pair.config), {"params": pair.params}, Mesh().build(), length, search, batch_size)
    requests = [list(enumerate(map(Request, pair.rows)))]
    answers = dict(
        decoder.run(lambda n, idle: [requests[0].pop(0) for _ in range(min(n, len(requests[0])))] or None)
    )
    return [answers[i] for i in range(len(pair.rows))]


def theirs(pair, length=LENGTH, **how):
    """Token ids up to the end, and scores where they are beams', of each row alone."""
    for row in pair.rows:
        out = pair.theirs.generate(
            torch.tensor(row)[None],
            max_new_tokens=length,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
            **how,
        )
        scores = getattr(out, "sequences_scores", None)
        yield (
            [until_end(ids[1:].tolist()) for ids in out.sequences],
            None if scores is None else scores.numpy(),
        )


def until_end(ids):
    return ids[: ids.index(1)] if 1 in ids else ids


def assert_same(answers, expected):
    for answer, (tokens, scores) in zip(answers, expected, strict=True):
        assert [ids.tolist() for ids in answer.tokens] == tokens
        if scores is not None:
            np.testing.assert_allclose(answer.scores, scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("length_penalty", [1.0, 0.0, 2.0, -1.0])
def test_beams_and_their_scores_equal_transformers(pair, early_stopping, length_penalty):
    how = dict(length_penalty=length_penalty, early_stopping=early_stopping)
    answers = ours(pair, BeamSearch(4, n_best=3, **how))
    assert_same(answers, theirs(pair, num_beams=4, num_return_sequences=3, **how))
    assert len({len(answer.tokens[0]) for answer in answers}) > 1


@pytest.mark.parametrize(
    "rules",
    [dict(repetition_penalty=1.7), dict(no_repeat_ngram=2), dict(repetition_penalty=1.3, no_repeat_ngram=1)],
)
@pytest.mark.parametrize("beams", [1, 3])
def test_rules_about_repetition_equal_transformers(pair, rules, beams):
    their_rules = {f"{name}_size" if "ngram" in name else name: value for name, value in rules.items()}
    search = Greedy(**rules) if beams == 1 else BeamSearch(beams, **rules)
    assert_same(ours(pair, search), theirs(pair, num_beams=beams, **their_rules))


@pytest.fixture(scope="module")
def real():
    """The real T5, and its inputs of AfriQA's test questions."""
    model, data = os.environ.get("FIAT_REAL_T5"), os.environ.get("FIAT_AFRIQA")
    if not model or not data:
        pytest.skip("needs FIAT_REAL_T5 and FIAT_AFRIQA")
    from tokenizers import Tokenizer
    from torch_t5 import load_torch

    tokens = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    rows = [
        json.loads(line)
        for language in ("bem", "hau", "ibo", "zul")
        for line in (Path(data) / f"{language}.test.jsonl").read_text().splitlines()[:50]
    ]
    texts = [f"question: {row['question']} context: {row['context']}" for row in rows]
    ids = [
        np.array([*tokens.encode(text, add_special_tokens=False).ids[:399], 1], np.int32) for text in texts
    ]
    config, params = huggingface.load(Path(model), dtype="float32")
    return SimpleNamespace(theirs=load_torch(Path(model)), config=config, params=params, rows=ids)


@pytest.mark.parametrize("beams", [1, 4])
def test_answers_to_200_real_inputs_equal_transformers_token_for_token(real, beams):
    search = Greedy() if beams == 1 else BeamSearch(beams)
    answers = ours(real, search, 32, 16)
    differ = [
        (at, ids.tolist(), tokens[0])
        for at, (answer, (tokens, _)) in enumerate(
            zip(answers, theirs(real, 32, num_beams=beams), strict=True)
        )
        for ids in answer.tokens[:1]
        if ids.tolist() != tokens[0]
    ]
    assert not differ, differ
