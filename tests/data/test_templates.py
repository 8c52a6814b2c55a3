import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat_jax.data.templates import VARIANTS, Filling, Template, check_target
from fiat_jax.data.vocabularies import ByteTokens, load_tokens
from fiat_jax.errors import ConfigError, DataError

FIELDS = {"question": "who?", "title": "Apart", "context": "It was written by Chinua Achebe."}
TEMPLATE = Template(instruction="Answer.")
BYTES = ByteTokens()


def filling(rationale="", id="q7", language="", **fields):
    return Filling(id, language, FIELDS | fields, rationale)


def size(text):
    return len(BYTES.encode(text)) + 1


def fit(template, reading, filled, length):
    return template.fit(reading, filled, BYTES, length, filled.id)


def test_the_variants_differ_by_instruction_and_rationale():
    plain, instruction, fiat, distillation = (
        TEMPLATE.compose(variant, filling(" He \n wrote\tit. ")) for variant in VARIANTS
    )
    assert plain == "question: who? title: Apart context: It was written by Chinua Achebe."
    assert instruction == "Answer. " + plain
    assert fiat == "Answer. reasoning: He wrote it. " + plain
    assert distillation == instruction
    assert TEMPLATE.compose("explanation", filling()) == f"{TEMPLATE.explanation} {plain}"


def test_a_rationale_may_follow_the_input():
    template = Template(instruction="", rationale="{input} because {rationale}")
    assert template.compose("fiat", filling("so")).endswith("Achebe. because so")


def test_values_are_never_read_as_templates():
    asked = filling("{input} {question}", question="{context} {rationale} {0.__class__}")
    assert TEMPLATE.compose("fiat", asked).startswith(
        "Answer. reasoning: {input} {question} question: {context} {rationale} {0.__class__} title"
    )


words = st.lists(st.text("abcé", min_size=1, max_size=9), max_size=40).map(" ".join)


@given(words, words, st.integers(60, 300), st.sampled_from(VARIANTS))
def test_only_whole_words_at_the_end_of_the_passage_are_cut_and_no_more_than_needed(
    passage, rationale, length, variant
):
    asked = filling(rationale, context=passage)
    bare = TEMPLATE.compose(variant, asked.replaced("context", ""))
    whole = TEMPLATE.compose(variant, asked)
    if size(bare) > length:
        with pytest.raises(
            DataError, match=r"^q7: expected the input without what may be cut \(context\) to fit"
        ):
            fit(TEMPLATE, variant, asked, length)
        return
    fitted = fit(TEMPLATE, variant, asked, length)
    text = fitted.text
    assert size(text) <= length
    assert fitted.whole == whole
    assert bool(fitted.cut) == (size(whole) > length)
    if fitted.cut:
        assert text.startswith(bare)
        kept = text[len(bare) :].split()
        assert kept == passage.split()[: len(kept)]
        one_more = " ".join(passage.split()[: len(kept) + 1])
        assert size(bare + one_more) > length
        lost, of = fitted.lost["context"]
        assert (text + lost, of) == (whole, len(passage))
        assert fitted.cut == {"context": pytest.approx(len(lost) / len(passage), abs=1e-4)}
    else:
        assert text == whole


@given(st.integers(110, 140))
def test_a_fitted_input_fits_a_real_kind_of_vocabulary(vocabulary, length):
    tokens = load_tokens(vocabulary)
    asked = filling("The passage names him.", context="It was written by Chinua Achebe in 1958. " * 20)
    fitted = Template().fit("fiat", asked, tokens, length, "x")
    assert fitted.cut.keys() == {"context"}
    assert "reasoning: The passage names him. question: who?" in fitted.text
    assert length - 8 <= len(tokens.encode(fitted.text)) + 1 <= length


