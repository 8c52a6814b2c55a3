"""`fiat quality` and `fiat refine` on a small task."""

import json
from html.parser import HTMLParser

import pytest
from fake_openai import FakeOpenAI, Reply, completion
from rows import example, write_jsonl

from fiat_jax.cli.quality import quality
from fiat_jax.cli.refine import refine
from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template
from fiat_jax.errors import ConfigError
from fiat_jax.reasoning import Completion, OpenAI, Prompt, Store, open_rationales
from fiat_jax.reasoning.quality import Judged, Written
from fiat_jax.reasoning.shortening import Shorten
from fiat_jax.reasoning.voting import Vote
from fiat_jax.study.refining import KeepRight

GOOD = "The passage says so. The answer is: Chinua Achebe"
THOUGHTS = {
    "hau-0": GOOD,
    "hau-1": "<b>Hm</b>. The answer is: Wole Soyinka",
    "hau-2": "I cannot tell",
    "zul-0": "**The answer is** Chinua Achebe.",
    "zul-1": "It was then. The answer is: 1958",
    "test-0": GOOD,
    "test-1": "The answer is: nobody",
}


@pytest.fixture
def task(tmp_path):
    train = [example(id, id[:3]) for id in THOUGHTS if id[:4] != "test"]
    train.append(example("zul-2", "zul"))
    test = [example("test-0", "hau", answer="SECRET"), example("test-1", "zul", answer="SECRET")]
    return Task(
        name="tiny",
        source=Jsonl(
            train=write_jsonl(tmp_path / "train.jsonl", train),
            test=write_jsonl(tmp_path / "test.jsonl", test),
        ),
        template=Template(),
        vocabulary="byte",
        languages=("hau", "zul"),
        rationales=write_jsonl(
            tmp_path / "r.jsonl", [{"id": id, "rationale": text} for id, text in THOUGHTS.items()]
        ),
    )


def columns(line):
    return dict(
        zip(["name", "n", "empty", "answer", "repaired", "in", "f1", "em"], line.split(), strict=False)
    )


def test_the_report_says_by_split_and_language_what_rationales_are_worth(task, tmp_path, capsys):
    quality(task, output=str(tmp_path / "report"))
    out = capsys.readouterr().out
    hau, zul, both = (columns(line) for line in out.splitlines()[2:5])
    assert hau == dict(
        name="hau", n="3", empty="0", answer="66.7", repaired="0.0", **{"in": "50.0"}, f1="33.3", em="33.3"
    )
    assert zul == dict(
        name="zul", n="3", empty="1", answer="100.0", repaired="50.0", **{"in": "100.0"}, f1="50.0", em="50.0"
    )
    assert (both["name"], both["n"], both["empty"], both["answer"]) == ("all", "6", "1", "80.0")
    assert "train, no answer\n    hau-2: I cannot tell  [expected: Chinua Achebe]" in out
    assert "train, answer is not in the passage\n    hau-1" in out

    said = json.loads((tmp_path / "report" / "quality.json").read_text(encoding="utf-8"))
    assert said["splits"]["train"]["hau"]["answered"] == 2
    assert said["splits"]["train"]["all"]["scores"]["em"] == 40.0
    assert said["samples"]["train"]["no rationale"][0]["id"] == "zul-2"


def test_labels_of_other_splits_than_train_are_nowhere(task, tmp_path, capsys):
    quality(task, output=str(tmp_path / "report"))
    pages = [
        (tmp_path / "report" / name).read_text(encoding="utf-8") for name in ("quality.json", "quality.html")
    ]
    assert "SECRET" not in capsys.readouterr().out + "".join(pages)
    assert json.loads(pages[0])["splits"]["test"]["all"]["scores"] == {}


