"""`fiat init`: what it makes of rows as people have them."""

import json
from pathlib import Path

import pytest
from rows import as_csv, as_jsonl, sale

from fiat_jax.config import parse
from fiat_jax.data.rendering import render


def read(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def task(init, monkeypatch, tmp_path):
    """The task that `fiat init` makes of rows, with bytes for a vocabulary, and what it says."""

    def make(rows, *words, name="rows.jsonl"):
        code, said = init(as_csv(rows) if name.endswith("csv") else as_jsonl(rows), *words, name=name)
        assert code == 0, said
        monkeypatch.chdir(tmp_path / "mine")
        bindings = ["train.run_dir='run'", "Task.vocabulary='byte'"]
        return parse("train", ["mine.gin"], bindings).arguments["experiment"].task, said

    return make


def test_a_table_becomes_a_task_that_renders(task):
    made, said = task([sale(n) for n in range(60)], name="rows.csv")
    assert "guess: extractive: 100% of the answers stand in 'context'; another kind: --kind" in said
    assert "train.jsonl (48 rows), test.jsonl (12 rows), mine.gin" in said
    assert made.splits() == ("train", "validation", "test")
    assert made.template.input == "question: {question} context: {context}"
    first, *others = render(made, "instruction", "train")
    assert first.input.startswith("Answer with a short span of the context. question: What does")
    assert (len(others), made.holdout) == (39, 8)


def test_the_same_rows_in_another_order_are_split_alike(init):
    rows = [sale(n) for n in range(40)]
    for output, some in (("one", rows), ("other", rows[::-1])):
        assert init(as_jsonl(some), f"--output={output}", name="rows.jsonl")[0] == 0
    one, other = ({row["id"] for row in read(f"{name}/test.jsonl")} for name in ("one", "other"))
    assert len(one) == 8 and one == other


@pytest.mark.parametrize(
    ("row", "kind", "instruction", "metrics"),
    [
        (sale, "extractive", "Answer with a short span of the context.", ("squad",)),
        (
            lambda n: {"text": f"It was {n} times as good.", "label": ("bad", "good")[n % 2]},
            "classification",
            "Answer with one of: bad, good.",
            ("accuracy", "macro_f1"),
        ),
        (
            lambda n: {"question": f"{n} and {n} pears?", "answer": f"{2000 * n:,}"},
            "numeric",
            "Answer with a number alone.",
            ("numeric",),
        ),
        (
            lambda n: {"document": f"Long text {n}. " * 9, "summary": f"It is about {n}."},
            "generation",
            "Write the summary.",
            ("squad",),
        ),
    ],
)
def test_the_kind_of_task_is_seen_in_the_answers(task, row, kind, instruction, metrics):
    made, said = task([row(n) for n in range(30)])
    assert f"guess: {kind}: " in said
    assert (made.template.instruction, made.metrics) == (instruction, metrics)
    assert len(list(render(made, "instruction", "test"))) == 6


def test_languages_are_found_and_each_is_in_train_and_test(task):
    rows = [sale(n) | {"lang": ("pt-BR", "sw", "sw")[n % 3]} for n in range(60)]
    made, said = task([*rows, sale(99) | {"lang": "zu"}])
    assert made.languages == ("pt_BR", "sw")
    assert "the language is in 'lang' (sw 40, pt-BR 20, zu 1)" in said and "zu not used" in said
    assert [len(list(made.rows("test", (one,)))) for one in made.languages] == [4, 8]
    assert made.template.instruction.endswith("The input may be in several languages.")


def test_letters_that_flan_t5_cannot_write_ask_for_mt5(init):
    code, said = init(as_csv([sale(n) | {"question": f"কে লিখেছেন {n}? " * 9} for n in range(30)]))
    assert code == 0 and "the model is mT5-small, since" in said
    assert "include 'models/mt5.gin'" in Path("mine/mine.gin").read_text()


def test_guesses_can_be_overruled(task):
    rows = [{"key": n, "a": f"x {n}", "b": f"y {n}", "c": "z"} for n in range(20)]
    given = ["--answer_field=a", "--input_fields=c, b", "--id_field=key", "--kind=generation"]
    made, said = task(rows, *given, "--model=google/t5-small")
    assert (made.answer_field, made.template.input, made.id_field) == ("a", "c: {c} b: {b}", "key")
    assert "guess: the answer" not in said and "guess: the model" not in said
    assert "Base.path = 'google/t5-small'" in Path("mine.gin").read_text()


def test_an_answer_that_is_judged_is_part_of_the_input(task):
    rows = [sale(n) | {"right": ("yes", "no")[n % 2]} for n in range(20)]
    made, said = task(rows, "--answer_field=right", "--input_fields=question,answer")
    assert "fields renamed: answer -> given_answer" in said
    assert made.template.input == "question: {question} given answer: {given_answer}"
    assert len(list(render(made, "plain", "train"))) == 14


def test_ids_numbers_constants_repeats_of_the_answer_and_rationales_are_not_read(task):
    rows = [
        {
            "": n,
            "shop": "Ada's",
            "thing": f"kite {n}",
            "again": f"a {n}",
            "explanation": "so",
            "answer": f"a {n}",
        }
        for n in range(20)
    ]
    made, said = task(rows, name="rows.csv")
    assert made.template.input == "thing: {thing}"
    assert "the model reads thing, and not column_1, shop, again, explanation; others" in said


def test_a_classification_is_ranked_by_its_labels(task):
    rows = [{"text": f"It was {n} times as good.", "label": ("bad", "good")[n % 2]} for n in range(30)]
    task(rows)
    words = ["eval.run_dir='run'", "Task.vocabulary='byte'"]
    assert parse("eval", ["mine.gin"], words).arguments["rank"].labels == ("bad", "good")


def test_a_file_a_split_stays_as_it_is_split(init):
    Path("rows-test.csv").write_text(as_csv([sale(n) for n in range(90, 95)]))
    code, said = init(as_csv([sale(n) for n in range(30)]), "--data=rows-test.csv", name="rows-train.csv")
    assert code == 0 and "train.jsonl (30 rows), test.jsonl (5 rows)" in said
    code, said = init(as_csv([sale(1)]), "--data=rows-test.csv", name="more.csv")
    assert code == 2 and "train, validation or test in their names, found more.csv, rows-test.csv" in said


def test_nested_fields_odd_names_and_several_answers_are_made_plain(task):
    rows = [
        {
            "Frage (de)": f"Wer {n}?",
            "p": {"text": f"Ada {n} war es."},
            "answers": {"text": [f"Ada {n}", "Ada"]},
        }
        for n in range(20)
    ]
    made, said = task(rows)
    assert "Frage (de) -> Frage_de, p.text -> p_text, answers.text -> answers_text" in said
    assert made.template.input == "frage de: {Frage_de} p text: {p_text}"
    assert all(len(row["answers_text"]) == 2 for row in made.rows("train"))


def test_ids_that_stand_twice_get_new_ones_and_rows_that_do_are_left_out(task):
    rows = [sale(n) | {"id": min(n, 18)} for n in range(20)]
    made, said = task([*rows, rows[3]])
    assert "id: 1 ids were missing or stood twice" in said
    assert "train: 1 rows left out that stand twice" in said
    ids = [row["id"] for split in made.splits() for row in made.rows(split)]
    assert len(ids) == 20 and "18-2" in ids


def test_what_is_in_test_is_left_out_of_train(init):
    Path("test.jsonl").write_text(as_jsonl([sale(n) for n in range(5)]))
    code, said = init(as_jsonl([sale(n) for n in range(3, 30)]), "--data=test.jsonl", name="train.jsonl")
    assert code == 0 and "train: 2 rows left out that stand twice" in said
    assert len(read("mine/test.jsonl")) == 5 and len(read("mine/train.jsonl")) == 25


def test_questions_on_one_passage_stay_on_one_side(init):
    rows = [sale(n) | {"context": f"Passage {n // 4}: " + sale(n // 4)["context"]} for n in range(80)]
    assert init(as_jsonl(rows), name="rows.jsonl")[0] == 0
    sides = [{row["context"] for row in read(f"mine/{name}.jsonl")} for name in ("train", "test")]
    assert not sides[0] & sides[1] and len(sides[1]) == 4


def test_nothing_is_written_over(init):
    assert init(as_csv([sale(n) for n in range(30)]))[0] == 0
    code, said = init(as_csv([sale(n) for n in range(30)]))
    assert code == 2 and "expected a folder without train.jsonl, found one in mine" in said