@given(words, words, st.integers(30, 400), st.sampled_from([None, 1, 20]))
def test_whatever_is_cut_fits_and_instruction_and_question_are_whole(
    vocabulary, passage, rationale, length, most
):
    tokens = load_tokens(vocabulary)
    template = Template(cut=("title", "rationale", "context"), rationale_tokens=most)
    asked = filling(rationale, context=passage, question="who wrote the book?")
    try:
        text = template.fit("fiat", asked, tokens, length, "x").text
    except DataError:
        bare = template.compose("fiat", Filling("x", "", dict(asked.fields, title="", context="")))
        assert len(tokens.encode(bare)) + 1 > length
        return
    assert len(tokens.encode(text)) + 1 <= length
    assert text.startswith(template.instruction) and "question: who wrote the book? title:" in text


SEVERAL = Template(
    input="question: {question} notes: {notes} context: {context}",
    instruction="Answer.",
    cut=("notes", "rationale", "context"),
)


@given(words, words, words, st.integers(60, 400), st.integers(0, 100))
def test_fields_are_cut_in_their_order_the_next_when_the_last_is_gone_and_less_room_never_leaves_more(
    notes, rationale, context, length, less
):
    asked = filling(rationale, notes=notes, context=context)
    fitted = fit(SEVERAL, "fiat", asked, length)
    assert size(fitted.text) <= length
    assert fitted.text.startswith("Answer. ") and " question: who? notes: " in " " + fitted.text
    shares = [fitted.cut.get(name, 0.0) for name in SEVERAL.cut]
    texts = [asked.part(name) for name in SEVERAL.cut]
    for share, text, later in zip(shares, texts, shares[1:], strict=False):
        assert share == 1 or not text or not later
    try:
        smaller = fit(SEVERAL, "fiat", asked, length - less)
    except DataError:
        return
    assert all(smaller.cut.get(name, 0.0) >= share for name, share in zip(SEVERAL.cut, shares, strict=True))
    assert set(smaller.text.split()) <= set(fitted.text.split())


def test_what_is_not_read_is_not_cut():
    asked = filling("A rationale of some length.", notes="Some notes.")
    fitted = fit(SEVERAL, "instruction", asked, 60)
    assert fitted.text.startswith("Answer. question: who? notes:  context: It was")
    assert fitted.cut.keys() == {"notes", "context"}


REASONED = "Mr. A wrote it (in 1958). He was born in Ogidi! So the answer is: Achebe"


@pytest.mark.parametrize(
    ("most", "kept"),
    [
        (len(REASONED), REASONED),
        (len(REASONED) - 1, "Mr. A wrote it (in 1958). He was born in Ogidi!"),
        (30, "Mr. A wrote it (in 1958)."),
        (24, "Mr."),
        (2, ""),
    ],
)
def test_a_rationale_over_its_budget_ends_after_a_sentence_whatever_room_there_is(most, kept):
    template = Template(instruction="Answer.", rationale_tokens=most)
    fitted = fit(template, "fiat", filling(REASONED), 500)
    assert fitted.text == template.compose("fiat", filling(kept))
    assert fitted.whole == template.compose("fiat", filling(REASONED))
    gone = len(REASONED) - len(kept)
    assert fitted.cut == ({"rationale": round(gone / len(REASONED), 4)} if gone else {})
    assert not fit(template, "instruction", filling(REASONED), 500).cut


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("one two three. four five", "one two three."),
        ("one two three four five six", "one two three four"),
        ("東京です。大阪です。京都です。奈良", "東京です。"),
        ("वह गया। वह आया। वह", "वह गया।"),
        ("ሰላም ነው። ደህና", "ሰላም ነው።"),
    ],
)
def test_sentences_end_in_other_scripts_too_and_without_one_words_do(text, kept):
    template = Template(rationale_tokens=20)
    assert fit(template, "fiat", filling(text), 900).lost["rationale"].text == text[len(kept) :]


