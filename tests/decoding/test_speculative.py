"""A draft that runs ahead changes how many steps are taken, and nothing else."""

import pytest
from random_t5s import LENGTH, ask, decoder, questions, random_t5, tokens_of

from fiat_jax.decoding import Greedy
from fiat_jax.decoding.speculative import Speaker, SpeculativeDecoder
from fiat_jax.errors import ConfigError
from fiat_jax.parallel import Mesh


@pytest.mark.parametrize(
    ("batch_size", "ahead"),
    [(1, 4), (3, 1), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1, 1), (3, 4)))],
)
def test_answers_are_those_of_greedy_decoding_token_for_token(batch_size, ahead):
    large, requests = random_t5(), questions(10)
    draft = random_t5(seed=7, d_model=8)
    expected = ask(decoder(*large, Greedy()), requests)
    one = SpeculativeDecoder(Speaker(*large), Speaker(*draft), Mesh().build(), LENGTH, ahead, batch_size)
    answers = ask(one, requests)
    assert tokens_of(answers) == tokens_of(expected)
    for answer, other in zip(answers, expected, strict=True):
        assert answer.scores == pytest.approx(other.scores, rel=1e-4)


def test_a_draft_that_is_always_right_takes_a_fraction_of_the_steps():
    large, requests = random_t5(ends=0.0), questions(4)
    one = SpeculativeDecoder(Speaker(*large), Speaker(*large), Mesh().build(), LENGTH, ahead=3)
    ask(one, requests)
    assert one.steps == len(requests) * LENGTH // 4


def test_a_draft_of_another_vocabulary_is_refused():
    with pytest.raises(
        ConfigError, match="expected a T5 with the 40 ids of the tuned model's vocabulary, found 41"
    ):
        SpeculativeDecoder(Speaker(*random_t5()), Speaker(*random_t5(vocab_size=41)), Mesh().build(), LENGTH)
