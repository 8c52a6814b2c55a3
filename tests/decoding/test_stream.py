"""A stream of requests: every answer is that of its request alone, whatever is decoded beside it."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from random_t5s import LENGTH, WIDTHS, ask, decoder, questions, random_t5, tokens_of

from fiat_jax.adapters import LoRA, PrefixTuning, SoftPrompt, bank
from fiat_jax.decoding import BeamSearch, Greedy, Sample, generate
from fiat_jax.decoding.stream import _chunk
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5

SEARCHES = [
    Greedy(),
    pytest.param(Sample(), marks=pytest.mark.slow),
    Sample(temperature=0.7, top_k=9),
    BeamSearch(3, n_best=2),
]


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
    "adapter",
    [
        LoRA(rank=2),
        pytest.param(PrefixTuning(length=3), marks=pytest.mark.slow),
        pytest.param(SoftPrompt(length=5), marks=pytest.mark.slow),
    ],
    ids=lambda one: one.name,
)
def test_rows_come_and_go_under_an_adapter_too(adapter):
    bare, variables = random_t5()
    model = T5(bare.config, adapter)
    variables, requests = {**variables, "adapter": _learned(model, variables, 5)}, questions(11)
    together = tokens_of(ask(decoder(model, variables, Greedy(), 4), requests))
    assert together == tokens_of(ask(decoder(model, variables, Greedy(), 1), requests))
    assert together != tokens_of(ask(decoder(bare, {"params": variables["params"]}, Greedy(), 1), requests))


def test_few_programs_are_compiled_for_many_requests_of_all_lengths():
    model, variables = random_t5(dropout=0.01)  # which no other test has compiled
    one = decoder(model, variables, Greedy(), 8)
    ask(one, questions(60, seed=1))
    before = one.programs
    sizes = len(one.sizes)
    assert 0 < before <= sizes * len(WIDTHS) * (2 + sizes)
    ask(one, questions(60, seed=1))
    assert one.programs == before


def test_decoders_of_one_model_and_search_share_their_programs_and_not_their_weights():
    models, requests = [random_t5(seed) for seed in (0, 1)], questions(9)
    alone = [ask(decoder(*one, Greedy(), 4), requests) for one in models]
    later = decoder(*models[1], Greedy(), 4)
    assert tokens_of(ask(later, requests)) == tokens_of(alone[1]) != tokens_of(alone[0])
    assert later.programs == 0
    other = decoder(*models[1], BeamSearch(2), 4)
    ask(other, requests[:2])
    assert other.programs > 0


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


def test_requests_for_different_adapters_are_decoded_together_as_each_adapter_alone_does():
    bare, variables = random_t5()
    adapters = [LoRA(rank=2), LoRA(rank=3, targets=(r".*/query", r".*/wo"))]
    learned = [_learned(T5(bare.config, adapter), variables, seed) for seed, adapter in enumerate(adapters)]
    settings, weights = bank(list(zip(adapters, learned, strict=True)))
    mixed = decoder(T5(bare.config, settings), {**variables, "adapter": weights}, Greedy(), 4)
    requests = [one._replace(adapter=at % 3 - 1) for at, one in enumerate(questions(17))]
    found = tokens_of(ask(mixed, requests))
    alone = [
        tokens_of(ask(decoder(T5(bare.config, adapter), both, Greedy(), 4), requests))
        for adapter, both in [
            (None, variables),
            *((one, {**variables, "adapter": its}) for one, its in zip(adapters, learned, strict=True)),
        ]
    ]
    assert found == [alone[one.adapter + 1][at] for at, one in enumerate(requests)]
    assert alone[0] != alone[1] != alone[2]


def test_an_adapter_that_is_not_in_the_bank_is_refused():
    bare, variables = random_t5()
    settings, weights = bank([(LoRA(rank=2), _learned(T5(bare.config, LoRA(rank=2)), variables, 0))])
    one = decoder(T5(bare.config, settings), {**variables, "adapter": weights}, Greedy())
    with pytest.raises(ConfigError, match="expected the number of an adapter, 0 to 0"):
        ask(one, [questions(1)[0]._replace(adapter=1)])


@pytest.mark.parametrize(
    ("sizes", "count", "begun"), [((2, 4), 1, 2), ((2, 4), 3, 4), ((2, 8, 32), 5, 2), ((1, 4), 2, 1)]
)
def test_some_rows_are_begun_however_few_come_and_however_many_devices_share_a_batch(sizes, count, begun):
    assert _chunk(sizes, count) == begun


def _learned(model, variables, seed):
    """What an adapter could have learned."""
    few, key = np.ones((1, 1), np.int32), jax.random.key(seed)
    learned = model.apply(variables, few, few, rngs={"adapter": key}, mutable="adapter")[1]["adapter"]
    leaves, tree = jax.tree.flatten(nn.unbox(learned))
    keys = jax.random.split(key, len(leaves))
    noise = [0.3 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.map(lambda x, y: x + y, nn.unbox(learned), jax.tree.unflatten(tree, noise))
