"""`fiat inspect` on small tasks: what it shows, what it finds, and what it says to do."""

import random
import re
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest
from rows import example, write_jsonl

from fiat_jax.cli.inspection import inspect
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.reasoning.prompts import Prompt
from fiat_jax.study.inspection import terminal
from fiat_jax.study.inspection.html import write_html
from fiat_jax.study.inspection.inspecting import inspect_task
from fiat_jax.study.inspection.lengths import percentile
from fiat_jax.study.inspection.terminal import coloured, columns

INSTRUCTION = "Answer the question with a short span of the context."


@pytest.fixture
def make(tmp_path, vocabulary):
    """Makes a task of rows by split; rationales by id."""

    def made(rationales=None, **settings):
        splits = {name: settings.pop(name) for name in ("train", "validation", "test") if name in settings}
        files = {split: write_jsonl(tmp_path / f"{split}.jsonl", rows) for split, rows in splits.items()}
        if isinstance(rationales, dict):
            rows = [{"id": id, "rationale": text} for id, text in rationales.items()]
            rationales = write_jsonl(tmp_path / "r.jsonl", rows)
        settings = {"vocabulary": vocabulary, "template": Template(instruction=INSTRUCTION)} | settings
        return Task(name="books", source=Jsonl(**files), rationales=rationales, **settings)

    return made


def seen(task, reading=None, **settings):
    return inspect_task(task, reading, task.splits(), settings.pop("count", 3), **settings)


def printed(task, colours=False, **settings):
    return terminal.text(seen(task, **settings), 100, colours)


def block(out, label):
    """The lines of the first example that stand beside a label, as one."""
    found = re.search(rf"^  {label} +(.*(?:\n {{10}}.*)*)", out, re.MULTILINE)
    return " ".join(line.strip() for line in found[1].split("\n"))


def section(inspection, title):
    return next(one for one in inspection.sections if one.title == title)


def cells(inspection, title, table=0):
    """The rows of a table, each by the names of its columns."""
    found = section(inspection, title).tables[table]
    return [dict(zip(found.head, row, strict=True)) for row in found.rows]


def test_without_colours_marks_are_brackets(make):
    row = example("a", question="who wr\u0254te\nthe book?", context="He wrote it in 1958. " * 20)
    task = make(train=[row], inputs_length=90)
    out = printed(task)
    text = block(out, "text")
    assert "who wr<unk:\u0254>te<gone:line break>the book?" in text
    assert re.search(r"1958\.\[cut: He wrote it in 1958\..*\]$", text)
    assert "|<unk:\u0254>|" in block(out, "tokens")
    assert block(out, "target") == "Chinua Achebe"
    assert "\x1b" not in out and max(map(columns, out.splitlines())) <= 100


def test_what_is_kept_and_what_is_cut_are_together_the_whole(make):
    row = example("a", context="".join(f"word{n} " for n in range(99)))
    (marked,) = seen(make(train=[row], inputs_length=120)).examples
    assert "".join(token.text for token in marked.input if token.kind != "cut") == marked.read.text
    whole = task_text(row)
    assert "".join(token.text for token in marked.input) == whole
    lost = "".join(token.text for token in marked.input if token.kind == "cut")
    assert len(lost) == marked.read.cut["context"] > 0 and whole.endswith(lost)


def task_text(row):
    return f"{INSTRUCTION} question: {row['question']} title: {row['title']} context: {row['context']}"


def test_in_colours_marks_have_a_shape_too(make):
    out = printed(make(train=[example("a", question="wh\u0254?")]), colours=True)
    assert "\x1b[7;31m\u0254\x1b[0m" in out and "<unk" not in out