def test_a_rationale_may_be_within_its_budget_and_be_cut_for_the_passage():
    template = Template(instruction="", rationale_tokens=50, cut=("rationale", "context"))
    fitted = fit(template, "fiat", filling(REASONED), size(template.compose("fiat", filling())) + 40)
    assert fitted.text == template.compose("fiat", filling("Mr. A wrote it (in 1958)."))
    assert fitted.lost["rationale"].text == " He was born in Ogidi! So the answer is: Achebe"


@pytest.mark.parametrize(
    ("text", "room", "kept"),
    [
        ("東京は日本の首都です", 14, "東京は日"),
        ("か\u3099か\u3099", 11, "か\u3099"),  # a mark stays with its letter
        ("ที่นี่", 12, "ที่"),
        ("ခန္ဓာ", 6, "ခ"),  # a letter under another with it
        ("\U00020000\U00020001", 7, "\U00020000"),
    ],
)
def test_a_script_without_spaces_is_cut_between_letters(text, room, kept):
    asked = filling(context=text)
    bare = TEMPLATE.compose("plain", filling(context=""))
    assert fit(TEMPLATE, "plain", asked, size(bare) + room).text == bare + kept


def test_what_must_not_be_cut_is_an_error_that_tells_the_lengths():
    with pytest.raises(
        DataError, match=r"q7: .* 40 tokens, found \d+, of which instruction 7 and rationale 30; raise"
    ):
        fit(TEMPLATE, "fiat", filling("r" * 30), 40)
    with pytest.raises(DataError, match=r"cut \(nothing\)"):
        fit(Template(cut=""), "plain", filling(), 40)
    with pytest.raises(DataError, match=r"cut \(rationale and context\) .* rationale 0; raise"):
        fit(Template(cut=("rationale", "context")), "fiat", filling("r" * 30), 40)


def test_a_target_is_never_cut():
    check_target("abc", BYTES, 4, "q7")
    with pytest.raises(DataError, match="q7: expected a target of at most 3 tokens, found 4 in 'abc'"):
        check_target("abc", BYTES, 3, "q7")


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"input": "question: {question}\ncontext: {context}"}, "input.*ncontext:"),
        ({"input": "question: {question}  \t {context}"}, "input"),
        ({"instruction": "Answer with {braces}."}, "instruction"),
        ({"instructions": {"": ("Answer the question.", "Answer\nit.")}}, "instructions"),
        ({"rationale": "<<{rationale}>> {input}"}, "rationale"),
        ({"target": "ọ{answer}"}, "target"),
        ({"verbaliser": {"yes": "ẹ̀ẹ́"}}, "verbaliser"),
        ({"no_answer": "{}"}, "no_answer"),
    ],
)
def test_words_that_the_vocabulary_would_change_are_refused(vocabulary, changed, found):
    tokens = load_tokens(vocabulary)
    Template().check(tokens)
    with pytest.raises(ConfigError, match=rf"Template\.{found}"):
        Template(**changed).check(tokens)


def test_bytes_take_any_words():
    Template(input="{question}\n\n{context}", instruction="{ọ}").check(BYTES)


def test_the_real_vocabulary_takes_the_defaults_and_refuses_line_breaks(real_t5):
    tokens = load_tokens(str(real_t5))
    Template().check(tokens)
    with pytest.raises(ConfigError, match="comes back as"):
        Template(instruction="Answer.\n").check(tokens)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"rationale": "because {rationale}"}, "over {input} and {rationale}"),
        ({"rationale_tokens": 0}, "Template.rationale_tokens: expected 1 or more"),
        ({"cut": "passage"}, "Template.cut: .*found 'passage'"),
        ({"cut": ("context", "passage")}, "Template.cut: .*found 'passage'"),
        ({"cut": ("context", "context")}, "Template.cut: expected each field once"),
        ({"cut": "rationale", "input": "{rationale} {question}"}, "Template.cut: .*call the field otherwise"),
        ({"input": "{question} {context!r}"}, "stray"),
        ({"target": "{answer"}, "stray"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_when_it_is_made(changed, found):
    with pytest.raises(ConfigError, match=found):
        Template(**changed)
