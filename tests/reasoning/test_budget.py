"""What an annotation may use: respected to the call, whatever is in flight."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fiat_jax.errors import BudgetReached, ConfigError
from fiat_jax.reasoning import (
    Budget,
    CallError,
    Completion,
    OpenAI,
    Price,
    Prompt,
    Request,
    Store,
    annotate,
    open_rationales,
)
from fiat_jax.reasoning.budget import Purse, most_read, most_written
from fiat_jax.reasoning.calls import Wait

PRICE = Price(read=1.0, written=10.0, cached=0.1, currency="EUR")
SPLITS = {"train": [{"id": f"e-{n}", "question": f"{n}"} for n in range(60)]}
USED = Completion("since", prompt_tokens=11, completion_tokens=7)
COST = PRICE.cost(11, 7)


class Model:
    """A client that counts what it is asked, and takes a moment for it."""

    model = "counting"

    def __init__(self, answer: Callable[[str], Completion] = lambda text: USED, **settings: Any) -> None:
        self._answer, self._settings = answer, settings or {"max_tokens": 10}
        self._lock, self.asked = threading.Lock(), 0

    def payload(self, request: Request) -> dict[str, Any]:
        return {"messages": list(request.messages), **self._settings}

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        with self._lock:
            self.asked += 1
        time.sleep(0.001)
        return self._answer(request.messages[-1]["content"])


def run(path: Path, model: Model, budget: Budget, concurrency: int = 8) -> Any:
    with Store(path) as store:
        return annotate(SPLITS, Prompt("{question}"), model, store, budget=budget, concurrency=concurrency)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.sqlite"


def test_a_price_counts_what_was_cached_apart() -> None:
    assert PRICE.cost(1_000_000, 0) == 1
    assert PRICE.cost(0, 1_000_000) == 10
    assert PRICE.cost(1_000_000, 0, cached=500_000) == pytest.approx(0.55)
    assert Price(1.0, 10.0).cost(1_000_000, 0, cached=500_000) == 1
    assert PRICE.say(0.0123) == "0.0123 EUR" and PRICE.say(12.345) == "12.35 EUR"


@pytest.mark.parametrize("concurrency", [1, 8, 32])
def test_a_number_of_calls_is_never_passed_and_the_same_command_goes_on(path: Path, concurrency: int) -> None:
    model = Model()
    for done in (25, 50):
        with pytest.raises(BudgetReached, match=rf"max_calls = 25 is reached: {done} of 60 .* goes on") as no:
            run(path, model, Budget(max_calls=25), concurrency)
        assert no.value.exit_code == 5
        assert model.asked == len(open_rationales(path)) == done
    assert run(path, model, Budget(max_calls=25), concurrency).answered == 60
    assert model.asked == 60


def test_no_call_is_made_on_a_budget_of_none(path: Path) -> None:
    model = Model()
    with pytest.raises(BudgetReached):
        run(path, model, Budget(max_calls=0))
    with pytest.raises(BudgetReached):
        run(path, model, Budget(PRICE, max_cost=0))
    assert model.asked == 0


def test_calls_that_fail_count_too(path: Path) -> None:
    def answer(text: str) -> Completion:
        if int(text) % 2:
            raise CallError("no luck")
        return USED

    model = Model(answer)
    with pytest.raises(BudgetReached, match="10 of 60"):
        run(path, model, Budget(max_calls=20), 4)
    assert model.asked == 20


@pytest.mark.parametrize("concurrency", [1, 8, 32])
def test_money_is_never_passed_and_less_than_a_call_is_left_over(path: Path, concurrency: int) -> None:
    model = Model()
    request = Request("", ({"role": "user", "content": "59"},))
    most = PRICE.cost(most_read(model.payload(request)), 10)
    bound = 30 * COST + 0.5 * most
    with pytest.raises(BudgetReached, match=r"max_cost = .* EUR; the same command goes on"):
        run(path, model, Budget(PRICE, bound), concurrency)
    spent = model.asked * COST
    assert spent <= bound < spent + most
    assert len(open_rationales(path)) == model.asked


def test_a_bound_that_is_met_exactly_is_used_up_and_not_passed() -> None:
    purse = Purse(Budget(PRICE, max_cost=3 * COST), Model(), {"max_tokens": 10})
    for _ in range(3):
        assert purse.open(COST)
        purse.close(COST, USED)
    assert not purse.open(COST) and purse.reached


def test_a_call_waits_for_the_money_that_those_in_flight_leave_over() -> None:
    purse = Purse(Budget(PRICE, max_cost=10 * COST), Model(), {"max_tokens": 10})
    assert purse.open(9 * COST)
    opened: list[bool] = []
    thread = threading.Thread(target=lambda: opened.append(purse.open(9 * COST)))
    thread.start()
    time.sleep(0.05)
    assert not opened
    purse.close(9 * COST, USED)
    thread.join(timeout=5)
    assert opened == [True]
    purse.close(9 * COST, None)  # a failed call costs nothing that is known
    assert purse.cost == pytest.approx(COST)


def test_a_refused_answer_is_paid_for() -> None:
    purse = Purse(Budget(PRICE, max_cost=COST), Model(), {"max_tokens": 10})
    assert purse.open(COST)
    purse.close(COST, Completion("", 11, 7, "content_filter"))
    assert not purse.open(COST)


def test_a_server_that_does_not_count_tokens_cannot_be_bounded_by_money(path: Path) -> None:
    model = Model(lambda text: Completion("since"))
    with pytest.raises(ConfigError, match=r"expected a server that counts the tokens .* use max_calls"):
        run(path, model, Budget(PRICE, max_cost=1.0), 2)
    assert 1 <= model.asked == len(open_rationales(path)) <= 2


def test_a_client_without_a_longest_answer_cannot_be_bounded_by_money(path: Path) -> None:
    model = Model(seed=3)
    with pytest.raises(ConfigError, match="greatest length, found none; set its max_tokens"):
        run(path, model, Budget(PRICE, max_cost=1.0))
    assert model.asked == 0


@pytest.mark.parametrize(
    "settings", [{"max_cost": 1.0}, {"max_calls": -1}, {"price": PRICE, "max_cost": -1.0}]
)
def test_budgets_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Budget(**settings)


def test_a_negative_price_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 or more"):
        Price(read=-1.0, written=1.0)


def test_the_longest_answer_is_the_greatest_that_the_request_asks_for() -> None:
    request = Request("a", ({"role": "user", "content": "why"},))
    assert most_written(OpenAI("m", max_tokens=9).payload(request)) == 9
    assert most_written(OpenAI("m", extra={"max_completion_tokens": 700}).payload(request)) == 700
    assert most_written({"generationConfig": {"maxOutputTokens": 5}}) == 5
    assert most_written(OpenAI("m", max_tokens=None).payload(request)) is None


def test_what_was_spent_is_said(path: Path) -> None:
    assert f"420 written, {PRICE.say(60 * COST)}" in str(run(path, Model(), Budget(PRICE)))
