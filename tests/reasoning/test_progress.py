"""What an annotation shows while it runs."""

import pytest

from fiat_jax.reasoning import Price
from fiat_jax.reasoning.progress import Progress


def test_a_log_gets_a_line_now_and_then_with_failures_cost_rate_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    with Progress(1000, Price(1.0, 1.0, currency="EUR"), lambda: now[0]) as progress:
        progress.show(1, 0)
        now[0] = 20.0
        progress.show(95, 5, cost=0.25)
        progress.show(96, 5, cost=0.26)
        now[0] = 40.0
        progress.show(999, 0, cost=1.0)
    assert capsys.readouterr().err.splitlines() == [
        "95 of 1000 calls done, 5 failed, 0.2500 EUR, 5.0/s, 3 min left",
        "999 of 1000 calls done, 1.0000 EUR, 25.0/s, 0 s left",
    ]


def test_a_long_run_counts_hours_and_money_is_not_made_up(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Progress(10_000, None, lambda: now[0]) as progress:
        now[0] = 100.0
        progress.show(100, 0)
    assert capsys.readouterr().err == "100 of 10000 calls done, 1.0/s, 2 h 45 min left\n"


def test_what_has_not_begun_has_no_rate_and_no_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Progress(100, None, lambda: now[0]) as progress:
        now[0] = 60.0
        progress.show(0, 0)
    assert capsys.readouterr().err == "0 of 100 calls done\n"


def test_a_terminal_gets_a_bar_with_failures_and_cost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress(4, Price(1.0, 1.0)) as progress:
        progress.show(2, 1, cost=0.5)
        progress.say("stopping")
        progress.show(3, 1, cost=0.75)
    err = capsys.readouterr().err
    assert "stopping" in err and "4/4" in err and "1 failed, 0.7500 USD" in err
