"""The paper's table beside ours.

Source: Wang, Wieting, Clark (2023), FIAT, arXiv 2309.04663, Tables 2 and 3.
"""

from fiat_jax.study.comparing.report.blocks import Section, Table, Text
from fiat_jax.study.comparing.report.explained import label
from fiat_jax.study.comparing.report.found import ABSENT, FIAT, Found, at_size

Pair = tuple[str, str]
"""As they are printed: of XS and of S; F1 of the Indic languages and of all."""

_ROWS: tuple[tuple[str, str, Pair, Pair], ...] = (
    ("icl", "in-context learning, PaLM 2 L", ("78.6", "78.6"), ("68.9 / 69.2", "68.9 / 69.2")),
    (FIAT, "FIAT", ("94.0", "93.9"), ("73.6 / 77.8", "77.3 / 79.3")),
    ("lora_instruction", "without rationale", ("94.0", "94.7"), ("70.7 / 76.0", "76.7 / 79.8")),
    ("lora", "and without instruction", ("93.5", "94.1"), ("69.8 / 76.4", "75.3 / 79.1")),
    ("finetune", "and without adapter", ("93.7", "94.7"), ("67.8 / 75.8", "72.3 / 78.5")),
    (
        "finetune_pretrained",
        "and without instruction-tuned base: fine-tuning",
        ("90.5", "90.6"),
        ("63.5 / 75.5", "67.1 / 77.8"),
    ),
)
_TASKS = {
    "accuracy": "XOR-AttriQA, accuracy",
    "F1": "XTREME-UP cross-lingual QA, F1, Indic / all languages",
}


def beside_paper(found: Found) -> Section:
    """The rows of the paper that one of our paradigms corresponds to."""
    title = "Beside the paper"
    if found.study.unit not in _TASKS:
        return Section(title, [Text(f"The paper has no task that is scored by {found.study.unit}.")])
    task = _TASKS[found.study.unit]
    size = found.largest if found.runs else None
    rows = []
    for name, theirs, accuracies, f1s in _ROWS:
        xs, s = accuracies if found.study.unit == "accuracy" else f1s
        lines = [line for line in found.at(size) if line.paradigm == name] if found.runs else []
        its = [found.estimates[found.place(line, size)] for line in lines]
        ours = "\n".join(f"{one.value:.1f} ({one.low:.1f} to {one.high:.1f})" for one in its)
        named = "\n".join(line.label for line in lines) or label(name, found.study.paradigms)
        rows.append((theirs, xs, s, named, ours or ABSENT))
    remark = (
        f"The paper's figures are those of {task}, tuned models PaLM 2 XS and S, one run of each and no "
        f"intervals; ours are of {found.study.task}{at_size(size)}. Data, languages and models differ, so "
        f"only the order of the rows can be compared, not the numbers."
    )
    head = ("the paper's", "XS", "S", "ours", f"{found.study.unit} (interval of 95 %)")
    return Section(title, [Text(remark), Table(head, rows)])
