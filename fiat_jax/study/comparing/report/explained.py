"""Paradigms and scores, in a sentence each."""

from collections.abc import Mapping

from fiat_jax.study.comparing.paradigms import PARADIGMS, Paradigm

_KNOWN = {one.name: one for one in PARADIGMS}
_READS = {
    "plain": "the input alone",
    "instruction": "an instruction and the input",
    "fiat": "an instruction, the input and the reasoner's rationale",
    "distillation": "an instruction and the input; in tuning it learns to write rationales too",
}
_SCORES = {
    "f1": "how many words the answer shares with the nearest good answer, 100 where they are the same",
    "mlqa_f1": "how many words the answer shares with the nearest good answer, 100 where they are the same",
    "em": "the share of answers that are a good answer word for word",
    "mlqa_em": "the share of answers that are a good answer word for word",
    "accuracy": "the share of right answers",
    "numeric": "the share of answers whose number is right",
    "rougeL": "how long a sequence of words the answer shares with the nearest good answer",
}


def explained(name: str) -> str:
    """What a paradigm is; those that are not ours are said to be set in the configuration."""
    if name not in _KNOWN:
        return "as the configuration sets it"
    one = _KNOWN[name]
    if one.answers == "reasoner":
        return "the large model (the reasoner) reasons over its prompt and answers itself; nothing is learned"
    return f"{_learns(one)}; it reads {_reads(one)}{_besides(one)}"


def explained_score(score: str, unit: str) -> str:
    """What a score is, from 0 to 100."""
    return f"{unit}, from 0 to 100: {_SCORES.get(score, 'the mean score of the test examples')}"


def label(name: str, labels: Mapping[str, str]) -> str:
    """What a paradigm is called, whether the sweep has it or not."""
    return labels.get(name) or (_KNOWN[name].label if name in _KNOWN else name)


def without_rationale(name: str) -> bool:
    """Whether a paradigm tunes a model that has nothing of a rationale."""
    one = _KNOWN.get(name)
    return one is not None and one.tuned and one.variant in ("plain", "instruction")


def learns(name: str) -> str:
    """What a paradigm learns: 'base', 'adapter' or 'nothing'; '' where it is not known."""
    return _KNOWN[name].learns if name in _KNOWN else ""


def by_reasoner(name: str) -> bool:
    """Whether the reasoner answers itself."""
    return name in _KNOWN and _KNOWN[name].answers == "reasoner"


def _learns(one: Paradigm) -> str:
    base = "" if one.instruction_tuned else " that is not tuned on instructions"
    learned = {
        "nothing": "the small model{} as it is",
        "base": "all weights of the small model{} are tuned",
        "adapter": "a small adapter on the frozen small model{} is tuned",
    }
    return learned[one.learns].format(base)


def _reads(one: Paradigm) -> str:
    if not one.instructed:
        return "the input and the reasoner's rationale"
    return _READS[one.variant]


def _besides(one: Paradigm) -> str:
    if one.asked is not None:
        return f", the latter only for the {100 * one.asked:.0f} % of answers that it is least sure of"
    if one.shown and one.shown.wrong == 1:
        return "; but in the test, that of another example: a control of whether the rationale matters"
    return f", after {one.shots} training examples with their answers" if one.shots else ""