@pytest.mark.parametrize(
    ("terminal", "variables", "expected"),
    [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False), (False, {}, False)],
)
def test_colours_are_for_terminals_that_want_them(terminal, variables, expected, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    class Stream:
        def isatty(self):
            return terminal

    assert coloured(Stream()) is expected


def test_control_characters_of_a_row_do_not_reach_the_terminal(make):
    row = example("a\x1b[2J", question="who\x1b]0;x\x07?", answer="\x1b[31mred")
    assert "\x1b" not in printed(make(train=[row]))


LEAKY = {
    "train": [example(f"t{n}", context=f"the book of number {n * 7919} " * 3) for n in range(20)],
    "test": [example(f"e{n}", context=f"a film of colour {n * 104729} " * 3) for n in range(10)],
}
LEAKY["test"][0] = LEAKY["train"][3] | {"id": "e0"}
LEAKY["test"][1] = LEAKY["train"][4] | {"id": "e1", "question": "Who wrote t4, please?"}


def test_what_test_has_of_train_is_loud_and_listed_with_its_ids(make):
    inspection = seen(make(**LEAKY))
    (leak,) = inspection.leaks
    assert leak.startswith("LEAK: examples of test that stand in train too: 2 of 10 (1 exactly, 1 nearly)")
    assert "take them out of train" in leak
    listed = [tuple(row.values())[1:4] for row in cells(inspection, "What stands twice", 1)]
    assert listed == [("e0", "t3", "exactly"), ("e1", "t4", "nearly")]


def test_strict_makes_a_leak_an_error_after_the_report(make, capsys, tmp_path):
    inspect(make(**LEAKY), output=str(tmp_path / "page.html"))
    with pytest.raises(DataError, match="LEAK: examples of test") as error:
        inspect(make(**LEAKY), strict=True)
    assert error.value.exit_code == 3
    assert "WHAT STANDS TWICE" in capsys.readouterr().out
    inspect(make(train=LEAKY["train"]), strict=True)


def test_exemplars_that_are_test_examples_are_reported_and_stop_nothing(make):
    train, test = LEAKY["train"], LEAKY["test"][2:]
    exemplars = ({**test[0], "rationale": "So."}, {**train[1], "rationale": "So."})
    prompt = Prompt("{context} {question}", exemplars=exemplars)
    inspection = seen(make(train=train, test=test, prompt=prompt, holdout=4))
    (leak,) = inspection.leaks
    assert "stand in exemplars too: 1 of 8" in leak and "out of the prompt" in leak
    counts = {row["between"]: row["exactly"] for row in cells(inspection, "What stands twice")}
    assert (counts["exemplars and train"], counts["exemplars and test"]) == ("1", "1")
    assert [row["n"] for row in cells(inspection, "Examples")] == ["15", "4", "8"]


def test_the_same_input_with_other_answers_is_a_contradiction(make):
    same = [example("a"), example("a") | {"id": "b", "answer": "nobody"}, example("a") | {"id": "c"}]
    mild = [example("d"), example("d") | {"id": "e", "answer": ["Who?", "chinua  achebe."]}]
    inspection = seen(make(train=same + mild))
    counts = cells(inspection, "What stands twice")[0]
    assert (counts["repeated"], counts["with other answers"]) == ("2", "1")
    assert any(
        "Inputs of train that have different answers there: 1, such as a, b" in w for w in inspection.warnings
    )


def test_an_id_of_two_splits_is_said_where_rationales_go_by_ids(make):
    rows = {"train": [example("x")], "test": [example("x", question="what else?", context="of that")]}
    assert any(
        "Ids of test that are other" in note
        for note in section(seen(make({"x": "so"}, **rows)), "What stands twice").notes
    )
    assert len(section(seen(make(**rows)), "What stands twice").notes) == 1


def test_lengths_are_counted_before_cutting_and_each_bar_is_within_or_beyond_the_limit(make):
    rows = [example(str(n), context="it was " * n) for n in (1, 5, 40, 60)]
    task = make(train=rows, inputs_length=100)
    inspection = seen(task)
    row = cells(inspection, "Lengths")[0]
    tokens = task.tokens()
    lengths = sorted(len(tokens.encode(task_text(one))) + 1 for one in rows)
    assert [row["least"], row["most"], row["longer"]] == [str(lengths[0]), str(lengths[-1]), "2"]
    chart = section(inspection, "Lengths").charts[0]
    edge = -(-chart.limit // chart.step)
    assert sum(chart.counts["train"][:edge]) == 2 and sum(chart.counts["train"][edge:]) == 2
    cut = cells(inspection, "Lengths", 1)[0]
    assert cut["cut"] == "2 of 4" and float(cut["% of it, most"]) > float(cut["% of it, mean"]) > 0


def test_percentiles_are_values_that_are_there():
    assert [percentile([5, 1, 3, 2, 4], share) for share in (0, 50, 90, 100)] == [1, 3, 5, 5]


def test_few_answers_are_counted_as_labels_and_many_as_spans(make):
    few = [example(str(n), answer="yes" if n % 3 else "no") for n in range(9)]
    balance = cells(seen(make(train=few)), "Answers")
    assert [(row["answer"], row["n"], row["%"]) for row in balance] == [
        ("yes", "6", "66.7"),
        ("no", "3", "33.3"),
    ]
    many = [example(str(n), answer=f"in {n}", context=f"it was in {n}" if n < 15 else "") for n in range(30)]
    row = cells(seen(make(train=many)), "Answers")[0]
    assert (row["distinct"], row["% in context"]) == ("30", "50.0")


def test_coverage_counts_rationales_those_that_hold_the_answer_and_those_from_the_label(make, tmp_path):
    rows = [example(id, language) for id, language in (("a", "hau"), ("b", "hau"), ("c", "zul"))]
    marks = [
        {"id": "a", "rationale": "It was Chinua Achebe."},
        {"id": "c", "rationale": "It was another.", "given_label": True},
        {"id": "z", "rationale": "Of nobody."},
    ]
    place = write_jsonl(tmp_path / "marked.jsonl", marks)
    inspection = seen(make(train=rows, rationales=place, languages=("hau", "zul")), "fiat")
    hau, zul, _ = cells(inspection, "Rationales")
    assert list(hau.values())[1:] == ["hau", "2", "1", "1", "100.0", "0"]
    assert list(zul.values())[1:] == ["zul", "1", "1", "0", "0.0", "1"]
    warnings = " ".join(inspection.warnings)
    assert "Examples of train without a rationale, which would stop a run: 1, such as b" in warnings
    assert "Rationales written from the label: 1" in warnings
    assert any("1 more are of no example" in note for note in section(inspection, "Rationales").notes)


def test_before_annotation_the_absent_file_is_named_and_the_instruction_is_read(make, tmp_path):
    inspection = seen(make(train=[example("a")], rationales=str(tmp_path / "none.sqlite")))
    assert inspection.title.startswith("books.instruction")
    assert any("none.sqlite is not there yet; `fiat annotate`" in warning for warning in inspection.warnings)


def test_rows_that_do_not_fit_are_named_and_the_rest_is_shown(make, tmp_path):
    rows = [example("a"), example("b", question="who " * 200), example("c", answer="very " * 100)]
    inspection = seen(make(train=rows, inputs_length=120))
    (warning,) = [one for one in inspection.warnings if "do not fit" in one]
    assert "of train that do not fit and would stop a run: 2, such as b: its input: expected" in warning
    assert "does not fit: its input" in terminal.text(inspection, 100, False)
    write_html(tmp_path / "page.html", inspection)
    assert "<p>does not fit: its input" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_letters_that_are_lost_are_counted_by_field_and_language_with_words(make):
    rows = [
        example("i", "ibo", question="Ked\u1ee5 mgbe am\u1ee5r\u1ee5?", context="a\tb\nc {d}"),
        example("d", "ibo", question="Kedu\u0323"),
        example("t", "twi", question="\u0190he na \u0254fi" + " \u0254" * 9),
    ]
    inspection = seen(make(train=rows, languages=("ibo", "twi")))
    found = {
        (row["field"], row["language"]): row for row in cells(inspection, "What the vocabulary cannot write")
    }
    assert found["question", "ibo"]["lost"].startswith("\u1ee5 (4)")
    assert "Ked\u1ee5" in found["question", "ibo"]["in words such as"]
    assert "\u0254 (10)" in found["question", "twi"]["lost"]
    lost = found["context", "ibo"]["lost"]
    assert all(one in lost for one in ("line break (1)", "tab (1)", "{ (1)", "} (1)"))
    assert ("answer", "ibo") not in found
    assert any("in twi are unknown to the vocabulary; models/mt5.gin" in w for w in inspection.warnings)


def test_bytes_lose_nothing(make):
    inspection = seen(
        make(train=[example("a", question="\u1ee5\n\u0254")], vocabulary="byte", inputs_length=900)
    )
    assert "What the vocabulary cannot write" not in {one.title for one in inspection.sections}
    assert "\u1ee5" in "".join(token.text for token in inspection.examples[0].input if token.kind == "kept")


class Reader(HTMLParser):
    """Finds tags that are not closed, and what a page refers to."""

    VOID = ("meta", "br", "path", "rect", "circle", "polyline")

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.wrong, self.text = [], [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.wrong += [name for name, _ in attrs if name in ("src", "href", "onclick")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_is_well_formed_and_shows_rows_as_text(make, tmp_path, capsys):
    bad = "<script>alert(1)</script>\u0254"
    rows = [
        example(f"{n}<b>", question=f"{bad} {n}", answer=bad, context="It was so. " * 60) for n in range(3)
    ]
    page = tmp_path / "pages" / "inspect.html"
    inspect(make(train=rows, test=rows[:1], inputs_length=150), output=str(page))
    text = page.read_text(encoding="utf-8")
    found = Reader(text)
    assert not found.open and not found.wrong
    assert {"script", "link", "img", "b<"} & set(found.tags) == set()
    assert "url(" not in text and "alert(1)" in found.text
    assert {"mark", "del", "ins", "svg", "table"} <= set(found.tags)
    assert "width=device-width" in text and "prefers-color-scheme: dark" in text and "@media print" in text
    assert text.count('<div class="scroll"><table>') == text.count("<table>")
    assert 'class="leak">LEAK: examples of test' in text
    assert capsys.readouterr().out.endswith(f"{page}\n")


def test_a_huge_row_makes_no_huge_page(make, tmp_path, capsys):
    row = example("a", context="Things fall apart. " * 10_000, answer="the book " * 9)
    page = tmp_path / "inspect.html"
    inspect(make(train=[row]), output=str(page))
    assert page.stat().st_size < 40_000
    assert "characters more" in page.read_text(encoding="utf-8")
    out = capsys.readouterr().out
    assert "characters more" in out and len(out) < 12_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splits": ("dev",)}, r"inspect\.splits: expected some of train, found 'dev'"),
        ({"variant": "fiat"}, r"inspect\.variant: expected one of plain, instruction, found 'fiat'"),
        ({"ids": ("z",)}, r"inspect\.ids: .* none of z"),
        ({"alike": 1.5}, r"inspect\.alike: .* found 1\.5"),
        ({"width": 20}, r"a width of 60 or more, found 3 and 20"),
    ],
)
def test_what_cannot_be_shown_is_refused(make, settings, message):
    with pytest.raises(ConfigError, match=message):
        inspect(make(train=[example("a")]), **settings)


def test_the_examples_shown_are_the_first_and_the_extreme_ones_or_those_asked_for(make):
    rows = [example(str(n)) for n in range(5)]
    rows[2]["context"], rows[3]["question"] = "it was so " * 90, "\u0254 \u0254 \u0254"
    task = make(train=rows)
    assert [one.read.id for one in seen(task).examples] == ["0", "2", "3"]
    assert [one.read.id for one in seen(task, count=5).examples] == ["0", "2", "3", "1", "4"]
    assert [one.read.id for one in seen(task, ids=("4",)).examples] == ["4"]
    assert not seen(task, count=0).examples


def test_tables_fit_the_width_with_long_ids_and_wide_letters(make):
    ids = ["\u753b\u5bb6" * 30, "x" * 90]
    rows = [example(id, question="\u753b\u5bb6\u306e\u85e4\u91ce " * 9, answer="\u753b" * 40) for id in ids]
    out = printed(make(train=rows, test=[rows[0]], targets_length=99), count=2)
    assert max(map(columns, out.splitlines())) <= 100


def test_it_loads_neither_jax_nor_tensorflow(make, tmp_path):
    make(train=[example("a")])
    gin = tmp_path / "t.gin"
    gin.write_text(
        f"Task.name = 'books'\nTask.source = @Jsonl()\nTask.vocabulary = 'byte'\n"
        f"Jsonl.train = '{tmp_path / 'train.jsonl'}'\n"
    )
    code = "import sys; from fiat_jax.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", code, "inspect", "--gin_file", str(gin)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded = set(out.splitlines()[-1].split())
    assert "fiat_jax.study.inspection.near" in loaded and not {"jax", "tensorflow", "seqio", "flax"} & loaded


@pytest.mark.slow
def test_ten_thousand_rows_and_ten_thousand_more_take_less_than_a_minute(make):
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghilmnorstu", k=draw.randint(2, 9))) for _ in range(5000)]

    def rows(split):
        return [
            example(
                f"{split}-{n}",
                question=" ".join(draw.choices(words, k=9)),
                context=" ".join(draw.choices(words, k=150)),
            )
            for n in range(10_000)
        ]

    task = make(train=rows("train"), test=rows("test"), vocabulary="byte", inputs_length=4096)
    start = time.process_time()
    assert not seen(task).leaks
    assert time.process_time() - start < 60
