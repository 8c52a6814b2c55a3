"""A large model in this process: how often it is right depends on its prompt, and it keeps what it was told.

Whether it answers an input is a draw from that input alone, so that a better prompt is right wherever a worse
one is. What it proposes depends on what it is shown: from demonstrations it writes words that its hash draws,
and from a history the last instruction with one good word more.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Mapping

from fiat_jax.reasoning import CallError, Completion, Request
from fiat_jax.reasoning.calls import digest

GOOD = ("carefully", "evidence", "sentence", "entity")
"""Words that make an instruction better, where the model's skill says so."""


def skilled(instruction: str, shots: int) -> float:
    """The share of right answers under a prompt: more with each good word, and with exemplars."""
    return 0.25 + 0.15 * sum(word in instruction for word in GOOD) + 0.1 * min(shots, 2)


def indifferent(instruction: str, shots: int) -> float:
    """The share of right answers of a model to which its prompt is nothing."""
    return 0.5


def draw(text: str) -> float:
    """A number from 0 to 1 that follows from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


class FakeReasoner:
    """A client that answers inputs and proposes instructions.

    Args:
      answers: the right answer of each input.
      skill: the share of right answers, of the instruction and the number of exemplars.
      noisy: whether it is drawn from the whole prompt, not from the input alone, if an answer is right.

    Attributes:
      model: its name.
      requests: all that it was asked, in order.
      broken: the id of a request that it fails.
    """

    model = "fake"

    def __init__(
        self,
        answers: Mapping[str, str],
        skill: Callable[[str, int], float] = skilled,
        noisy: bool = False,
    ) -> None:
        self.requests: list[Request] = []
        self.broken: str | None = None
        self._answers, self._skill, self._noisy = answers, skill, noisy
        self._lock = threading.Lock()

    def payload(self, request: Request) -> dict[str, object]:
        return {"model": self.model, "messages": list(request.messages)}

    def complete(
        self, request: Request, wait: Callable[[float], object] = lambda seconds: None
    ) -> Completion:
        with self._lock:
            self.requests.append(request)
        if request.id == self.broken:
            raise CallError("out of order")
        text = request.messages[-1]["content"]
        if "<instruction>" in text:
            said = self._proposal(text)
            reason = "length" if said.endswith("...") else "stop"
            return Completion(f"Surely. <instruction>{said}</instruction>", finish_reason=reason)
        return Completion(self._answer(request, text))

    @property
    def keys(self) -> list[str]:
        """Of all requests, as the store has them."""
        return [digest(self.payload(request)) for request in self.requests]

    @property
    def proposals(self) -> list[str]:
        """What it was told when it was asked for an instruction."""
        texts = [request.messages[-1]["content"] for request in self.requests]
        return [text for text in texts if "<instruction>" in text]

    def _answer(self, request: Request, text: str) -> str:
        system = [one["content"] for one in request.messages if one["role"] == "system"]
        shots = sum(one["role"] == "assistant" for one in request.messages)
        chance = draw(str(request.messages) if self._noisy else text)
        right = chance < self._skill(system[0] if system else "", shots)
        return f"I think about it. The answer is: {self._answers[text] if right else 'nobody'}."

    def _proposal(self, text: str) -> str:
        tried = re.findall(r"^Instruction: (.*)\nScore: ", text, re.MULTILINE)
        if tried:
            return " ".join([tried[-1], *[word for word in GOOD if word not in tried[-1]][:1]])
        words = [word for word in GOOD[:2] if draw(word + text) < 0.5]
        return " ".join(["Answer the question", *words]) + "."