def test_the_page_stands_alone_and_shows_what_models_wrote_as_text(task, tmp_path):
    quality(task, output=str(tmp_path / "report"))
    page = (tmp_path / "report" / "quality.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;Hm&lt;/b&gt;" in page and "<b>Hm" not in page
    assert not any(word in page for word in ("http", "<script", "<link", "<img"))
    tags = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

    Reader().feed(page)
    assert tags.count("h2") == 2 and tags.count("table") > 4


def test_rationales_that_were_cut_are_counted_where_the_store_knows(task, tmp_path, capsys):
    with Store(tmp_path / "s.sqlite") as store:
        turn = store.begin({"prompt": "p"}, "m")
        for number, (id, text) in enumerate(THOUGHTS.items()):
            reason = "length" if number < 2 else "stop"
            store.keep(turn, id, f"k{number}", Completion(text, finish_reason=reason))
    quality(task, str(tmp_path / "s.sqlite"), splits=("train",), samples=0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[1:5]] == ["cut", "2", "0", "2"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splits": ("dev",)}, r"quality\.splits: expected some of train, test, found 'dev'"),
        ({"passage": "text"}, r"'hau-0': expected the passage in a field 'text'"),
    ],
)
def test_what_cannot_be_reported_is_refused(task, settings, message):
    with pytest.raises(Exception, match=message):
        quality(task, **settings)


def test_without_a_passage_nothing_is_said_of_it(task, capsys):
    quality(task, passage="", splits=("test",), samples=0)
    assert columns(capsys.readouterr().out.splitlines()[-1])["in"] == "-"


def test_only_what_is_right_is_kept_in_train_and_all_of_the_rest(task, tmp_path, capsys):
    output = str(tmp_path / "right.jsonl")
    refine(task, output, keep=KeepRight())
    assert set(open_rationales(output)) == {"hau-0", "zul-0", "test-0", "test-1"}
    out = capsys.readouterr().out
    assert "keep: 3 training examples lose a rationale that is not right" in out
    assert f"{output}: rationales of 4 of 8 examples" in out
    with pytest.raises(ConfigError, match=r"KeepRight\.score: expected one of .*, f1, em, found 'bleu'"):
        refine(task, output, keep=KeepRight(score="bleu"))
    with pytest.raises(ConfigError, match=r"refine\.keep: expected 'train' among the splits"):
        refine(task, output, splits=("test",), keep=KeepRight())


def test_without_exact_match_the_first_score_says_what_is_right():
    def judged(**scores):
        return Judged(Written("x", "", GOOD), "Chinua Achebe", False, 9, 0, None, scores)

    assert KeepRight().right(judged(accuracy=100.0, rouge1=0.0))
    assert not KeepRight().right(judged(f1=100.0, em=0.0))
    with pytest.raises(ConfigError, match=r"KeepRight\.score: expected .* which are none, found None"):
        KeepRight().right(judged())


class Yes(FakeOpenAI):
    """Is long at first, and short when asked again."""

    def _reply(self, path, text):
        super()._reply(path, text)
        return Reply(200, completion(GOOD if "too long" in text else f"{'so ' * 30}. {GOOD}"))


def test_a_vote_may_be_shortened_and_filtered_and_no_label_is_asked_about(task, tmp_path, capsys):
    output, prompt = str(tmp_path / "new.jsonl"), Prompt("{context} {question}")
    with Yes() as server:
        refine(
            task,
            output,
            vote=Vote(samples=2),
            shorten=Shorten(tokens=60),
            keep=KeepRight("f1", 50.0),
            client=OpenAI("m", server.url),
            prompt=prompt,
            store=str(tmp_path / "samples.sqlite"),
        )
    assert set(open_rationales(output).values()) == {GOOD} and len(open_rationales(output)) == 8
    assert len(server.bodies) == 8 * 2 + 8
    assert "SECRET" not in json.dumps(server.bodies)
    out = capsys.readouterr().out
    assert "vote: 100.0 % of the samples have the answer that won; 0 examples" in out
    assert "shorten: 8 were longer than 60 tokens, 0 still are" in out
    steps = [line.split(",")[0] for line in out.splitlines() if ", train" in line or ", test" in line]
    assert steps == ["vote", "vote", "shorten", "shorten", "keep", "keep"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expected a step, found none"),
        ({"vote": Vote()}, r"refine\.client: expected one to ask, found none"),
        ({"vote": Vote(), "client": OpenAI("m")}, r"refine\.prompt"),
        ({"splits": ("dev",), "keep": KeepRight()}, r"refine\.splits"),
    ],
)
def test_what_cannot_be_refined_is_refused_before_any_call(task, tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        refine(task, str(tmp_path / "o.jsonl"), **settings)
    store = str(tmp_path / "same.sqlite")
    with pytest.raises(ConfigError, match=r"refine\.store: expected another store"):
        asked = {"client": OpenAI("m"), "prompt": Prompt("{question}"), "store": store}
        refine(task, str(tmp_path / "o.jsonl"), rationales=store, vote=Vote(), **asked)
