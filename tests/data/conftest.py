"""A small vocabulary in T5's manner, and a small task in two languages."""

import pytest
from rows import write_jsonl
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from fiat_jax.data.sources import Jsonl
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Template

SENTENCES = [
    "question: who wrote the book? title: Things Fall Apart context: It was written by Chinua Achebe.",
    "reasoning: The question asks for the author. The passage names him. The answer is: Chinua Achebe",
    "0 1 2 3 4 5 6 7 8 9 1958",
    "Answer the question with a short span of the context.",
    "The question may be in another language than the context.",
    "Wanne kulob ne ya lashe gasar zakarun Turai? Ngokwezibalo iluphi ulimi?",
]


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory):
    """A folder with a tokenizer.json: sentencepiece's rules, T5's ids, no line breaks, no braces."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    folder = tmp_path_factory.mktemp("vocabulary")
    tokenizer.enable_truncation(5)  # as files on the hub sometimes have; nothing may come of it
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder)


@pytest.fixture
def make_task(tmp_path, vocabulary, request):
    """Makes a task of rows, by split, all in one file each; the name is the test's own."""

    def make(rationales=None, *, template=None, **settings):
        splits = {name: settings.pop(name) for name in ("train", "validation", "test") if name in settings}
        files = {split: write_jsonl(tmp_path / f"{split}.jsonl", rows) for split, rows in splits.items()}
        if rationales is not None:
            rows = [{"id": id, "rationale": text} for id, text in rationales.items()]
            settings["rationales"] = write_jsonl(tmp_path / "rationales.jsonl", rows)
        settings = {"name": request.node.name.split("[")[0], "vocabulary": vocabulary} | settings
        return Task(source=Jsonl(**files), template=template or Template(), **settings)

    return make
