import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import example

from fiat_jax.data.batches import eval_batches
from fiat_jax.data.pipeline import load_examples
from fiat_jax.data.unlabelled import encode_input
from fiat_jax.data.vocabularies import ByteTokens, JsonTokens, decode_batch, load_tokens
from fiat_jax.errors import ConfigError

SAMPLE = [
    "question: who wrote Things Fall Apart? The answer is: Chinua Achebe",
    "  two   spaces,\na line\tand a {brace} ",
    "Bushe ni lisa ilyo icaalo ca Rwanda capokele ubuntungwa?",
    "Kedụ onye bụ odee akwụkwọ “Things Fall Apart”? Ọ bụ Chinụa.",
    "Wanne kulob ne ya lashe gasar? ƙasa, ɓera, ɗaki",
    "বাংলা ভাষা, हिन्दी, தமிழ், తెలుగు",
    "日本の首都は東京です。 中文 한국어",
    "العربية والعبرية עברית",
    "Москва — столица; ½ ﬁ ① É e\u0301 🙂",
    "a <extra_id_0> b </s> c <pad> d <unk>",
    "",
]


@pytest.fixture(params=["small", "real"])
def folder(request):
    return (
        request.getfixturevalue("vocabulary")
        if request.param == "small"
        else str(request.getfixturevalue("real_t5"))
    )


def test_ids_and_text_equal_those_of_transformers(folder):
    from transformers import PreTrainedTokenizerFast

    reference = PreTrainedTokenizerFast(
        tokenizer_file=f"{folder}/tokenizer.json", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    tokens = load_tokens(folder)
    for text in SAMPLE:
        ids = tokens.encode(text)
        assert ids == reference(text, add_special_tokens=False).input_ids
        ends = [i for i in ids if i != 1]  # a text's own '</s>' is an end to us
        assert tokens.decode([*ends, 1, 0, 0]) == reference.decode(ends, skip_special_tokens=True)
    assert (tokens.unk_id, tokens.size) == (reference.unk_token_id, len(reference))


def test_spans_are_the_ids_with_the_characters_that_each_stands_for(folder):
    tokens = load_tokens(folder)
    for text in SAMPLE:
        assert [span.id for span in tokens.spans(text)] == tokens.encode(text)
    text = "who ŵrote\nthe bʘʘk"
    assert [text[a:b] for id, a, b in tokens.spans(text) if id == tokens.unk_id][-1] == "ʘʘ"
    assert [text[a:b] for _, a, b in tokens.spans(text) if "\n" in text[a:b]]


def test_spans_of_bytes_give_a_character_to_its_last_byte():
    assert ByteTokens().spans("aụ") == [(100, 0, 1), (228, 1, 1), (190, 1, 1), (168, 1, 2)]


def test_a_lost_letter_at_the_start_and_a_mark_on_one_belong_to_the_unknown_token(folder):
    tokens = load_tokens(folder)
    for text in ("ʘ", "ʘo", "ʘ\u0323 o"):
        lost = [text[start:end] for id, start, end in tokens.spans(text) if id == tokens.unk_id]
        assert lost == [text.rstrip(" o")]


def test_the_real_ids_equal_those_of_transformers_t5_tokenizer(real_t5):
    from transformers import T5TokenizerFast

    reference = T5TokenizerFast.from_pretrained(real_t5)
    tokens = load_tokens(str(real_t5))
    for text in map(str.strip, SAMPLE[:5]):  # that class drops a space at the end, the file does not
        assert [*tokens.encode(text), 1] == reference(text).input_ids


def test_seqio_reads_and_writes_the_same_ids(folder):
    from fiat_jax.data.seqio_vocabularies import load_vocabulary
    from fiat_jax.data.tensorflow import tf

    vocabulary, tokens = load_vocabulary(folder), load_tokens(folder)
    assert (vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id) == (0, 1, tokens.unk_id)
    assert vocabulary.vocab_size == tokens.size
    for text in SAMPLE:
        assert vocabulary.encode(text) == tokens.encode(text)
        assert vocabulary.encode_tf(tf.constant(text)).numpy().tolist() == tokens.encode(text)
    rows = [[*tokens.encode("The answer"), 1, 0, 0], [*tokens.encode("the book"), 1, 5, 6]]
    width = max(map(len, rows))
    rows = [row + [0] * (width - len(row)) for row in rows]
    assert decode_batch(tokens, rows) == ["The answer", "the book"]
    assert [vocabulary.decode(row) for row in rows] == ["The answer", "the book"]
    assert vocabulary.decode_tf(tf.constant(rows)).numpy().tolist() == [b"The answer", b"the book"]
    assert vocabulary.decode_tf(tf.constant(rows[0])).numpy() == b"The answer"
    assert vocabulary == load_vocabulary(f"{folder}/tokenizer.json")


@given(st.text())
def test_bytes_come_back_and_are_byt5s_ids(text):
    from fiat_jax.data.seqio_vocabularies import load_vocabulary

    tokens = load_tokens("byte")
    assert tokens.decode([*tokens.encode(text), 1, 99]) == text
    assert tokens.encode(text) == load_vocabulary("byte").encode(text)
    assert max(tokens.encode(text), default=0) < tokens.size


def test_a_sentencepiece_model_gives_seqio_the_same_ids_and_t5s_sentinels(tmp_path):
    import sentencepiece

    from fiat_jax.data.seqio_vocabularies import load_vocabulary
    from fiat_jax.data.tensorflow import tf

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLE[:5] * 3),
        model_writer=model,
        vocab_size=75,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    tokens, vocabulary = load_tokens(str(tmp_path)), load_vocabulary(str(tmp_path))
    for text in SAMPLE[:8]:
        assert vocabulary.encode(text) == tokens.encode(text)
        assert vocabulary.encode_tf(tf.constant(text)).numpy().tolist() == tokens.encode(text)
        assert [span.id for span in tokens.spans(text)] == tokens.encode(text)
    assert vocabulary.vocab_size == tokens.size + 100
    assert (tokens.pad_id, tokens.eos_id, tokens.unk_id) == (0, 1, 2)
    assert tokens.decode([*tokens.encode("who wrote"), 1, 7]) == "who wrote"


