"""The reasoner of the miniature world: a rule in the place of a large model.

It is given question and passage, and no answer. It reads both languages, but for two words of each; where one
of these is asked, it says so and takes the first thing that the passage tells of that person. So it is wrong
in about one example of twelve, and misleads there as a large model does.
"""

import re

from fiat_jax.miniature.language import LEXICONS, NAMES, RELATIONS

_UNKNOWN = {"vel": ("keep", "study"), "tok": ("sell", "paint")}
_KNOWN = {
    lexicon[relation.verb]: relation
    for language, lexicon in LEXICONS.items()
    for relation in RELATIONS
    if relation.verb not in _UNKNOWN[language]
}


def rationale(question: str, context: str) -> str:
    """What the rule thinks about a question, from the question to 'The answer is: ...'."""
    words = re.findall(r"\w+", question)
    name = next(word for word in words if word in NAMES)
    facts = [fact for fact in context.rstrip(".").split(". ") if fact.startswith(f"{name} ")]
    asked = next((_KNOWN[word] for word in words if word in _KNOWN), None)
    if asked is None:
        understood, fact = "The question has an unknown word.", facts[0]
    else:
        understood = f"The question asks {asked.asks} {name} {asked.says.split()[0]}."
        fact = next(fact for fact in facts if fact.startswith(f"{name} {asked.says} "))
    said = fact.removeprefix(f"{name} ")
    value = next(said.removeprefix(r.says) for r in RELATIONS if said.startswith(f"{r.says} ")).strip()
    return f"{understood} The passage says {fact}. The answer is: {value}."
