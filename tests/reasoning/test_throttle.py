"""How many calls are in flight, and how soon one follows another; on a clock that only moves when told."""

import time
from pathlib import Path

import pytest
from fake_openai import FakeOpenAI, Reply

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import OpenAI, Prompt, Rates, Store, annotate
from fiat_jax.reasoning.calls import Pause
from fiat_jax.reasoning.throttle import Throttle, Turn


class Clock:
    """Seconds that pass only in `sleep`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def entered(throttle: Throttle, count: int) -> list[int]:
    tickets = [throttle.enter() for _ in range(count)]
    assert None not in tickets
    return [ticket for ticket in tickets if ticket is not None]


def test_as_many_calls_as_are_allowed_are_in_flight() -> None:
    throttle = Throttle(3, Rates(), Clock())
    first, *_ = entered(throttle, 3)
    assert throttle.enter() is None
    throttle.leave(first, busy=False)
    assert throttle.enter() is not None


def test_a_busy_server_halves_the_calls_once_for_all_that_were_in_flight() -> None:
    throttle = Throttle(8, Rates(), Clock())
    for ticket in entered(throttle, 8):
        throttle.leave(ticket, busy=True)
    assert throttle.limit == 4
    for ticket in entered(throttle, 4):
        throttle.leave(ticket, busy=True)
    assert throttle.limit == 2


def test_at_least_one_call_is_always_allowed() -> None:
    throttle = Throttle(4, Rates(), Clock())
    for _ in range(10):
        [ticket] = entered(throttle, 1)
        throttle.leave(ticket, busy=True)
    assert throttle.limit == 1 and throttle.enter() is not None


def test_each_round_of_calls_that_is_taken_allows_one_more_up_to_what_was_set() -> None:
    throttle = Throttle(8, Rates(), Clock())
    for ticket in entered(throttle, 8):
        throttle.leave(ticket, busy=True)
    for _ in range(4):
        before = throttle.limit
        for ticket in entered(throttle, int(before)):
            throttle.leave(ticket, busy=False)
        assert before + 0.75 < throttle.limit <= before + 1
    for ticket in entered(throttle, 7):
        throttle.leave(ticket, busy=False)
    assert throttle.limit == 8


def test_requests_are_spread_over_the_minute() -> None:
    clock = Clock()
    throttle = Throttle(99, Rates(requests_per_minute=120), clock)
    assert [throttle.book(0) for _ in range(4)] == pytest.approx([0, 0.5, 1.0, 1.5])
    clock.sleep(1.75)
    assert throttle.book(0) == pytest.approx(0.25)
    clock.sleep(60)
    assert throttle.book(0) == 0  # nothing is saved up
    assert throttle.book(0) == pytest.approx(0.5)


def test_tokens_are_spread_over_the_minute_and_a_wrong_guess_is_made_good() -> None:
    throttle = Throttle(99, Rates(tokens_per_minute=6000), Clock())
    assert throttle.book(100) == 0
    assert throttle.book(50) == pytest.approx(1.0)
    throttle.correct(+200)
    assert throttle.book(0) == pytest.approx(1.0 + 0.5 + 2.0)


def test_the_scarcer_of_requests_and_tokens_decides() -> None:
    throttle = Throttle(99, Rates(requests_per_minute=60, tokens_per_minute=6000), Clock())
    throttle.book(10)
    assert throttle.book(500) == pytest.approx(1.0)
    assert throttle.book(0) == pytest.approx(6.0)


def test_a_call_that_pauses_gives_its_place_away_and_each_attempt_is_booked() -> None:
    clock = Clock()
    throttle = Throttle(1, Rates(requests_per_minute=60), clock)

    def sleep(seconds: float) -> None:
        if seconds == 7.0:  # in the pause itself
            [other] = entered(throttle, 1)
            throttle.leave(other, busy=False)
        clock.sleep(seconds)

    with Turn(throttle, 0.0, sleep) as turn:
        assert throttle.enter() is None
        turn.pause(Pause(7.0, busy=True))
        assert throttle.enter() is None
    assert throttle.enter() is not None
    assert throttle.book(0) == pytest.approx(1.0)


@pytest.mark.parametrize("rates", [{"requests_per_minute": 0.0}, {"tokens_per_minute": -1.0}])
def test_rates_of_nothing_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="more than 0"):
        Rates(**rates)


def test_a_server_that_takes_two_calls_at_a_time_is_soon_asked_two_at_a_time(tmp_path: Path) -> None:
    """It refuses what comes while two calls are in flight; asked by eight threads, few are refused."""
    rows = [{"id": f"e-{n}", "question": f"question {n}"} for n in range(60)]
    with FakeOpenAI() as server:
        server.at_a_time(2, seconds=0.05)
        client = OpenAI("fake", base_url=server.url)
        with Store(tmp_path / "r.sqlite") as store:
            assert annotate({"train": rows}, Prompt("{question}"), client, store).answered == 60
    assert 0 < server.failed[429] < 60


def test_requests_per_minute_hold_on_the_clock_too(tmp_path: Path) -> None:
    rows = [{"id": f"e-{n}", "question": f"question {n}"} for n in range(8)]
    busy = Reply(429, "")
    with FakeOpenAI(lambda text, attempt: busy if attempt == 0 and text.endswith("3") else None) as server:
        client = OpenAI("fake", base_url=server.url)
        began = time.monotonic()
        with Store(tmp_path / "r.sqlite") as store:
            annotate({"train": rows}, Prompt("{question}"), client, store, rates=Rates(1200))
    assert server.asked.total() == 9
    assert time.monotonic() - began >= 8 * 0.05
