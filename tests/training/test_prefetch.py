"""The thread that makes batches: in order, each once, and no failure or stop is lost in it."""

import threading
import time

import pytest

from fiat_jax.training.prefetch import Prefetch


def test_values_come_in_order_and_each_is_made_once_by_another_thread():
    made = []

    def make(step):
        made.append((step, threading.current_thread().name))
        return step * step

    with Prefetch(make, 3, 9) as coming:
        assert [coming.take() for _ in range(6)] == [9, 16, 25, 36, 49, 64]
    assert [step for step, _ in made] == [3, 4, 5, 6, 7, 8]
    assert threading.current_thread().name not in {name for _, name in made}


def test_the_next_values_are_made_while_one_is_used_and_no_more_than_a_few():
    made, enough = [], threading.Event()

    def make(step):
        made.append(step)
        if step == 2:
            enough.set()

    with Prefetch(make, 0, 100) as coming:
        coming.take()
        assert enough.wait(20)
        time.sleep(0.05)
        assert made == [0, 1, 2]


def test_what_fails_is_raised_for_its_own_step_and_not_before():
    def make(step):
        if step == 1:
            raise ValueError("step 1")
        return step

    with Prefetch(make, 0, 3) as coming:
        assert coming.take() == 0
        with pytest.raises(ValueError, match="step 1"):
            coming.take()
        assert coming.take() == 2


def test_it_stops_with_its_user_and_leaves_no_thread():
    made = []
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Prefetch(made.append, 0, 10**6) as coming:
        coming.take()
        raise KeyboardInterrupt
    assert threading.active_count() == before
    assert len(made) <= 3


def test_the_seconds_that_its_user_waits_are_counted_and_no_others():
    with Prefetch(lambda step: time.sleep(0.05 if step == 0 else 0), 0, 3) as coming:
        coming.take()
        first = coming.waited
        time.sleep(0.05)
        coming.take()
    assert first >= 0.04
    assert coming.waited - first < 0.04
