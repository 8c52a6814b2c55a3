"""Answers within bounds: always spans of a passage or whole labels, and of those the likeliest."""

import numpy as np
import pytest
from random_t5s import CONFIG, ask, decoder, questions, random_t5, tokens_of
from test_search import log_probability

from fiat_jax.decoding import BeamSearch, Greedy, Sample, spans_of

SEARCHES = [Greedy(), Sample(temperature=3.0), BeamSearch(3, n_best=3), Greedy(no_repeat_ngram=1)]
LABELS = [[4, 5], [4, 5, 6], [7], [8, 4, 8]]


def constrained(search, requests):
    model, variables = random_t5()
    return tokens_of(ask(decoder(model, variables, search, 4, constrained=True), requests))


def is_span(ids, passage):
    return any(list(passage[at : at + len(ids)]) == ids for at in range(len(passage)))


@pytest.mark.parametrize("search", SEARCHES)
def test_answers_are_spans_of_their_own_passage(search):
    requests = [one._replace(spans=spans_of([one.inputs[:-1]])) for one in questions(15)]
    for request, answers in zip(requests, constrained(search, requests), strict=True):
        for ids in answers:
            assert ids and is_span(ids, request.inputs[:-1].tolist())


@pytest.mark.parametrize("search", SEARCHES)
def test_answers_are_whole_labels(search):
    requests = [one._replace(spans=spans_of(labels=LABELS)) for one in questions(15)]
    assert all(ids in LABELS for each in constrained(search, requests) for ids in each)


def test_a_hot_sampler_draws_every_label():
    requests = [one._replace(spans=spans_of(labels=LABELS)) for one in questions(40)]
    answers = constrained(Sample(temperature=50.0), requests)
    assert {tuple(each[0]) for each in answers} == set(map(tuple, LABELS))


def test_spans_and_labels_together_allow_both_and_no_part_of_a_label():
    passage, label = [10, 11, 12], [20, 21, 22]
    requests = [one._replace(spans=spans_of([passage], [label])) for one in questions(30)]
    answers = [each[0] for each in constrained(Sample(temperature=50.0), requests)]
    assert all(ids == label or is_span(ids, passage) for ids in answers)
    assert label in answers and any(ids != label for ids in answers)


def test_requests_without_bounds_beside_those_with_are_free():
    model, variables = random_t5()
    requests = questions(12)
    free = tokens_of(ask(decoder(model, variables, Greedy()), requests))
    mixed = [
        one._replace(spans=spans_of(labels=LABELS) if at % 2 else None) for at, one in enumerate(requests)
    ]
    for at, answer in enumerate(constrained(Greedy(), mixed)):
        assert answer[0] in LABELS if at % 2 else answer == free[at]


def test_beams_find_the_likeliest_label():
    model, variables = random_t5()
    requests = [one._replace(spans=spans_of(labels=LABELS)) for one in questions(10)]
    search = BeamSearch(12, length_penalty=0.0, early_stopping="never", n_best=4)
    found = ask(decoder(model, variables, search, 4, constrained=True), requests)
    for request, answer in zip(requests, found, strict=True):
        scores = {
            tuple(ids): log_probability(model, variables, request, np.array([[*ids, CONFIG.eos_id]]))
            for ids in LABELS
        }
        assert [tuple(ids.tolist()) for ids in answer.tokens] == sorted(scores, key=scores.get, reverse=True)
        assert answer.scores == pytest.approx(sorted(scores.values(), reverse=True), rel=1e-4)
