"""`fiat predict`: a file answered line by line, killed, continued, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_openai import BROKEN, FakeOpenAI
from study.conftest import SHORT, write_jsonl

import fiat_jax
from fiat_jax.cli import main
from fiat_jax.study import windows

CODE = "import sys; from fiat_jax.cli import main; sys.exit(main())"
COUNT = 150
ROWS = [
    {"id": f"new-{n}", "question": f"what lies at {n}?", "context": "sand " * (n * 7 % 11), "extra": n}
    for n in range(COUNT)
]


@pytest.fixture(scope="module")
def answered(trained):
    """The world with new.jsonl, rationales of its rows, and whole.jsonl, its answers."""
    write_jsonl(trained / "new.jsonl", ROWS)
    why = [{"id": row["id"], "rationale": f"it is {row['extra']}"} for row in ROWS]
    write_jsonl(trained / "why.jsonl", why)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        assert main(words("whole.jsonl")) == 0
    return trained


@pytest.fixture
def folder(answered, monkeypatch):
    monkeypatch.chdir(answered)
    for path in answered.glob("out.jsonl*"):
        path.unlink()
    return answered


def words(output="out.jsonl", *more, input="new.jsonl", rationales="why.jsonl"):
    settings = {"input": input, "output": output, "rationales": rationales, "batch_size": 2}
    flags = [f"--gin.predict.{name}={value}" for name, value in settings.items()]
    return ["predict", "--run_dir", "run", *flags, *more]


def asking(server, output="out.jsonl", store="asked.sqlite", **client):
    client = {"model": "fake", "base_url": server.url} | client
    return words(
        output,
        "--gin.predict.client=@OpenAI()",
        "--gin.predict.prompt=@Prompt()",
        "--gin.Prompt.input={question}",
        *(f"--gin.OpenAI.{name}={value}" for name, value in client.items()),
        rationales=store,
    )


def lines(name="out.jsonl"):
    return Path(name).read_text().splitlines()


def rows_of(text):
    """The rows of an output. Beside other rows a score is rounded otherwise, in its last digit or two."""
    rows = [json.loads(line) for line in text.splitlines()]
    return [{**row, "score": pytest.approx(row["score"], abs=3e-4)} for row in rows]


def start(words):
    return subprocess.Popen([sys.executable, "-c", CODE, *words], env=os.environ, stderr=subprocess.PIPE)


def wait_until(condition, process, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def written(name="out.jsonl"):
    return Path(name).exists() and len(lines(name)) > 0


def test_every_row_is_answered_in_order_and_as_a_call_answers_it(folder):
    answered = [json.loads(line) for line in lines("whole.jsonl")]
    assert [{name: row[name] for name in ROWS[0]} for row in answered] == ROWS
    assert all(row["rationale"] == f"it is {n}" for n, row in enumerate(answered))
    with fiat_jax.open_predictor("run", rationales="why.jsonl") as predictor:
        assert predictor(ROWS) == rows_of(Path("whole.jsonl").read_text())


def test_a_run_killed_anywhere_and_continued_keeps_what_was_written_and_adds_the_rest(folder, capsys):
    whole = Path("whole.jsonl").read_bytes()
    for size in (1, 700, len(whole) // 2, len(whole) - 1, len(whole)):
        Path("out.jsonl").write_bytes(whole[:size])
        Path("out.jsonl.settings.json").write_bytes(Path("whole.jsonl.settings.json").read_bytes())
        assert main(words()) == 0
        kept = whole[: whole[:size].rfind(b"\n") + 1]
        assert Path("out.jsonl").read_bytes().startswith(kept)
        assert [json.loads(line) for line in lines()] == rows_of(whole.decode())
        before = whole[:size].count(b"\n")
        said = capsys.readouterr().out
        assert said.startswith(f"out.jsonl: {COUNT} predictions")
        assert (f", {before} of them from before" in said) == (before > 0)
        assert ("rows/s" in said) == (before < COUNT)


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGINT))],
)
def test_a_run_stopped_for_real_goes_on_and_asks_nothing_twice(folder, number, capsys):
    store, output = f"{number.name}.sqlite", f"{number.name}.jsonl"
    with FakeOpenAI() as server:
        server.hold_after(100)
        process = start(asking(server, output, store))
        wait_until(lambda: server.held == 8 and written(output), process)
        process.send_signal(number)
        if number != signal.SIGKILL:
            time.sleep(0.5)
            server.release(answer=True)
        said = process.communicate(timeout=240)[1].decode()
        server.release(answer=False)
        codes = {signal.SIGKILL: -9, signal.SIGTERM: 75, signal.SIGINT: 130}
        assert process.returncode == codes[number], said
        assert 0 < len(lines(output)) < COUNT
        assert main(asking(server, output, store)) == 0
        assert main(asking(server, "other.jsonl", store)) == 0
        assert set(server.answered.values()) == {1} and server.answered.total() == COUNT
    assert [json.loads(line) for line in lines(output)] == rows_of(Path("other.jsonl").read_text())
    assert json.loads(lines(output)[3])["rationale"] == "thoughts on what lies at 3?"
    for path in folder.glob("other.jsonl*"):
        path.unlink()


def test_a_row_without_a_rationale_stops_the_run_after_the_rows_before_it(folder, capsys):
    def fault(text, attempt):
        return BROKEN if text == "what lies at 90?" and not mended else None

    mended = []
    with FakeOpenAI(fault) as server:
        assert main(asking(server, store="stopped.sqlite", max_retries=0)) == 1
        assert "example 'new-90' has no rationale: gave up" in capsys.readouterr().err
        assert len(lines()) == 90 - 90 % 32
        mended.append(True)
        assert main(asking(server, store="stopped.sqlite", max_retries=0)) == 0
        assert [json.loads(line)["extra"] for line in lines()] == list(range(COUNT))
        assert set(server.answered.values()) == {1}


def changed(n, **fields):
    return [row | fields if at == n else row for at, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([*ROWS[:140], {"id": "new-140"}], "bad.jsonl:141: expected a field 'question', found 'id'"),
        (changed(140, question=["a"]), "bad.jsonl:141: expected text in field 'question'"),
        (changed(140, id="new-7"), "bad.jsonl:141: expected each id once, but 'new-7' is on line 8 too"),
        (changed(140, id="unknown"), "bad.jsonl:141: expected a rationale for 'unknown' in why.jsonl"),
        ([], "bad.jsonl: expected at least one row"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line_before_the_first_is_answered(folder, capsys, rows, sentence):
    write_jsonl(folder / "bad.jsonl", rows)
    assert main(words(input="bad.jsonl")) == 3
    assert sentence in capsys.readouterr().err
    assert not Path("out.jsonl").exists()


def test_answers_of_other_settings_or_of_another_input_are_not_mixed(folder, capsys):
    whole = Path("whole.jsonl").read_bytes()

    def refused(code, sentence, *more, **kinds):
        assert main(words("out.jsonl", *more, **kinds)) == code
        assert sentence in capsys.readouterr().err
        assert Path("out.jsonl").read_bytes() == half

    half = whole[: len(whole) // 2]
    Path("out.jsonl").write_bytes(half)
    refused(2, "out.jsonl: expected no file, or one begun by `fiat predict`, found another; remove")
    Path("out.jsonl.settings.json").write_bytes(Path("whole.jsonl.settings.json").read_bytes())
    half = half[: half.rfind(b"\n") + 1]
    Path("out.jsonl").write_bytes(half)
    refused(2, "found search 'Greedy(", "--gin.predict.search=@Sample()")
    Path("copy.jsonl").write_bytes(Path("why.jsonl").read_bytes())
    refused(2, "found rationales 'why.jsonl'", rationales="copy.jsonl")
    write_jsonl(folder / "changed.jsonl", changed(3, context="mud"))
    refused(
        3, "out.jsonl:4: expected the answer to changed.jsonl:4, found another row", input="changed.jsonl"
    )
    write_jsonl(folder / "fewer.jsonl", ROWS[:9])
    refused(3, "out.jsonl:10: expected the end of fewer.jsonl, found another row", input="fewer.jsonl")


def test_a_run_tuned_again_is_another_run(folder, capsys):
    assert main(["train", "--gin_file", "world.gin", "--run_dir", "again", *SHORT]) == 0
    assert main(words()) == 0
    assert main([*words(), "--run_dir", "again"]) == 2
    assert "found checkpoint '" in capsys.readouterr().err


def test_rows_that_were_added_to_the_input_are_all_that_is_answered(folder, capsys):
    write_jsonl(folder / "grows.jsonl", ROWS[:40])
    assert main(words(input="grows.jsonl")) == 0
    write_jsonl(folder / "grows.jsonl", ROWS)
    assert main(words(input="grows.jsonl")) == 0
    assert f"{COUNT} predictions, 40 of them from before" in capsys.readouterr().out
    assert [json.loads(line)["extra"] for line in lines()] == list(range(COUNT))


def test_few_rows_are_held_however_long_the_file_is(folder, monkeypatch):
    most, taken = [], windows.Windows.take

    def take(self, *words):
        given = taken(self, *words)
        most.append(self._next - self.written)
        return given

    monkeypatch.setattr(windows.Windows, "take", take)
    assert main(words()) == 0
    assert 0 < max(most) <= 4 * 32 < COUNT
