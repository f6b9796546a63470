"""What is risked at a gateway that does not answer: the rules that hold an outage's cost to a few orders."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sim_rows import AttemptRow, Key, Rows
from sim_world import BEGIN, Violated, World

from jobs.providers.client import Account
from jobs.settings import Settings

LONGEST_REST_S = 900


class Risks:
    """Knows when each key last accepted an order and last answered a question, and what was risked in each rest."""

    def __init__(self, world: World, rows: Rows, settings: Settings) -> None:
        self._world, self._rows, self._settings = world, rows, settings
        self._accepted: dict[Key, str] = {}  # by the database's clock
        self._answered: dict[Key, float] = {}  # when the answered question was asked, by the world's
        self._risked: set[tuple[Key, str]] = set()

    def accepted(self, account: Account) -> None:
        """Whoever ordered has been told that the order is taken."""
        now = self._world.database_time().isoformat(timespec="microseconds")
        self._accepted[account.provider, account.fingerprint] = now

    def answered(self, account: Account, asked_at: float) -> None:
        """Whoever asked has been answered, by the gateway itself."""
        self._answered[account.provider, account.fingerprint] = asked_at

    def claimed(self, key: Key, out: Iterable[AttemptRow]) -> None:
        """A claim on a key has just been written; `out` are its attempts that are open or lost, this one among them."""
        provider, most = key[0], self._settings.max_unconfirmed
        lane = self._rows.lane_before(key, "submit")
        ordered = [a for a in out if a.origin == "ordered" and a.accepted_at is None]
        on_way = [a for a in ordered if a.lost_at is None]
        since = self._accepted.get(key, "")
        lost = [a for a in ordered if a.is_lost and (a.lost_at or "") > since]
        now = self._world.database_time().isoformat(timespec="microseconds")
        if lane is not None and lane.reason is not None:
            resting = lane.until is not None and now < lane.until and (lane.began_at or "") <= now
            self._check("probed-by-one", not resting, f"an order goes to {provider}, which rests until {lane.until}")
        self._check("few-at-risk", len(on_way) <= most, f"{len(on_way)} orders are on their way to {provider}")
        if len(on_way) + len(lost) <= most:
            return
        began_at = (lane.began_at if lane else None) or ""
        may = self._answered.get(key, -1) >= _seconds(began_at) - self._world.clock_off_s
        self._check(
            "few-at-risk",
            may or (lane is not None and lane.rest_s >= LONGEST_REST_S),
            f"{len(on_way)} on their way and {len(lost)} lost at {provider}, and nothing was answered since {began_at}",
        )
        self._check("few-at-risk", (key, began_at) not in self._risked, f"{provider} is risked twice in one rest")
        self._risked.add((key, began_at))

    def _check(self, rule: str, holds: bool, said: str) -> None:
        if not holds:
            raise Violated(rule, said)


def _seconds(moment: str) -> float:
    return (datetime.fromisoformat(moment) - BEGIN).total_seconds() if moment else 0.0
