"""Samplers, beams and rules, by what they promise and against searches that try everything."""

import functools
import itertools

import jax
import numpy as np
import pytest
from random_t5s import CONFIG, LENGTH, ask, decoder, questions, random_t5, tokens_of

from fiat_jax.decoding import BeamSearch, Decoder, Greedy, Request, Sample
from fiat_jax.decoding.rules import filtered
from fiat_jax.errors import ConfigError
from fiat_jax.models.likelihood import shift_right
from fiat_jax.parallel import Mesh


def first_logits(model, variables, request):
    """[V] of the first token of an answer."""
    return np.asarray(model.apply(variables, request.inputs[None], np.zeros((1, 1), np.int32))[0, 0])


def softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@pytest.mark.parametrize(
    "search", [Sample(), Sample(temperature=2.0), Sample(top_k=5), Sample(temperature=4.0, top_p=0.6)]
)
def test_first_tokens_are_drawn_from_the_models_distribution(search):
    model, variables = random_t5()
    request, draws = questions(1)[0], 3000
    one = Decoder(model, variables, Mesh().build(), 1, search, 500, buckets=(32,))
    answers = ask(one, [request._replace(seed=seed) for seed in range(draws)])
    drawn = [answer.tokens[0][0] if len(answer.tokens[0]) else 1 for answer in answers]
    expected = draws * softmax(np.asarray(filtered(search, first_logits(model, variables, request))))
    observed = np.bincount(drawn, minlength=CONFIG.vocab_size)
    assert not observed[expected == 0].any()
    common = expected >= 5
    chi_square = ((observed - expected)[common] ** 2 / expected[common]).sum()
    # Of chi-square with n degrees of freedom, mean n and variance 2 n: one in 30,000 is above four sigma.
    freedom = common.sum() - 1
    assert freedom > 1 and chi_square < freedom + 4 * np.sqrt(2 * freedom)


def test_a_seed_draws_the_same_answer_and_another_another():
    model, variables = random_t5(ends=0.0)
    request = questions(1)[0]
    answers = tokens_of(
        ask(decoder(model, variables, Sample()), [request._replace(seed=s) for s in (1, 2, 1)])
    )
    assert answers[0] == answers[2] != answers[1]
    other = tokens_of(ask(decoder(model, variables, Sample(seed=9)), [request._replace(seed=1)]))
    assert other[0] != answers[0]


def test_the_score_of_an_answer_is_its_log_probability_with_its_end():
    model, variables = random_t5()
    requests = questions(8)
    for search in (Greedy(), Sample(temperature=0.5)):
        for request, answer in zip(requests, ask(decoder(model, variables, search), requests), strict=True):
            target = np.append(answer.tokens[0], 1)[None, :LENGTH].astype(np.int32)
            assert answer.scores[0] == pytest.approx(
                log_probability(model, variables, request, target), rel=1e-4
            )


def log_probability(model, variables, request, target):
    """Of a target [1, T]; padded, so that few programs are compiled."""
    inputs, words = np.zeros((1, 32), np.int32), np.zeros((1, LENGTH), np.int32)
    inputs[0, : len(request.inputs)], words[0, : target.shape[1]] = request.inputs, target[0]
    logits = logits_of(model)(variables, inputs, shift_right(words, 0))
    return float(jax.nn.log_softmax(logits)[0, np.arange(target.shape[1]), target[0]].sum())


@functools.cache
def logits_of(model):
    return jax.jit(model.apply)


LOGITS = np.random.default_rng(4).normal(scale=2.0, size=(6, 50)).astype(np.float32)


def kept(search):
    return np.isfinite(np.asarray(filtered(search, LOGITS)))


def test_top_k_keeps_the_k_most_likely():
    for row, mask in zip(LOGITS, kept(Sample(top_k=7)), strict=True):
        assert set(np.flatnonzero(mask)) == set(np.argsort(row)[-7:])


def test_top_p_keeps_the_fewest_that_reach_the_sum():
    for row, mask in zip(LOGITS, kept(Sample(top_p=0.8)), strict=True):
        p = softmax(row)
        order = np.argsort(-p)
        count = np.searchsorted(np.cumsum(p[order]), 0.8) + 1
        assert set(np.flatnonzero(mask)) == set(order[:count])


