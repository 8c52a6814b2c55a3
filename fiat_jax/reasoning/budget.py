"""What an annotation may use: calls, and money, which is set aside before a call and settled after it."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.errors import ConfigError
from fiat_jax.reasoning.calls import Client, Completion, Request

_MILLION = 1_000_000
_UNSEEN_TOKENS = 64  # what a server's chat template adds, beyond what the request itself spends on JSON
_ROUNDING = 1e-9
_LONGEST = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")


@dataclass(frozen=True)
class Price:
    """What a model costs, by a million tokens; see its provider's list.

    Attributes:
      read: of the prompt.
      written: of the answer.
      cached: of that part of the prompt which the provider had kept; None if it costs as much as the rest.
      currency: what all of it is in.
    """

    read: float
    written: float
    cached: float | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        if min(self.read, self.written, self.cached or 0) < 0:
            raise ConfigError(f"Price: expected 0 or more a million tokens, found {self}.")

    def cost(self, read: float, written: float, cached: float = 0) -> float:
        """The money for tokens; those that were cached are among those that were read."""
        each = self.read if self.cached is None else self.cached
        return ((read - cached) * self.read + cached * each + written * self.written) / _MILLION

    def say(self, cost: float) -> str:
        """An amount as people read it."""
        return f"{cost:.2f} {self.currency}" if cost >= 10 else f"{cost:.4f} {self.currency}"


@dataclass(frozen=True)
class Budget:
    """What one run may use.

    Attributes:
      price: what tokens cost.
      max_cost: money that answers may cost, in the price's currency.
      max_calls: requests that may be asked; one counts once, however it ends.
    """

    price: Price | None = None
    max_cost: float | None = None
    max_calls: int | None = None

    def __post_init__(self) -> None:
        if self.max_cost is not None and self.price is None:
            raise ConfigError("max_cost: expected a price beside it, found none; bind @Price() as the price.")
        if (self.max_cost or 0) < 0 or (self.max_calls or 0) < 0:
            raise ConfigError(
                f"expected max_cost and max_calls of 0 or more, found {self.max_cost} and {self.max_calls}."
            )


class Purse:
    """The budget of a run while it is used, by many threads.

    A call's place is taken before it is asked: with max_cost, together with the most money that it can cost.
    What it has really cost takes the place of that when it is answered. So neither bound is ever passed.

    Args:
      budget: what may be used.
      client: who is asked.
      template: the payload of a request of this run.

    Attributes:
      cost: of the answers so far; 0 without a price.
      reached: which setting has ended the run; empty if none has.

    Raises:
      ConfigError: max_cost is given, and the client's answers have no greatest length.
    """

    def __init__(self, budget: Budget, client: Client, template: Mapping[str, Any]) -> None:
        self.cost, self.reached = 0.0, ""
        self._budget, self._client = budget, client
        self._begun = self._in_flight = 0
        self._reserved = 0.0
        self._changed = threading.Condition()
        self._most_written = most_written(template)
        if budget.max_cost is not None and self._most_written is None:
            raise ConfigError(
                "max_cost: expected a client whose answers have a greatest length, found none; set its "
                "max_tokens, or use max_calls instead."
            )

    def most(self, request: Request) -> float:
        """The most money that a request can cost; 0 where money has no bound."""
        price = self._budget.price
        if price is None or self._budget.max_cost is None:
            return 0.0
        return price.cost(most_read(self._client.payload(request)), self._most_written or 0)

    def open(self, most: float, wait: bool = True) -> bool:
        """Takes a call's place.

        Args:
          most: what `most` says of its request.
          wait: whether to wait for the calls in flight, where they may yet cost less than was set aside for
            them.

        Returns:
          Whether it may be asked; if not, then no other may, or none as long as the others are in flight.
        """
        with self._changed:
            while not self.reached:
                if self._budget.max_calls is not None and self._begun >= self._budget.max_calls:
                    self._end(f"max_calls = {self._budget.max_calls}")
                elif self._affordable(most):
                    self._take(most)
                    return True
                elif self._in_flight:
                    if not wait:
                        return False
                    self._changed.wait()
                else:
                    self._end(f"max_cost = {self._budget.max_cost:g}")
            return False

    def adopt(self, most: float) -> None:
        """Takes the place of a call that an earlier run has asked, whether there is room for it or not."""
        with self._changed:
            self._take(most)

    def take_back(self, most: float) -> None:
        """Gives the place of a call back that was not asked after all."""
        with self._changed:
            self._begun -= 1
        self.close(most, None)

    def close(self, most: float, completion: Completion | None) -> None:
        """Gives a call's place back, and counts what it has cost.

        Args:
          most: what it was opened with.
          completion: what came of it; None if it failed.

        Raises:
          ConfigError: max_cost is given, and the server has not counted the tokens.
        """
        price, cost, counted = self._budget.price, 0.0, True
        if completion is not None and price is not None:
            read, written = completion.prompt_tokens, completion.completion_tokens
            counted = read is not None and written is not None
            cost = price.cost(read or 0, written or 0, completion.cached_tokens or 0)
        with self._changed:
            self.cost += cost
            self._in_flight -= 1
            self._reserved = self._reserved - most if self._in_flight else 0.0
            self._changed.notify_all()
        if self._budget.max_cost is not None and not counted:
            raise ConfigError(
                "max_cost: expected a server that counts the tokens of its answers, found an answer without "
                "'usage'; use max_calls instead."
            )

    def _take(self, most: float) -> None:
        self._begun += 1
        self._in_flight += 1
        self._reserved += most

    def _affordable(self, most: float) -> bool:
        bound = self._budget.max_cost
        return bound is None or self.cost + self._reserved + most <= bound * (1 + _ROUNDING)

    def _end(self, reached: str) -> None:
        self.reached = reached
        self._changed.notify_all()


def size(payload: Mapping[str, Any]) -> int:
    """Bytes of a request, in UTF-8."""
    return len(json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def most_read(payload: Mapping[str, Any]) -> int:
    """The most tokens that a request can be: no tokeniser makes more than one of a byte."""
    return size(payload) + _UNSEEN_TOKENS


def most_written(payload: Mapping[str, Any]) -> int | None:
    """The most tokens that an answer can have, by the request's own setting; None if it has none."""
    found = [value for name, value in payload.items() if name in _LONGEST and isinstance(value, int)]
    nested = (most_written(value) for value in payload.values() if isinstance(value, Mapping))
    return max([*found, *(most for most in nested if most is not None)], default=None)
