"""A T5 of ours as the reasoner: prompts of many threads in one batch, and the annotation of a task."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rows import write_jsonl

from fiat_jax.checkpoints import Base
from fiat_jax.cli import main
from fiat_jax.decoding.search import Sample
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import CallError, Completion, Request, open_rationales
from fiat_jax.reasoning.calls import digest
from fiat_jax.study.t5_reasoner import T5Reasoner

DRAWN = Sample(seed=3)  # a random model, asked greedily, says one thing to all


def reasoner(**settings: Any) -> T5Reasoner:
    small = {"vocabulary": "byte", "max_tokens": 12, "inputs_length": 64, "batch_size": 4, "search": DRAWN}
    return T5Reasoner(Base("model", dtype="float32"), **small | settings)


def request(text: str) -> Request:
    turns = (("system", "Say."), ("user", "a"), ("assistant", "b"), ("user", text))
    return Request(text, tuple({"role": role, "content": content} for role, content in turns))


REQUESTS = [request(f"what is {number}?") for number in range(7)]


def answers(client: T5Reasoner, threads: int) -> list[Completion]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(client.complete, REQUESTS))


def test_prompts_that_are_decoded_together_have_the_rationales_of_each_alone(world) -> None:
    together, alone = answers(reasoner(), 7), answers(reasoner(batch_size=1), 1)
    assert together == alone
    assert len({one.text for one in together}) > 1


def test_a_completion_counts_tokens_and_says_whether_it_was_cut(world) -> None:
    client = reasoner(max_tokens=3)
    answer = client.complete(REQUESTS[0])
    assert answer.prompt_tokens == len("Say.\n\na\nb\n\nwhat is 0?\n") + 1
    assert answer.completion_tokens == 3 and answer.finish_reason == "length"


def test_a_rationale_ends_where_the_prompt_says(world) -> None:
    whole = reasoner().complete(REQUESTS[0]).text
    middle = whole[len(whole) // 2]
    ended = reasoner().complete(Request("e", REQUESTS[0].messages, (middle,))).text
    assert ended == whole.split(middle)[0].strip()


def test_a_prompt_that_is_too_long_says_how_long_it_is_and_loads_no_model(tmp_path) -> None:
    client = T5Reasoner(Base(str(tmp_path / "absent")), vocabulary="byte", inputs_length=20)
    with pytest.raises(CallError, match=r"at most 20 tokens, found 23; set T5Reasoner\.inputs_length"):
        client.complete(REQUESTS[0])


def test_an_answer_is_known_by_its_prompt_weights_and_search(world) -> None:
    keys = {
        digest(client.payload(asked))
        for client in (reasoner(), reasoner(max_tokens=13), reasoner(search=Sample(seed=4)))
        for asked in REQUESTS[:2]
    }
    assert len(keys) == 6
    assert digest(reasoner().payload(REQUESTS[0])) in keys
    assert digest(reasoner(batch_size=1, inputs_length=99).payload(REQUESTS[0])) in keys


def test_a_base_that_is_not_there_ends_the_run(world) -> None:
    with pytest.raises(ConfigError, match="absent"):
        T5Reasoner(Base("absent"), vocabulary="byte").complete(REQUESTS[0])


@pytest.mark.parametrize("name", ["inputs_length", "max_tokens", "batch_size"])
def test_sizes_that_cannot_be_are_refused(name) -> None:
    with pytest.raises(ConfigError, match=rf"T5Reasoner\.{name}: expected 1 or more, found 0"):
        reasoner(**{name: 0})


def test_a_task_is_annotated_from_the_command_line(world) -> None:
    write_jsonl(world / "exemplars.jsonl", [{"question": "q", "context": "c", "rationale": "it is c"}])
    settings = {
        "annotate.client": "@T5Reasoner()",
        "annotate.prompt": "@Prompt()",
        "annotate.store": "'r.sqlite'",
        "annotate.splits": "('test',)",
        "Prompt.input": "'q: {question}'",
        "Prompt.exemplars": "'exemplars.jsonl'",
        "T5Reasoner.base": "@reasoner/Base()",
        "reasoner/Base.path": "'model'",
        "reasoner/Base.dtype": "'float32'",
        "T5Reasoner.vocabulary": "'byte'",
        "T5Reasoner.max_tokens": "12",
        "T5Reasoner.inputs_length": "64",
    }
    words = [f"--gin.{name}={value}" for name, value in settings.items()]
    assert main(["annotate", "--gin_file", "world.gin", *words]) == 0
    assert len(open_rationales("r.sqlite")) == 7
