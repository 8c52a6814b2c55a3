"""`fiat serve` under load: a process of its own, two adapters, and a reasoner that fails now and then."""

import os
import queue
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from fake_openai import FakeOpenAI
from fake_predictor import until
from study.conftest import write_world
from traffic import ADAPTERS, BODY_BYTES, ROWS, Case, cases, fails, good, thoughts

import fiat_jax
from fiat_jax.cli import main

CLIENTS = 32
FEW = ("Tuning.steps=2", "Tuning.save_every=0", "Tuning.eval_every=0", "AdamW.learning_rate=0.1")
RUNS = {None: "one", "one": "one", "other": "two"}
SETTINGS = (
    "serve.port=0",
    "serve.batch_size=8",
    "serve.adapters={'other': 'two'}",
    "serve.client=@OpenAI()",
    "serve.prompt=@Prompt()",
    "Prompt.input='{question} {context}'",
    "OpenAI.model='fake'",
    "OpenAI.max_retries=1",
    f"Limits.body_bytes={BODY_BYTES}",
    f"Limits.rows={ROWS}",
    f"Limits.calls={CLIENTS}",
)
CODE = "import sys; from fiat_jax.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    write_world(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for run, settings in {"one": FEW, "two": (*FEW, "Tuning.seed=5", "LoRA.rank=2")}.items():
            words = [f"--gin.{setting}" for setting in settings]
            assert main(["train", "--gin_file", "world.gin", "--run_dir", run, *words]) == 0
    return folder


@contextmanager
def serving(folder: Path, *settings: str):
    """A server's process, its address, and what it said, as soon as it listens."""
    words = [f"--gin.{setting}" for setting in settings]
    command = [sys.executable, "-c", CODE, "serve", "--run_dir", "one", *words]
    log = folder / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: process.poll() is not None or "GET /health" in log.read_text(), seconds=120)
        found = re.match(r"(http://\S+): loading", log.read_text())
        assert found, log.read_text()
        yield process, found[1], log
    finally:
        process.kill()
        process.wait()


def ready(url: str) -> bool:
    return httpx.get(f"{url}/health").status_code == 200


def send(url: str, asked: list[Case]) -> list[tuple[Case, httpx.Response, float]]:
    """All of it, from 32 clients: each case with its reply and the seconds that it took."""
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in asked:
        waiting.put(case)

    def client(_: int) -> list[tuple[Case, httpx.Response, float]]:
        done = []
        with httpx.Client(base_url=url, timeout=120) as session:
            while not waiting.empty():
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    break
                started = time.monotonic()
                headers = {"Content-Type": "application/json"}
                reply = session.post("/answer", content=case.body, headers=headers)
                done.append((case, reply, time.monotonic() - started))
        return done

    with ThreadPoolExecutor(CLIENTS) as clients:
        return [one for done in clients.map(client, range(CLIENTS)) for one in done]


def check_answers(folder: Path, done: list[tuple[Case, httpx.Response, float]], monkeypatch) -> int:
    """Compares every answer with what a predictor of its run alone gives; returns how many there are."""
    monkeypatch.chdir(folder)
    compared = 0
    for adapter in ADAPTERS:
        replies = [(case, reply) for case, reply, _ in done if case.adapter == adapter]
        rows = [row | {"rationale": thoughts(row)} for case, _ in replies for row in case.rows]
        answers = [answer for _, reply in replies for answer in reply.json()]
        with fiat_jax.open_predictor(RUNS[adapter]) as predictor:
            expected = predictor(rows)
        assert len(answers) == len(expected)
        for answer, own, row in zip(answers, expected, rows, strict=True):
            assert answer["rationale"] == row["rationale"]
            assert answer["prediction"] == own["prediction"]
            assert answer["score"] == pytest.approx(own["score"], abs=1e-3)
            assert (answer["tokens"], answer["cut"]) == (own["tokens"], own.get("cut", {}))
        compared += len(answers)
    return compared


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, 1000])
def test_no_answer_is_wrong_and_none_is_lost_under_load_and_through_sigterm(trained, count, monkeypatch):
    store = f"serve.rationales='store-{count}.sqlite'"
    with FakeOpenAI(fails) as reasoner:
        settings = (*SETTINGS, store, f"OpenAI.base_url='{reasoner.url}'")
        with serving(trained, *settings) as (process, url, log):
            until(lambda: ready(url), seconds=300)
            asked = cases(count)
            started = time.monotonic()
            done = send(url, asked)
            seconds = time.monotonic() - started
            assert len(done) == count
            wrong = [(case, reply.text) for case, reply, _ in done if reply.status_code != case.status]
            assert not wrong, wrong[:3]
            answered = [one for one in done if one[0].status == 200]
            metrics = httpx.get(f"{url}/metrics").text
            statuses = Counter(case.status for case in asked)
            for status, number in statuses.items():
                assert f'fiat_requests_total{{status="{status}"}} {number}\n' in metrics
            assert len(statuses) == 4

            reasoner.hold_after(0)
            last = [_one_row(n) for n in range(CLIENTS)]
            with ThreadPoolExecutor() as sender:
                accepted = sender.submit(send, url, last)
                until(lambda: reasoner.held == CLIENTS)
                process.send_signal(signal.SIGTERM)
                until(lambda: not ready(url))
                assert httpx.post(f"{url}/answer", json={"inputs": last[0].rows[0]}).status_code == 503
                reasoner.release(answer=True)
                drained = accepted.result()
            assert [reply.status_code for _, reply, _ in drained] == [200] * CLIENTS
            assert process.wait(timeout=60) == 0, log.read_text()
            assert len(log.read_text().splitlines()) == 2, log.read_text()
    compared = check_answers(trained, answered + drained, monkeypatch)
    times = [time for case, _, time in done if case.status == 200]
    p50, p99 = np.percentile(times, [50, 99])
    print(
        f"\n{count} requests from {CLIENTS} clients in {seconds:.1f} s: {dict(sorted(statuses.items()))}; "
        f"{compared} rows compared; p50 {p50:.3f} s, p99 {p99:.3f} s"
    )


def _one_row(n: int) -> Case:
    name, rng = f"last-{n}", random.Random(n)
    return next(case for case in (good(rng, name) for _ in range(100)) if len(case.rows) == 1)


def test_ctrl_c_while_the_model_is_loaded_ends_at_once_with_0(trained):
    with serving(trained, "serve.port=0") as (process, _, log):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert "ready" not in log.read_text().replace("when it is ready", "")


def test_a_run_that_cannot_be_loaded_ends_with_the_exit_code_of_its_failure(trained):
    (trained / "empty").mkdir()
    (trained / "empty" / "config.gin").write_text((trained / "one" / "config.gin").read_text())
    command = [sys.executable, "-c", CODE, "serve", "--run_dir", "empty", "--gin.serve.port=0"]
    ended = subprocess.run(command, cwd=trained, capture_output=True, text=True, env=os.environ, timeout=300)
    assert ended.returncode == 2
    assert "fiat serve: " in ended.stderr.splitlines()[-1]
