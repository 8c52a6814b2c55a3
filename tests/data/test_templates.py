import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat_jax.data.templates import VARIANTS, Template, check_target
from fiat_jax.data.vocabularies import ByteTokens, load_tokens
from fiat_jax.errors import ConfigError, DataError

FIELDS = {"question": "who?", "title": "Apart", "context": "It was written by Chinua Achebe."}
TEMPLATE = Template(instruction="Answer.")
BYTES = ByteTokens()


def test_the_variants_differ_by_instruction_and_rationale():
    plain, instruction, fiat, distillation = (
        TEMPLATE.compose(variant, FIELDS, " He \n wrote\tit. ") for variant in VARIANTS
    )
    assert plain == "question: who? title: Apart context: It was written by Chinua Achebe."
    assert instruction == "Answer. " + plain
    assert fiat == "Answer. reasoning: He wrote it. " + plain
    assert distillation == instruction
    assert TEMPLATE.compose("explanation", FIELDS) == f"{TEMPLATE.explanation} {plain}"


def test_a_rationale_may_follow_the_input():
    template = Template(instruction="", rationale="{input} because {rationale}")
    assert template.compose("fiat", FIELDS, "so").endswith("Achebe. because so")


def test_values_are_never_read_as_templates():
    fields = FIELDS | {"question": "{context} {rationale} {0.__class__}"}
    text = TEMPLATE.compose("fiat", fields, "{input} {question}")
    assert text.startswith(
        "Answer. reasoning: {input} {question} question: {context} {rationale} {0.__class__} title"
    )


words = st.lists(st.text("abcé", min_size=1, max_size=9), max_size=40).map(" ".join)


@given(words, words, st.integers(60, 300), st.sampled_from(VARIANTS))
def test_only_whole_words_at_the_end_of_the_passage_are_cut_and_no_more_than_needed(
    passage, rationale, length, variant
):
    fields = FIELDS | {"context": passage}
    bare = TEMPLATE.compose(variant, fields | {"context": ""}, rationale)
    whole = TEMPLATE.compose(variant, fields, rationale)
    if len(bare.encode()) + 1 > length:
        with pytest.raises(
            DataError, match=r"^x: expected the input without what may be cut \(context\) to fit"
        ):
            TEMPLATE.fit(variant, fields, rationale, BYTES, length, "x")
        return
    text, cut = TEMPLATE.fit(variant, fields, rationale, BYTES, length, "x")
    assert len(BYTES.encode(text)) + 1 <= length
    assert cut == (len(whole.encode()) + 1 > length)
    if cut:
        assert text.startswith(bare)
        kept = text[len(bare) :].split()
        assert kept == passage.split()[: len(kept)]
        one_more = " ".join(passage.split()[: len(kept) + 1])
        assert len((bare + one_more).encode()) + 1 > length
    else:
        assert text == whole


@given(st.integers(110, 140))
def test_a_fitted_input_fits_a_real_kind_of_vocabulary(vocabulary, length):
    tokens = load_tokens(vocabulary)
    fields = FIELDS | {"context": "It was written by Chinua Achebe in 1958. " * 20}
    text, cut = Template().fit("fiat", fields, "The passage names him.", tokens, length, "x")
    assert cut
    assert "reasoning: The passage names him. question: who?" in text
    assert length - 8 <= len(tokens.encode(text)) + 1 <= length


def test_a_script_without_spaces_is_cut_between_characters():
    fields = FIELDS | {"context": "東京は日本の首都です"}
    bare = len(TEMPLATE.compose("plain", fields | {"context": ""}).encode())
    text, _ = TEMPLATE.fit("plain", fields, "", BYTES, bare + 1 + 3 * 4 + 2, "x")
    assert text.endswith("context: 東京は日")


def test_what_must_not_be_cut_is_an_error_that_tells_the_lengths():
    with pytest.raises(
        DataError, match=r"q7: .* 40 tokens, found \d+, of which instruction 7 and rationale 30; raise"
    ):
        TEMPLATE.fit("fiat", FIELDS, "r" * 30, BYTES, 40, "q7")
    with pytest.raises(DataError, match=r"cut \(nothing\)"):
        Template(cut="").fit("plain", FIELDS, "", BYTES, 40, "q7")


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
        ({"rationale": "<<{rationale}>> {input}"}, "rationale"),
        ({"target": "ọ{answer}"}, "target"),
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
        ({"cut": "passage"}, "Template.cut"),
        ({"input": "{question} {context!r}"}, "stray"),
        ({"target": "{answer"}, "stray"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_when_it_is_made(changed, found):
    with pytest.raises(ConfigError, match=found):
        Template(**changed)
