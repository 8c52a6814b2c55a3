"""A stream of requests: every answer is that of its request alone, whatever is decoded beside it."""

import jax
import numpy as np
import pytest
from random_t5s import LENGTH, WIDTHS, ask, decoder, questions, random_t5, tokens_of

from fiat_jax.adapters import LoRA, PrefixTuning, SoftPrompt
from fiat_jax.decoding import BeamSearch, Greedy, Sample, generate
from fiat_jax.models import T5

SEARCHES = [Greedy(), Sample(), Sample(temperature=0.7, top_k=9), BeamSearch(3, n_best=2)]


@pytest.mark.parametrize("search", SEARCHES, ids=["greedy", "sample", "top 9", "beams"])
def test_answers_do_not_depend_on_batch_size_order_padding_or_bucket(search):
    model, variables = random_t5()
    requests = questions(23)
    alone = ask(decoder(model, variables, search, 1, buckets=(40,)), requests)
    together = ask(decoder(model, variables, search, 8), requests, order=reversed(range(23)))
    assert tokens_of(together) == tokens_of(alone)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)
    lengths = {len(answer.tokens[0]) for answer in alone}
    assert min(lengths) < 4 and len(lengths) > 4  # rows end at many steps, so others take their places


def test_a_stream_answers_as_one_program_for_the_whole_batch_does():
    model, variables = random_t5()
    requests = questions(9)
    inputs = np.stack([np.pad(one.inputs, (0, 32 - len(one.inputs))) for one in requests])
    whole = np.asarray(generate(model, variables, inputs, LENGTH))
    for row, answer in zip(whole, ask(decoder(model, variables, Greedy()), requests), strict=True):
        ids = answer.tokens[0].tolist()
        assert row.tolist()[: len(ids) + 1] == [*ids, 1][:LENGTH]
        assert not row[len(ids) + 1 :].any()


@pytest.mark.parametrize(
    "adapter", [LoRA(rank=2), PrefixTuning(length=3), SoftPrompt(length=5)], ids=lambda one: one.name
)
def test_rows_come_and_go_under_an_adapter_too(adapter):
    bare, variables = random_t5()
    model, few = T5(bare.config, adapter), np.ones((1, 1), np.int32)
    learned = model.apply(variables, few, few, rngs={"adapter": jax.random.key(5)}, mutable="adapter")[1]
    learned = jax.tree.map(lambda x: x + 0.1, jax.tree.map(lambda x: x.value, learned, is_leaf=_is_boxed))
    variables, requests = {**variables, **learned}, questions(11)
    together = tokens_of(ask(decoder(model, variables, Greedy(), 4), requests))
    assert together == tokens_of(ask(decoder(model, variables, Greedy(), 1), requests))
    assert together != tokens_of(ask(decoder(bare, {"params": variables["params"]}, Greedy(), 1), requests))


def _is_boxed(x):
    return hasattr(x, "unbox")


def test_few_programs_are_compiled_for_many_requests_of_all_lengths():
    model, variables = random_t5()
    one = decoder(model, variables, Greedy(), 8)
    ask(one, questions(60, seed=1))
    before = one.programs
    sizes = len(one.sizes)
    assert before <= sizes * len(WIDTHS) * (2 + sizes)
    ask(one, questions(60, seed=1))
    assert one.programs == before


def test_rows_that_are_done_make_room_for_others_before_the_slowest_is():
    model, variables = random_t5()
    requests, taken = questions(40), []

    def take(count, idle):
        taken.append(count)
        given = [(len(taken), requests.pop()) for _ in range(min(count, len(requests)))]
        return given or None

    for _ in decoder(model, variables, Greedy(), 8).run(take):
        pass
    assert taken[0] == 8 and min(taken) > 0 and any(count < 8 for count in taken[1:])


def test_a_source_that_has_nothing_yet_may_only_wait_when_nothing_is_decoded():
    model, variables = random_t5(ends=0.0)
    requests, idles = questions(3), []

    def take(count, idle):
        idles.append(idle)
        if len(idles) == 1:
            return [(0, requests[0])]
        if len(idles) == 2:
            return []  # not waiting: the first is being decoded
        return [(1, requests[1])] if len(idles) == 3 else None

    assert {key for key, _ in decoder(model, variables, Greedy()).run(take)} == {0, 1}
    assert idles[:2] == [True, False]
