"""What callbacks told, as values: the kept ones, and the tasks that they name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class KeptCallback:
    """A kept callback, without its body."""

    id: int
    attempt: int
    readable: bool
    task_id: str | None
    received_at: datetime
    read_at: datetime | None
    provider: str


@dataclass(frozen=True)
class Hearsay:
    """A row of `hearsay`: a task id that a callback under an order's URL, which names its gateway, has told of."""

    attempt: int
    task_id: str
    heard_at: datetime
    asks: int
    ask_at: datetime
    is_signed: bool
    is_contested: bool
    provider: str

    @property
    def turn(self) -> tuple[bool, bool, float]:
        """Smallest first: signed, then what was never asked about and is newest, then what waits longest."""
        was_asked = self.asks > 0 or self.ask_at > self.heard_at  # the latter in vain
        in_turn = self.ask_at.timestamp() if was_asked else -self.heard_at.timestamp()
        return not self.is_signed, was_asked, in_turn
