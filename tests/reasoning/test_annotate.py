"""Annotation as a whole, with a large model made of a function."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fiat_jax.errors import ConfigError, DataError, FiatError
from fiat_jax.reasoning import (
    CallError,
    Completion,
    GaveUp,
    Prompt,
    Request,
    Store,
    Summary,
    annotate,
    open_rationales,
)
from fiat_jax.reasoning.calls import Wait

PROMPT = Prompt("{question}")


class Model:
    """A client that answers with a function of the last message, and counts what it is asked."""

    model = "function"

    def __init__(self, answer: Callable[[str], str | Completion] = "re {}".format) -> None:
        self._answer = answer
        self.asked: Counter[str] = Counter()

    def payload(self, request: Request) -> dict[str, Any]:
        return {"model": self.model, "messages": list(request.messages)}

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        text = request.messages[-1]["content"]
        self.asked[text] += 1
        answer = self._answer(text)
        return answer if isinstance(answer, Completion) else Completion(answer)


def failing(*texts: str, error: type[CallError] = GaveUp) -> Callable[[str], str]:
    def answer(text: str) -> str:
        if text in texts:
            raise error(f"no luck with {text}")
        return f"re {text}"

    return answer


def rows(*questions: str) -> dict[str, list[dict[str, str]]]:
    return {"train": [{"id": f"e-{n}", "question": each} for n, each in enumerate(questions)]}


def run(path: Path, model: Model, splits: dict[str, list[dict[str, str]]], **settings: Any) -> Summary:
    with Store(path) as store:
        return annotate(splits, settings.pop("prompt", PROMPT), model, store, **settings)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.sqlite"


def test_every_example_gets_a_rationale_and_a_second_run_asks_nothing(path: Path) -> None:
    splits = rows("a", "b") | {"test": [{"id": "t", "question": "c"}]}
    first, second = Model(), Model()
    assert run(path, first, splits).answered == 3
    assert open_rationales(path) == {"e-0": "re a", "e-1": "re b", "t": "re c"}
    assert run(path, second, splits) == Summary(3, 3, calls=0, cut=0, prompt_tokens=0, completion_tokens=0)
    assert not second.asked


def test_examples_with_the_same_request_share_one_call(path: Path) -> None:
    model = Model()
    run(path, model, rows("a", "b", "a", "a"))
    assert model.asked == {"a": 1, "b": 1}
    assert open_rationales(path) == {"e-0": "re a", "e-1": "re b", "e-2": "re a", "e-3": "re a"}


def test_another_prompt_is_another_request(path: Path) -> None:
    model = Model()
    run(path, model, rows("a"))
    run(path, model, rows("a"), prompt=Prompt("{question}", instruction="Think."))
    assert model.asked == {"a": 2}


def test_a_failure_that_may_pass_does_not_stop_the_others_is_not_stored_and_is_asked_again(
    path: Path,
) -> None:
    splits = rows(*"abcdef")
    with pytest.raises(
        FiatError, match=r"4 of 6 .* 2 have none \(e-1, e-4\), the last failure: no luck"
    ) as caught:
        run(path, Model(failing("b", "e")), splits, concurrency=2)
    assert caught.value.exit_code == 1 and "the same command goes on" in str(caught.value)
    assert sorted(open_rationales(path)) == ["e-0", "e-2", "e-3", "e-5"]
    model = Model()
    assert run(path, model, splits).calls == 2
    assert model.asked == {"b": 1, "e": 1}


def test_an_empty_rationale_is_a_failure(path: Path) -> None:
    with pytest.raises(FiatError, match="the answer is empty"):
        run(path, Model(lambda text: " \n"), rows("a"))
    assert open_rationales(path) == {}


def test_a_server_that_is_out_of_order_is_not_asked_for_ever(path: Path) -> None:
    questions = [f"{n}" for n in range(500)]
    model = Model(failing(*questions))
    with pytest.raises(FiatError, match="500 have none"):
        run(path, model, rows(*questions), concurrency=4)
    assert 25 <= model.asked.total() < 25 + 4


def test_an_error_that_concerns_every_call_ends_the_run_and_keeps_what_is_done(path: Path) -> None:
    def answer(text: str) -> str:
        if text == "c":
            raise ConfigError("the key is refused")
        return f"re {text}"

    model = Model(answer)
    with pytest.raises(ConfigError, match="the key is refused"):
        run(path, model, rows(*"abcdef"), concurrency=1)
    assert sorted(open_rationales(path)) == ["e-0", "e-1"]
    assert "d" not in model.asked


def test_a_thread_keeps_an_answer_before_it_asks_for_the_next(path: Path) -> None:
    def answer(text: str) -> str:
        assert sorted(open_rationales(path)) == [f"e-{n}" for n in range(int(text))]
        return f"re {text}"

    run(path, Model(answer), rows("0", "1", "2", "3"), concurrency=1)


def test_rationales_cut_at_the_limit_are_counted_also_when_nothing_is_left_to_do(path: Path) -> None:
    def answer(text: str) -> Completion:
        return Completion(text, 5, 3, "length" if text == "b" else "stop")

    first = run(path, Model(answer), rows("a", "b"))
    assert first == Summary(2, 2, calls=2, cut=1, prompt_tokens=10, completion_tokens=6)
    assert "cut at the token limit: 1" in str(run(path, Model(answer), rows("a", "b")))


def test_a_limit_asks_about_the_first_and_checks_all(path: Path) -> None:
    model = Model()
    assert run(path, model, rows("a", "b", "c"), limit=2).examples == 2
    assert sorted(model.asked) == ["a", "b"]
    bad = rows("a")["train"] + [{"id": "z"}]
    with pytest.raises(DataError, match="'z'"):
        run(path, Model(), {"train": bad}, limit=1)


def test_nothing_is_asked_if_any_example_leaks_or_comes_twice(path: Path) -> None:
    model = Model()
    leak = Prompt("{question}", exemplars=({"id": "t", "question": "x", "rationale": "r"},))
    with pytest.raises(DataError, match="'t' of 'test'"):
        run(path, model, rows("a") | {"test": [{"id": "t", "question": "c"}]}, prompt=leak)
    with pytest.raises(DataError, match="'question'"):
        run(path, model, rows("a"), forbidden=["question"])
    with pytest.raises(DataError, match="found 'e-0' again in 'test'"):
        run(path, model, rows("a") | {"test": [{"id": "e-0", "question": "c"}]})
    assert not model.asked


@pytest.mark.parametrize("settings", [{"concurrency": 0}, {"limit": 0}])
def test_settings_that_do_nothing_are_refused(path: Path, settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        run(path, Model(), rows("a"), **settings)


def test_the_room_loads_neither_jax_nor_tensorflow() -> None:
    heavy = "{'jax', 'tensorflow', 'seqio', 'flax', 'numpy'}"
    code = f"import fiat_jax.reasoning, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
