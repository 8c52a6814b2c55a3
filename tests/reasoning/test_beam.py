"""Annotation through an Apache Beam pipeline on this machine, against a real HTTP server."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("apache_beam")

from apache_beam.options.pipeline_options import PipelineOptions
from beam_task import COUNT, expected, sharded, task, write_rows
from fake_openai import FakeOpenAI, Reply, flaky

from fiat_jax.cli.annotate import annotate
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError, DataError, FiatError
from fiat_jax.reasoning import OpenAI, Prompt, Replay, open_rationales
from fiat_jax.reasoning.answers import Answers
from fiat_jax.reasoning.beam import Beam
from fiat_jax.reasoning.calls import Completion

PROMPT = Prompt("{question}", instruction="Think.")
NO = Reply(400, '{"error": {"message": "not this one"}}')


def run(task: Task, server: FakeOpenAI, folder: Path, prompt: Prompt = PROMPT, **settings: Any) -> dict:
    store = folder / "r.sqlite"
    client = OpenAI("fake", base_url=server.url, timeout_s=2.0)
    annotate(task, client, str(store), prompt, pipeline=Beam(str(folder / "beam")), **settings)
    return dict(open_rationales(store))


def outcome(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.split(": ", 1)[1]


def test_the_store_and_the_summary_are_those_of_annotate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for language in ("hau", "zul"):
        for split, count in (("train", 5), ("test", 3)):
            rows = [
                {"id": f"{language}-{split}-{n}", "question": f"{split} {n // 2}?", "answer": "LABEL"}
                for n in range(count)
            ]
            write_rows(tmp_path / f"{language}.{split}-0.jsonl", rows[:2])
            write_rows(tmp_path / f"{language}.{split}-1.jsonl", rows[2:])
    pattern = f"{tmp_path}/{{language}}"
    source = Jsonl(train=f"{pattern}.train-*.jsonl", test=f"{pattern}.test-*.jsonl")
    exemplar = {"question": "another?", "rationale": "so"}
    prompt = Prompt("{question}", exemplars=(exemplar,))
    both = task(source, languages=("hau", "zul"), holdout=1)
    with FakeOpenAI() as server:
        through_beam = run(both, server, tmp_path, prompt)
        said = outcome(capsys)
        asked = dict(server.asked)
        client = OpenAI("fake", base_url=server.url)
        annotate(both, client, str(tmp_path / "plain.sqlite"), prompt)
    assert through_beam == open_rationales(tmp_path / "plain.sqlite") and len(through_beam) == 16
    assert said == outcome(capsys) and said.startswith("16 of 16 examples have a rationale; 5 calls now, 55")
    assert asked == {"train 0?": 1, "train 1?": 1, "train 2?": 1, "test 0?": 1, "test 1?": 1}
    assert "LABEL" not in json.dumps(server.bodies)
    assert [each.name for each in (tmp_path / "beam").iterdir()] == ["answers"]


def test_neither_what_the_folder_nor_what_the_store_holds_is_asked_again(tmp_path: Path) -> None:
    rows = sharded(tmp_path)
    with FakeOpenAI() as server:
        assert run(rows, server, tmp_path) == expected()
        (tmp_path / "r.sqlite").unlink()
        assert run(rows, server, tmp_path) == expected()
        (tmp_path / "beam").rename(tmp_path / "elsewhere")
        assert run(rows, server, tmp_path) == expected()
    assert server.asked.total() == COUNT


def test_a_failed_request_is_tried_again_and_else_listed_and_never_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = sharded(tmp_path)
    listed = tmp_path / "r.failures.jsonl"
    with FakeOpenAI(
        lambda text, attempt: NO if text.endswith("7") else flaky(0.1, 3)(text, attempt)
    ) as server:
        with pytest.raises(
            FiatError, match=r"54 of 60 .* 6 have none \(e-17, e-27, .*400 \(not this one"
        ) as no:
            run(rows, server, tmp_path, concurrency=16)
        assert no.value.exit_code == 1 and str(listed) in str(no.value)
        failed = [json.loads(line) for line in listed.read_text().splitlines()]
        assert sorted(row["id"] for row in failed) == [f"e-{n}" for n in (17, 27, 37, 47, 57, 7)]
        assert all("not this one" in row["reason"] for row in failed)
        answered = dict(+server.answered)
        server.fault = lambda text, attempt: None
        assert run(rows, server, tmp_path) == expected()
    assert "60 of 60 examples have a rationale; 6 calls now" in capsys.readouterr().out
    assert answered == {f"question {n}": 1 for n in range(COUNT) if n % 10 != 7}
    assert set(server.answered.values()) == {1} and not listed.exists()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (
            {"id": "e-3", "question": "q", "answer": "a"},
            r"rows-x\.jsonl:2: .*'e-3' is at .*rows-0\.jsonl:4 too",
        ),
        ({"id": "y", "answer": "a"}, r"rows-x\.jsonl:2: expected a field 'question'"),
    ],
)
def test_a_bad_row_in_any_file_is_named_before_any_call(
    tmp_path: Path, bad: dict[str, str], says: str
) -> None:
    all_rows = sharded(tmp_path)
    write_rows(tmp_path / "rows-x.jsonl", [{"id": "x", "question": "q", "answer": "a"}, bad])
    with FakeOpenAI() as server, pytest.raises(DataError, match=says):
        run(all_rows, server, tmp_path)
    assert not server.asked and open_rationales(tmp_path / "r.sqlite") == {}


def test_leaks_absent_files_and_no_rows_are_refused(tmp_path: Path) -> None:
    rows = sharded(tmp_path)
    (tmp_path / "empty.jsonl").touch()
    leak = Prompt("{question}", exemplars=({"question": "question 4", "rationale": "so"},))
    with FakeOpenAI() as server:
        with pytest.raises(DataError, match="found 'answer'"):
            run(rows, server, tmp_path, Prompt("{question} {answer}"))
        with pytest.raises(DataError, match="'e-4' of 'test', which would see its own answer"):
            run(task(Jsonl(test=rows.source.train)), server, tmp_path, leak)
        with pytest.raises(DataError, match=r"none-\*\.jsonl: expected a file or several, found none"):
            run(task(Jsonl(train=f"{tmp_path}/none-*.jsonl")), server, tmp_path)
        with pytest.raises(DataError, match="at least one row to annotate, found none"):
            run(task(Jsonl(train=f"{tmp_path}/empty.jsonl")), server, tmp_path)
        with pytest.raises(ConfigError, match="no first examples, found 3"):
            run(rows, server, tmp_path, limit=3)
        with pytest.raises(ConfigError, match="Unexpected pipeline runner: NowhereRunner"):
            beam = Beam(str(tmp_path), runner="NowhereRunner")
            annotate(rows, OpenAI("fake"), str(tmp_path / "r.sqlite"), PROMPT, pipeline=beam)
    assert not server.asked


def test_a_server_that_refuses_the_key_or_is_out_of_order_is_not_asked_for_ever(tmp_path: Path) -> None:
    rows = sharded(tmp_path)
    with FakeOpenAI(lambda text, attempt: Reply(401)) as server:
        with pytest.raises(ConfigError, match=r"check OPENAI_API_KEY\. \(0 of 60 .*goes on from here"):
            run(rows, server, tmp_path, concurrency=4)
        assert server.asked.total() <= 4
        server.fault = lambda text, attempt: NO
        server.asked.clear()
        with pytest.raises(FiatError, match="60 have none"):
            run(rows, server, tmp_path, concurrency=4)
        assert 25 <= server.asked.total() < 25 + 4


def test_rationales_are_replayed_without_a_prompt_and_those_cut_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = sharded(tmp_path)
    write_rows(tmp_path / "r.jsonl", [{"id": id, "rationale": text} for id, text in expected().items()])
    store, beam = str(tmp_path / "r.sqlite"), Beam(str(tmp_path / "beam"))
    annotate(rows, Replay(str(tmp_path / "r.jsonl")), store, pipeline=beam)
    assert open_rationales(store) == expected()
    answer = Answers(str(tmp_path / "beam" / "answers"))
    for path in (tmp_path / "beam" / "answers").rglob("*.json"):
        answer.put(path.stem, Completion("since", finish_reason="length"))
    Path(store).unlink()
    for _ in range(2):  # from the folder, then from the store
        annotate(rows, Replay(str(tmp_path / "r.jsonl")), store, pipeline=beam)
        assert "60 of 60 examples have a rationale; 0 calls now" in (out := capsys.readouterr().out)
        assert "cut at the token limit: 60" in out


def test_rows_without_answers_come_from_many_files_and_paths_may_be_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for shard in range(2):
        rows = [{"id": f"n-{shard}-{n}", "question": f"new {shard} {n}"} for n in range(3)]
        write_rows(tmp_path / f"new-{shard}.jsonl", rows)
    with FakeOpenAI() as server:
        found = run(sharded(tmp_path), server, Path(), input="new-*.jsonl")
    assert found == {f"n-{s}-{n}": f"thoughts on new {s} {n}" for s in range(2) for n in range(3)}


def test_the_flags_that_the_documentation_gives_are_beams() -> None:
    text = (Path(__file__).parents[2] / "docs" / "annotation_at_scale.md").read_text()
    flags = [flag.replace("'", "") for flag in re.findall(r"(?<=['`])--[a-z_]+=[^'`]+", text)]
    assert len(flags) >= 12
    for flag in flags:
        name, value = flag.removeprefix("--").split("=", 1)
        kept = PipelineOptions([flag]).get_all_options(drop_default=True)[name]
        assert str(kept) in (value, f"['{value}']")


def test_a_broken_answer_counts_as_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answers = Answers(str(tmp_path))
    key = "ab" * 32
    assert answers.get(key) is None
    answer = answers.put(key, Completion("since", 11, 7, "stop"))
    assert answers.get(key) == answer and answer.time.endswith("+00:00")
    [path] = tmp_path.rglob("*.*")
    for broken in ("", "[]", '{"completion": {"texts": 1}, "time": ""}'):
        path.write_text(broken)
        assert answers.get(key) is None
        assert f"{path}: expected an answer, found something else" in caplog.text


def test_without_apache_beam_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sharded(tmp_path)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with FakeOpenAI() as server, pytest.raises(ConfigError, match=r"pip install 'fiat-jax\[beam\]'"):
        run(rows, server, tmp_path)
