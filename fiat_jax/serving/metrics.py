"""Counts for Prometheus, in its text format 0.0.4: github.com/prometheus/docs, exposition formats."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)


class Metrics:
    """What was answered so far; its methods may be called from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[int] = Counter()
        self._rows = self._tokens = 0
        self._seconds = 0.0
        self._buckets = [0] * (len(_SECONDS) + 1)

    def request(self, status: int, seconds: float) -> None:
        """Counts a request for answers."""
        with self._lock:
            self._requests[status] += 1
            self._seconds += seconds
            self._buckets[bisect_left(_SECONDS, seconds)] += 1

    def answered(self, rows: int, tokens: int) -> None:
        """Counts answers."""
        with self._lock:
            self._rows += rows
            self._tokens += tokens

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """All of it.

        Args:
          gauges: what is measured now: help and value by name.
        """
        with self._lock:
            lines = [
                *_lines(
                    "fiat_requests_total", "counter", "Requests for answers, by status.", self._by_status()
                ),
                *_lines("fiat_rows_total", "counter", "Rows answered.", {"": self._rows}),
                *_lines("fiat_tokens_total", "counter", "Tokens of the answers.", {"": self._tokens}),
                *_lines("fiat_request_seconds", "histogram", "Time to an answer.", self._histogram()),
            ]
        for name, (help, value) in gauges.items():
            lines += _lines(name, "gauge", help, {"": value})
        return "\n".join(lines) + "\n"

    def _by_status(self) -> dict[str, float]:
        return {f'{{status="{status}"}}': count for status, count in sorted(self._requests.items())}

    def _histogram(self) -> dict[str, float]:
        bounds = [*map(str, _SECONDS), "+Inf"]
        counts = list(accumulate(self._buckets))
        buckets = {f'_bucket{{le="{bound}"}}': n for bound, n in zip(bounds, counts, strict=True)}
        return buckets | {"_sum": self._seconds, "_count": counts[-1]}


def _lines(name: str, kind: str, help: str, samples: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"
    for suffix, value in samples.items():
        yield f"{name}{suffix} {value}"
