"""How much a server takes on."""

from dataclasses import dataclass, fields

from fiat_jax.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """What is refused, and when waiting ends.

    Attributes:
      body_bytes: the largest request body; more is status 413.
      rows: the most rows of a request; more is 413.
      waiting: the most rows that are accepted and not answered yet; more is 503.
      calls: rows that are prepared at a time, which is when the reasoner is asked.
      timeout_s: a request is answered in so long, or it is 504.
      drain_s: after SIGTERM or Ctrl-C, how long what was accepted may take.
    """

    body_bytes: int = 1 << 20
    rows: int = 64
    waiting: int = 1024
    calls: int = 32
    timeout_s: float = 60.0
    drain_s: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value <= 0:
                raise ConfigError(f"Limits.{field.name}: expected more than 0, found {value}.")
        if self.rows > self.waiting:
            raise ConfigError(
                f"Limits.rows: expected at most Limits.waiting, which is {self.waiting}, found {self.rows}."
            )
