"""Examples that fail for good: set aside, never asked again unless told, and never an answer."""

import sqlite3
from pathlib import Path

import pytest
from test_annotate import Model, failing, rows, run

from fiat_jax.errors import FiatError
from fiat_jax.reasoning import CallError, Completion, Store, open_rationales
from fiat_jax.reasoning.holdings import holdings

SPLITS = rows(*"abcdef")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.sqlite"


def failures(path: Path) -> list[tuple[str, int, bool]]:
    return [(each.reason, each.times, each.set_aside) for each in holdings(path).failures.values()]


def test_a_request_that_fails_for_good_is_set_aside_listed_and_not_asked_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(failing("b", "e", error=CallError))
    says = r"4 of 6 .*; set aside: 2; 2 have none \(e-1, e-4\), .*asked again with retry_failed = True"
    with pytest.raises(FiatError, match=says) as caught:
        run(path, model, SPLITS)
    assert caught.value.exit_code == 1
    assert "set aside: e-1: no luck with b" in caplog.text and "set aside: e-4" in caplog.text
    caplog.clear()
    again = Model()
    with pytest.raises(FiatError, match=r"4 of 6 .* 0 calls now.* all of them are set aside"):
        run(path, again, SPLITS)
    assert not again.asked and "set aside: e-4: no luck with e" in caplog.text
    assert sorted(open_rationales(path)) == ["e-0", "e-2", "e-3", "e-5"]


def test_what_was_set_aside_is_asked_again_when_told_and_counted(path: Path) -> None:
    for times in (1, 2):
        with pytest.raises(FiatError):
            run(path, Model(failing("b", error=CallError)), SPLITS, retry_failed=True)
        assert failures(path) == [("no luck with b", times, True)]
    with Store(path) as store:
        assert list(store.set_aside().values()) == ["no luck with b (2 times)"]
    model = Model()
    assert run(path, model, SPLITS, retry_failed=True).answered == 6
    assert model.asked == {"b": 1} and failures(path) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Completion(" \n", 3, 0, "stop"), "the answer is empty"),
        (Completion("I can", 3, 2, "content_filter"), r"the model refused it \(content_filter\)"),
        (Completion("", 3, 0, "SAFETY"), r"the model refused it \(SAFETY\)"),
    ],
)
def test_an_empty_or_refused_answer_is_set_aside_and_its_tokens_are_counted(
    path: Path, answer: Completion, reason: str
) -> None:
    model = Model(lambda text: answer if text == "b" else Completion("since", 1, 1))
    with pytest.raises(FiatError, match=f"5 of 6 .* 8 tokens read.*the last failure: {reason}"):
        run(path, model, SPLITS)
    assert len(failures(path)) == 1 and "e-1" not in open_rationales(path)


def test_a_failure_that_may_pass_is_noted_and_not_set_aside(path: Path) -> None:
    with pytest.raises(FiatError, match="the same command goes on"):
        run(path, Model(failing("b")), SPLITS)
    assert failures(path) == [("no luck with b", 1, False)]


def test_a_server_that_is_out_of_order_sets_nothing_aside(path: Path) -> None:
    questions = [f"{n}" for n in range(60)]
    with pytest.raises(FiatError, match="55 have none"):
        run(path, Model(failing(*questions[5:], error=CallError)), rows(*questions), concurrency=1)
    assert {aside for _, _, aside in failures(path)} == {False}
    assert run(path, Model(), rows(*questions)).answered == 60


def test_a_changed_prompt_is_asked_although_the_old_one_failed(path: Path) -> None:
    with pytest.raises(FiatError):
        run(path, Model(failing("b", error=CallError)), SPLITS)
    model = Model()
    run(path, model, rows("a", "b!", *"cdef"))
    assert model.asked == {"b!": 1}


def test_a_failure_is_on_the_disk_when_the_next_answer_is(path: Path) -> None:
    def answer(text: str) -> str:
        if text == "c":  # after a failed and b answered
            with sqlite3.connect(path) as db:
                assert db.execute("SELECT reason, set_aside FROM failures").fetchall() == [("no luck", 1)]
        if text == "a":
            raise CallError("no luck")
        return f"re {text}"

    with pytest.raises(FiatError, match="5 of 6"):
        run(path, Model(answer), SPLITS, concurrency=1)
