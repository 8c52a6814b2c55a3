"""Rationales that are written from the label: only where that is asked for, and marked wherever they go."""

import json
from pathlib import Path

import pytest
from fake_openai import FakeOpenAI, Reply, completion

from fiat_jax.cli.rationales import rationales
from fiat_jax.errors import DataError
from fiat_jax.reasoning import Completion, OpenAI, Prompt, Replay, Store, export_jsonl, open_rationales
from fiat_jax.reasoning.rationalising import rationalise
from fiat_jax.reasoning.shortening import Shorten, shorten
from fiat_jax.reasoning.store import given_label

PROMPT = Prompt("{question}", "Think.")
ROWS = [{"id": f"r{n}", "question": f"what is {n}?", "answer": f"LABEL {n}"} for n in range(3)]


class Told(FakeOpenAI):
    """Repeats the label where it is told one."""

    def _reply(self, path: str, text: str) -> Reply:
        super()._reply(path, text)
        label = text.split("the right answer is '")[1].split("'")[0]
        return Reply(200, completion(f"So it is. The answer is: {label}"))


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with rationales of r0 and r1 that were written from the label."""
    path = tmp_path / "told.sqlite"
    labels = {row["id"]: row["answer"] for row in ROWS[:2]}
    with Told() as server, Store(path) as kept:
        for _ in range(2):
            client = OpenAI("m", server.url)
            written = rationalise(ROWS[:2], labels, PROMPT, client, kept, forbidden=("answer",))
    assert written == {f"r{n}": f"So it is. The answer is: LABEL {n}" for n in range(2)}
    assert len(server.bodies) == 2, "paid for once"
    return str(path)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def save(path: Path, lines: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.mark.parametrize("form", ["chat", "completion"])
def test_the_label_stands_after_the_input_and_nowhere_else(form: str) -> None:
    from fiat_jax.reasoning.prompts import settings_of
    from fiat_jax.reasoning.rationalising import _Hinted

    exemplars = ({"question": "who?", "rationale": "The answer is: me"},)
    plain = Prompt("{question}", "Think.", exemplars, form=form)  # type: ignore[arg-type]
    hinted = _Hinted(**settings_of(plain), labels={"r0": "LABEL 0"})
    asked, bare = (next(p.requests(ROWS[:1], p.worked(("answer",)), "train")) for p in (hinted, plain))
    text, before = asked.messages[-1]["content"], bare.messages[-1]["content"]
    assert asked.messages[:-1] == bare.messages[:-1] and "LABEL" not in before
    cue = f"\n{plain.cue}" if form == "completion" else ""
    assert text.startswith(before.removesuffix(cue) + "\n\nHint: the right answer is 'LABEL 0'.")
    assert text.endswith(f"end with 'The answer is: LABEL 0'.{cue}")
    with pytest.raises(DataError, match="expected no field that gives the answer away, found 'answer'"):
        _Hinted("{question} {answer}", labels={"r0": "x"}).worked(("answer",))


def test_the_store_knows_which_rationales_were_written_from_the_label(store: str) -> None:
    assert given_label(store) == {"r0", "r1"} == set(open_rationales(store))
    with Store(store) as kept:
        turn = kept.begin({"prompt": "other"}, "m")
        kept.keep(turn, "r0", "k", Completion("not told"))
        kept.keep(turn, "r1", "k1", Completion("not told"))
    assert given_label(store) == set(), "those of the latest prompt were not"


def test_the_mark_goes_with_every_line_into_another_store_and_through_a_merge(
    store: str, tmp_path: Path
) -> None:
    out, new, merged = tmp_path / "all.jsonl", tmp_path / "new.sqlite", str(tmp_path / "merged.sqlite")
    rationales(store, output=str(out))
    assert [line["given_label"] for line in lines_of(out)] == [True, True]
    assert given_label(out) == {"r0", "r1"}, "a task may read the lines themselves"
    rationales(str(new), add=(str(out),))
    with Store(merged) as kept:
        kept.keep(kept.begin({"prompt": "own"}, "m"), "other", "k", Completion("mine"))
    rationales(merged, add=(store,))
    for place in (new, merged):
        assert given_label(place) == {"r0", "r1"}
    rationales(merged, output=str(out))
    assert [line.get("given_label") for line in lines_of(out)] == [True, True, None]


def test_a_line_alone_keeps_its_mark_and_marks_a_prompt_that_had_lost_it(store: str, tmp_path: Path) -> None:
    rationales(store, output=str(tmp_path / "all.jsonl"))
    first, second = lines_of(tmp_path / "all.jsonl")
    assert "template" in first and "template" not in second
    alone = save(tmp_path / "alone.jsonl", [second])
    rationales(str(tmp_path / "a.sqlite"), add=(alone,))
    assert given_label(tmp_path / "a.sqlite") == {"r1"}

    stripped = {name: value for name, value in second.items() if name != "given_label"}
    lost = str(tmp_path / "lost.sqlite")
    rationales(lost, add=(save(tmp_path / "stripped.jsonl", [stripped]),))
    rationales(lost, add=(str(tmp_path / "all.jsonl"),))
    assert given_label(lost) == {"r0", "r1"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"given_label": False}, "expected 'given_label' as the template of its prompt has it, found False"),
        ({"given_label": "no"}, "expected true or false as 'given_label', found 'no'"),
        ({"template": ["given_label"]}, "expected an object or null as 'template'"),
    ],
)
def test_a_line_whose_mark_was_changed_is_refused(
    store: str, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    rationales(store, output=str(tmp_path / "all.jsonl"))
    changed = save(tmp_path / "bad.jsonl", [line | change for line in lines_of(tmp_path / "all.jsonl")])
    with pytest.raises(DataError, match=rf"bad\.jsonl:1: {says}"):
        rationales(str(tmp_path / "new.sqlite"), add=(changed,))


def test_rows_of_id_and_rationale_say_it_too_and_cannot_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    export_jsonl({"a": "x", "b": "y"}, path, marked={"b", "c"})
    assert lines_of(path) == [
        {"id": "a", "rationale": "x"},
        {"id": "b", "rationale": "y", "given_label": True},
    ]
    assert given_label(path) == {"b"}
    with pytest.raises(
        DataError, match="to replay, found that of 'b' written from it; name the file as Task"
    ):
        Replay(str(path)).payload(next(Prompt("{question}").requests(ROWS, (), "train")))
    save(path, [{"id": "a", "rationale": "x", "given_label": 1}])
    with pytest.raises(DataError, match=r"r\.jsonl:1: expected true or false as 'given_label', found 1"):
        given_label(path)


class Brief(FakeOpenAI):
    def answer_to(self, path: str, text: str) -> str:
        return completion("The answer is: LABEL 0")


@pytest.mark.parametrize("told", [True, False])
def test_what_is_shortened_of_them_is_marked_in_its_store(tmp_path: Path, told: bool) -> None:
    with Brief() as server, Store(tmp_path / "s.sqlite") as kept:
        shorten(
            {"train": ROWS[:1]},
            {"r0": "so so so so so so. The answer is: LABEL 0"},
            PROMPT,
            OpenAI("m", server.url),
            kept,
            Shorten(tokens=5),
            length=lambda text: len(text.split()),
            alike=str.lower,
            gives_label=told,
        )
    assert given_label(tmp_path / "s.sqlite") == ({"r0"} if told else set())