@pytest.mark.parametrize(
    ("special", "ids"),
    [(["<pad>", "<s>", "</s>", "<unk>"], (0, 2)), (["<unk>", "<s>", "</s>"], (1, 2))],
    ids=["CodeT5", "MADLAD"],
)
def test_a_file_says_itself_which_ids_pad_and_end(tmp_path, make_task, special, ids):
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(SAMPLE, vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    tokens = load_tokens(str(tmp_path))
    assert (tokens.pad_id, tokens.eos_id) == ids
    for text in SAMPLE[:9]:
        assert tokens.decode([*tokens.encode(text), 2, *tokens.encode("more")]) == text

    rows = [example(id, question=id, answer=id) for id in ("a", "bb")]
    task = make_task(name=f"pads_with_{ids[0]}", vocabulary=str(tmp_path), train=rows)
    examples = load_examples(task, "plain", "train")
    (batch, order), *_ = eval_batches(examples, 2)
    a, bb = tokens.encode("a"), tokens.encode("bb")
    by_row = np.argsort(order)
    np.testing.assert_array_equal(batch["targets"][by_row], [[*a, 2, tokens.pad_id], [*bb, 2]])
    np.testing.assert_array_equal(batch["weights"][by_row], [[1, 1, 0], [1, 1, 1]])
    asked, _ = encode_input(task, tokens, "plain", task.unlabelled(rows[1], "row 1", "1"), "")
    np.testing.assert_array_equal(asked, examples.inputs[1])
    assert examples.pad_id == tokens.pad_id


def test_a_sentencepiece_model_without_a_pad_pads_with_its_start(tmp_path):
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLE[:5] * 3), model_writer=model, vocab_size=75, minloglevel=2
    )
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    tokens = load_tokens(str(tmp_path))
    assert (tokens.unk_id, tokens.pad_id, tokens.eos_id) == (0, 1, 2)
    assert tokens.decode([*tokens.encode("who wrote"), 1, 2, 7]) == "who wrote"


def test_ids_that_stand_for_no_text_leave_no_trace(vocabulary):
    tokens = load_tokens(vocabulary)
    words = tokens.encode("the book")
    assert tokens.decode([0, tokens.unk_id, *words, tokens.size + 9, 1, *words]) == "the book"
    assert ByteTokens().decode([100, 2, 300, 1, 100]) == "a"


def test_an_unchanged_file_is_read_once(vocabulary):
    assert load_tokens(vocabulary) is load_tokens(vocabulary)


@pytest.mark.parametrize(
    ("contents", "found"),
    [
        ("{", "expected a tokenizer.json, but"),
        ('{"version": "1.0"}', "expected a tokenizer.json, but"),
        (None, "with <pad> or <s> and </s>, found None and None as ids"),
    ],
)
def test_a_broken_or_foreign_file_is_refused(tmp_path, contents, found):
    from tokenizers import Tokenizer, models

    path = tmp_path / "tokenizer.json"
    if contents is None:
        Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, "[UNK]")).save(str(path))
    else:
        path.write_text(contents)
    with pytest.raises(ConfigError, match=found):
        JsonTokens(path)


def test_no_vocabulary_says_what_was_looked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"expected tokenizer.json or spiece.model, a folder .* or 'byte'"):
        load_tokens(str(tmp_path))
    (tmp_path / "spiece.model").write_text("nonsense")
    with pytest.raises(ConfigError, match="expected a sentencepiece model"):
        load_tokens(str(tmp_path))


def python(script, *arguments):
    """What a fresh process writes to stdout; nothing may come on stderr."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stderr == ""
    return done.stdout


def test_tensorflow_waits_until_seqio_is_wanted(vocabulary):
    script = """
import sys
import fiat_jax.data.batches, fiat_jax.data.metrics, fiat_jax.data.pipeline, fiat_jax.data.registry
import fiat_jax.cli.tasks
fiat_jax.data.load_tokens(sys.argv[1]).encode("text")
print([name for name in ("tensorflow", "seqio") if name in sys.modules])
"""
    assert python(script, vocabulary) == "[]\n"


@pytest.mark.slow
def test_tensorflow_loads_without_a_word():
    assert python("import fiat_jax.data.tensorflow") == ""
