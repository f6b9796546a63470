"""When a child that died is started again, and when it has died too often. Pure; the clock is an argument."""

from __future__ import annotations

from dataclasses import dataclass

MOST_DEATHS = 6  # without a recovery between them: the last of these ends everything
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
RECOVERED_AFTER_S = 300.0  # of being ready, without a break
LOOK_EVERY_S = 2.0  # whether it is ready
LONG_WAIT_S = 10.0  # for what is left of it, until that is told


@dataclass
class Restarts:
    """One child's deaths since it was last well."""

    deaths: int = 0
    start_at: float | None = None  # while it is dead
    ready_since: float | None = None
    look_at: float = 0.0
    is_wait_told: bool = False

    def died(self, now: float) -> bool:
        """Count a death. False: it was one too many."""
        self.deaths += 1
        self.ready_since = None
        self.is_wait_told = False
        self.start_at = now + self.pause_s
        return self.deaths < MOST_DEATHS

    @property
    def pause_s(self) -> float:
        """From its last death to its next start."""
        return min(FIRST_PAUSE_S * 2.0 ** (self.deaths - 1), LONGEST_PAUSE_S)

    def waits_long(self, now: float) -> bool:
        """Whether it is to be told that it cannot be started yet. True once after each death."""
        is_told, self.is_wait_told = self.is_wait_told, self.is_due(now - LONG_WAIT_S)
        return self.is_wait_told and not is_told

    def is_due(self, now: float) -> bool:
        """Whether its pause is over."""
        return self.start_at is not None and now >= self.start_at

    def started(self, now: float) -> None:
        self.start_at, self.look_at = None, now

    def wants_a_look(self, now: float) -> bool:
        """Whether it is time to look whether it is ready."""
        return self.start_at is None and now >= self.look_at

    def looked(self, now: float, *, ready: bool) -> bool:
        """Take in whether it is ready now. True: it has recovered, and its deaths are forgiven."""
        self.look_at = now + LOOK_EVERY_S
        if not ready:
            self.ready_since = None
        elif self.ready_since is None:
            self.ready_since = now
        return self.ready_since is not None and now - self.ready_since >= RECOVERED_AFTER_S
