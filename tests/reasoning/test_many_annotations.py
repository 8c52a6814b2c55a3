"""Ten thousand annotations against a server that answers at once: what a call costs, memory, and kill -9."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from killable import wait_until
from run_many import CONCURRENCY

from fiat_jax.reasoning import open_rationales

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
COUNT, PATIENCE_S = 10_000, 1200
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{HERE.parents[1]}:{HERE}"}


@pytest.fixture
def url() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, str(HERE / "instant_server.py")], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    server.kill()
    server.wait()


@contextmanager
def running(url: str, store: Path) -> Iterator[subprocess.Popen[str]]:
    """An annotation of all examples; it does not outlive the test."""
    words = [sys.executable, str(HERE / "run_many.py"), url, str(store), str(COUNT)]
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as run:
        try:
            yield run
        finally:
            run.kill()


def run_all(url: str, store: Path) -> dict[str, Any]:
    with running(url, store) as run:
        return json.loads(run.communicate(timeout=PATIENCE_S)[0])


def counts(url: str) -> tuple[int, int]:
    """The answers that the server has given, and to how many questions."""
    with urllib.request.urlopen(url.replace("/v1", "/counts"), timeout=10) as reply:
        answers, questions = json.load(reply)
    return answers, questions


def test_ten_thousand_calls_cost_little_each_and_memory_stays_flat(url: str, tmp_path: Path) -> None:
    found = run_all(url, tmp_path / "r.sqlite")
    print(
        f"{found['seconds'] / COUNT * 1000:.2f} ms a call, {found['cpu'] / COUNT * 1000:.2f} ms of processor"
    )
    print("memory after 2,000 and 10,000 calls, MB:", [round(each / 1e6, 1) for each in found["memory"]])
    assert found["answered"] == found["calls"] == COUNT
    assert counts(url) == (COUNT, COUNT)
    assert found["cpu"] / COUNT < 0.004, "a call should take about a millisecond of processor time"
    at_first, at_last = found["memory"]
    assert at_last - at_first < 8e6


def test_a_store_is_whole_after_kill_9_and_few_calls_are_repeated(url: str, tmp_path: Path) -> None:
    store, kills = tmp_path / "r.sqlite", (2_000, 5_000)
    for answers in kills:
        with running(url, store) as run:
            wait_until(lambda answers=answers: counts(url)[0] >= answers, PATIENCE_S)
            os.kill(run.pid, signal.SIGKILL)
        assert counts(url)[0] < COUNT, "it was to be killed in the middle"
        with sqlite3.connect(store) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert len(open_rationales(store)) >= counts(url)[1] - CONCURRENCY
    found = run_all(url, store)
    assert found["answered"] == len(open_rationales(store)) == COUNT
    answers, questions = counts(url)
    print(f"repeated after {len(kills)} kills: {answers - questions}")
    assert questions == COUNT and answers - questions <= len(kills) * CONCURRENCY
