"""A pipeline in a process of its own that is killed, or told to stop, or has workers of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("apache_beam")

from beam_task import COUNT, expected, words, write_shards
from fake_openai import FakeOpenAI, flaky
from killable import KEY, wait_until

from fiat_jax.reasoning import open_rationales

REPOSITORY = Path(__file__).parents[2]
CONCURRENCY = 8


class Run:
    """`fiat annotate` on the shards in a folder; what it says goes to a file."""

    def __init__(
        self, server: FakeOpenAI, folder: Path, *options: str, path: str = "", timeout_s: float = 2.0
    ):
        self._log = folder / "log.txt"
        code = "import sys; from fiat_jax.cli import main; sys.exit(main())"
        arguments = words(folder, server.url, folder / "r.sqlite", timeout_s, *options)
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                env=os.environ | {"PYTHONPATH": f"{path}:{REPOSITORY}", "OPENAI_API_KEY": KEY},
                stdout=log,
                stderr=log,
            )

    def end(self) -> int:
        return self.process.wait(timeout=120)

    @property
    def output(self) -> str:
        return self._log.read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    write_shards(tmp_path)
    yield tmp_path
    assert all(KEY.encode() not in each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())


def answers(folder: Path) -> int:
    return sum(1 for _ in folder.glob("beam/answers/*/*.json"))


def test_a_pipeline_killed_on_a_flaky_server_repeats_no_answered_call(folder: Path) -> None:
    with FakeOpenAI(flaky(0.2, seed=7)) as server:
        server.hold_after(25)
        run = Run(server, folder)
        # Calls are in flight and the server withholds their answers; what it did answer is kept.
        wait_until(lambda: server.held >= CONCURRENCY // 2, seconds=90)
        wait_until(lambda: answers(folder) == server.answered.total() == 25)
        run.process.kill()
        run.process.wait()
        server.release(answer=False)
        run = Run(server, folder)
        assert run.end() == 0
    assert f"60 of 60 examples have a rationale; {COUNT - 25} calls now" in run.output
    assert open_rationales(folder / "r.sqlite") == expected()
    assert set(server.answered.values()) == {1} and server.answered.total() == COUNT


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_stopped_pipeline_keeps_the_calls_in_flight_in_the_store(
    folder: Path, number: int, exit_code: int
) -> None:
    with FakeOpenAI() as server:
        server.hold_after(20)
        run = Run(server, folder, timeout_s=60)
        wait_until(lambda: server.held == CONCURRENCY, seconds=90)
        run.process.send_signal(number)
        wait_until(lambda: "stopping after the calls in flight" in run.output)
        server.release(answer=True)
        assert run.end() == exit_code
    assert len(open_rationales(folder / "r.sqlite")) == server.asked.total() == 20 + CONCURRENCY


def test_worker_processes_need_neither_jax_nor_tensorflow(folder: Path) -> None:
    for name in ("jax", "flax", "tensorflow", "seqio"):
        (folder / f"{name}.py").write_text(f"raise RuntimeError('{name} was loaded')")
    with FakeOpenAI() as server:
        options = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
        run = Run(server, folder, *options, path=str(folder))
        assert run.end() == 0, run.output
    assert "60 of 60 examples have a rationale; 60 calls now" in run.output
    assert open_rationales(folder / "r.sqlite") == expected()
    assert set(server.answered.values()) == {1}
