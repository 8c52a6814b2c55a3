"""Trying again: after what, how long to wait, and when to give up."""

import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from fiat_jax.reasoning.calls import GaveUp, Pause, Wait

T = TypeVar("T")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0
_LONGEST_RETRY_AFTER_S = 600.0
_WORTH_SAYING_S = 8.0

_log = logging.getLogger(__name__)


class TryAgain(Exception):
    """An attempt failed in a way that may pass.

    Args:
      why: what happened.
      after: the seconds that the server asked to wait, if it did.
      busy: whether the server had too many calls, rather than a fault.
    """

    def __init__(self, why: str, after: float | None = None, busy: bool = False) -> None:
        super().__init__(why)
        self.after, self.busy = after, busy


def persist(attempt: Callable[[], T], retries: int, wait: Wait) -> T:
    """Runs an attempt until it succeeds, at most 1 + retries times.

    The pause doubles from 0.5 s to at most 60 s and is drawn from its upper half, so that threads spread
    out; what the server asks to wait comes on top and is never undercut.

    Raises:
      GaveUp: the last attempt failed too, or the server asks to wait longer than ten minutes.
    """
    tried = 0
    while True:
        try:
            return attempt()
        except TryAgain as failure:
            if tried == retries:
                raise GaveUp(f"gave up after {retries + 1} attempts, the last: {failure}") from None
            if failure.after is not None and failure.after > _LONGEST_RETRY_AFTER_S:
                raise GaveUp(f"{failure}; the server asks to wait {failure.after:.0f} s") from None
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**tried) * random.uniform(0.5, 1.0)
            seconds = (failure.after or 0.0) + pause
            busy = failure.busy
            level = logging.WARNING if seconds >= _WORTH_SAYING_S else logging.DEBUG
            _log.log(level, "%s; attempt %d of %d in %.1f s", failure, tried + 2, retries + 1, seconds)
        wait(Pause(seconds, busy))
        tried += 1


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Reads a Retry-After header, in seconds or as an HTTP date; None where there is none to read."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
