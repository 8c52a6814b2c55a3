"""What an annotation run has come to so far, however its requests were asked."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from fiat_jax.reasoning.calls import Completion


@dataclass
class Tally:
    """The count of a run. Not safe for threads: hold a lock.

    Attributes:
      done: why each answer ended, by key; the answers themselves are all in the store.
      prompt_tokens, completion_tokens, cached_tokens: of all that the server has answered, where it counted.
      failed: how many requests got no answer after all attempts.
      failure: what the last of these died of.
      signal: the signal that ended the work early, if one did.
    """

    done: dict[str, str | None] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    failed: int = 0
    failure: str = ""
    signal: int | None = None

    def answered(self, answers: Mapping[str, Completion]) -> None:
        """Counts answers that are in the store, by key."""
        for key, completion in answers.items():
            self.done[key] = completion.finish_reason and sys.intern(completion.finish_reason)

    def spent(self, completion: Completion) -> None:
        """Counts the tokens of an answer, kept or not."""
        self.prompt_tokens += completion.prompt_tokens or 0
        self.completion_tokens += completion.completion_tokens or 0
        self.cached_tokens += completion.cached_tokens or 0