def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest():
    for row, mask in zip(LOGITS, kept(Sample(min_p=0.1)), strict=True):
        p = softmax(row)
        assert set(np.flatnonzero(mask)) == set(np.flatnonzero(p >= 0.1 * p.max()))


def test_typical_p_keeps_what_is_nearest_to_the_expected_surprise():
    for row, mask in zip(LOGITS, kept(Sample(typical_p=0.5)), strict=True):
        p = softmax(row)
        order = np.argsort(np.abs(-np.log(p) + (p * np.log(p)).sum()))
        count = np.searchsorted(np.cumsum(p[order]), 0.5) + 1
        assert set(np.flatnonzero(mask)) == set(order[:count])


def test_wide_beams_find_the_likeliest_of_all_answers():
    model, variables = random_t5(vocab_size=6, ends=1.0)
    requests = [Request(np.array([*ids, 1], np.int32)) for ids in itertools.product((2, 3, 5), repeat=2)]
    search = BeamSearch(25, length_penalty=0.0, early_stopping="never", n_best=3)
    found = ask(Decoder(model, variables, Mesh().build(), 3, search, 9, buckets=(3,)), requests)
    words = (0, 2, 3, 4, 5)
    every = [[*ids, 1] for n in range(3) for ids in itertools.product(words, repeat=n)]
    every += [list(ids) for ids in itertools.product(words, repeat=3)]
    padded = np.array([ids + [0] * (3 - len(ids)) for ids in every], np.int32)
    logits = jax.jit(model.apply)
    for request, answer in zip(requests, found, strict=True):
        inputs = np.repeat(request.inputs[None], len(every), axis=0)
        each = np.asarray(jax.nn.log_softmax(logits(variables, inputs, shift_right(padded, 0))))
        scores = [sum(each[i, at, id] for at, id in enumerate(ids)) for i, ids in enumerate(every)]
        best = sorted(range(len(every)), key=scores.__getitem__, reverse=True)[:3]
        assert [ids.tolist() for ids in answer.tokens] == [[i for i in every[at] if i != 1] for at in best]
        assert answer.scores == pytest.approx([scores[at] for at in best], rel=1e-4)


@pytest.mark.parametrize("search", [Greedy(no_repeat_ngram=2), BeamSearch(3, no_repeat_ngram=2)])
def test_no_run_of_tokens_comes_twice(search):
    model, variables = random_t5(ends=0.0, vocab_size=8)
    requests = [Request(np.array([*ids, 1], np.int32)) for ids in itertools.product((2, 3, 5, 7), repeat=2)]
    free = tokens_of(ask(decoder(model, variables, Greedy()), requests))
    assert any(repeats(ids[0]) for ids in free)
    assert not any(repeats(ids[0]) for ids in tokens_of(ask(decoder(model, variables, search), requests)))


def repeats(ids):
    pairs = list(itertools.pairwise([0, *ids]))
    return len(set(pairs)) < len(pairs)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (Greedy, {"repetition_penalty": 0.0}, "repetition_penalty: expected more than 0, found 0.0"),
        (Greedy, {"no_repeat_ngram": -1}, "no_repeat_ngram: expected 0 or more, found -1"),
        (Sample, {"temperature": 0.0}, "temperature: expected more than 0, found 0.0; use Greedy"),
        (Sample, {"top_k": -1}, "top_k: expected 0 or more, found -1"),
        (Sample, {"top_p": 0.0}, r"top_p: expected a share in \(0, 1\], found 0.0"),
        (Sample, {"typical_p": 1.5}, r"typical_p: expected a share in \(0, 1\], found 1.5"),
        (Sample, {"min_p": 1.0}, r"min_p: expected a share in \[0, 1\), found 1.0"),
        (BeamSearch, {"size": 1}, "size: expected 2 or more, found 1; use Greedy"),
        (BeamSearch, {"size": 2, "n_best": 3}, "n_best: expected 1 to 2, as BeamSearch.size, found 3"),
        (
            BeamSearch,
            {"early_stopping": "soon"},
            "early_stopping: expected True, False or 'never', found 'soon'",
        ),
    ],
)
def test_wrong_settings_are_refused(kind, wrong, message):
    with pytest.raises(ConfigError, match=f"{kind.__name__}.{message}"):
        kind(**wrong)
