"""What a claim may take and risk: room and budget, and a few orders alone at a gateway that does not answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sim_rows import AttemptRow, Changes, Key, LaneRow, Rows
from sim_world import Violated, World

from jobs.providers.client import Account
from jobs.settings import Settings

LONGEST_REST_S = 900
TOLERANCE = timedelta(seconds=5)  # of a clock that was set back


class Risks:
    """Knows when each key last accepted an order and last answered a question, and what was risked in each rest."""

    def __init__(self, world: World, rows: Rows, settings: Settings) -> None:
        self._world, self._rows, self._settings = world, rows, settings
        self._accepted: dict[Key, str] = {}  # by the database's clock
        self._answered: dict[Key, float] = {}  # when the answered question was asked, by the world's
        self._began: dict[tuple[Key, str], float] = {}  # when a rest began, by the world's clock
        self._risked: set[tuple[Key, str]] = set()
        self._claims: set[Key] = set()  # keys that orders were claimed at in this commit

    def accepted(self, account: Account) -> None:
        """Whoever ordered has been told that the order is taken."""
        now = self._world.database_time().isoformat(timespec="microseconds")
        key = (account.provider, account.fingerprint)
        self._accepted[key] = now
        self._risked.discard((key, ""))  # what is risked of a lane that is well counts up to the next acceptance

    def answered(self, account: Account, asked_at: float) -> None:
        """Whoever asked has been answered, by the gateway itself."""
        key = (account.provider, account.fingerprint)
        self._answered[key] = max(asked_at, self._answered.get(key, asked_at))  # whoever asked first may be told last

    def restored(self) -> None:
        """A backup was put back: the rest that stands in it is lived through once more."""
        self._risked.clear()

    def claimed(self, order: AttemptRow) -> None:
        """A claim has just been written."""
        key, provider, most = order.key, order.provider, self._settings.max_unconfirmed
        out = self._rows.out_at[key].values()
        self._room(order, out)
        self._claims.add(key)
        lane = self._rows.lane_before(key, "submit")
        ordered = [a for a in out if a.origin == "ordered" and a.accepted_at is None]
        on_way = [a for a in ordered if a.lost_at is None]
        since = self._accepted.get(key, "")
        lost = [a for a in ordered if a.is_lost and (a.lost_at or "") > since]
        now = self._world.database_time().isoformat(timespec="microseconds")
        if lane is not None and lane.reason is not None:
            resting = lane.until is not None and now < lane.until and (lane.began_at or "") <= now
            self._check("probed-by-one", not resting, f"an order goes to {provider}, which rests until {lane.until}")
            others = [a.owner for a in on_way if a.owner != order.owner and self._probes(a, lane, now)]
            self._check("probed-by-one", not others, f"{order.owner} tries {provider} beside {others}")
        self._check("few-at-risk", len(on_way) <= most, f"{len(on_way)} orders are on their way to {provider}")
        if len(on_way) + len(lost) <= most:
            return
        began_at = (lane.began_at if lane else None) or ""
        may = self._answered.get(key, -1) >= self._began.get((key, began_at), 0)
        self._check(
            "few-at-risk",
            may or (lane is not None and lane.rest_s >= LONGEST_REST_S),
            f"{len(on_way)} on their way and {len(lost)} lost at {provider}, and nothing was answered since {began_at}",
        )
        self._check("few-at-risk", (key, began_at) not in self._risked, f"{provider} is risked twice in one rest")
        self._risked.add((key, began_at))

    def committed(self, changes: Changes) -> None:
        """Lanes may have changed by what an exchange said; a claim that changes its own lane is judged above."""
        claimed, self._claims = self._claims, set()
        for _, new in changes.lanes:
            if new is not None and new.began_at is not None:
                self._began.setdefault((new.key, new.began_at), self._world.now)
        for old, new in changes.lanes:
            if old is not None and new is not None and new.key not in claimed:
                self._rest_changed(old, new)

    def _room(self, order: AttemptRow, out: Iterable[AttemptRow]) -> None:
        settings, provider = self._settings, order.provider
        ordered = [a for a in out if a.is_open and (a.accepted_at is not None or a.origin == "ordered")]
        inside = sum(a.accepted_at is not None or a.lost_at is None for a in ordered)
        most, budget = settings.max_in_flight, settings.daily_usd.get(provider)
        self._check("room-kept", inside <= most, f"{inside} in flight at {provider}, of {most}")
        if budget is not None:
            spent = self._rows.reserved[provider, order.day]
            self._check("room-kept", spent <= round(budget * 1e6), f"{spent} of {budget} at {provider}")

    def _rest_changed(self, old: LaneRow, new: LaneRow) -> None:
        actor, now = self._world.actor, self._world.database_time()
        kept = (old.until, old.reason, old.began_at) == (new.until, new.reason, new.began_at)
        if actor is None or kept or old.reason is None or new.reason == "no_network" or old.reason == "by_hand":
            return
        left_at = actor.left.get(old.provider, "")
        # One that began in the future did so before the clock was set back.
        future = (now + TOLERANCE).isoformat(timespec="microseconds")
        old_enough = left_at >= old.began_at or old.began_at > future
        self._check("rest-kept", old_enough, f"{old} became {new} by what left at {left_at}")

    def _probes(self, other: AttemptRow, lane: LaneRow, now: str) -> bool:
        """Whether another order goes as this lane's probe: claimed after the rest, by one who may be alive yet."""
        job = self._rows.jobs.get(other.job_id)
        lives = job is not None and job.leased_until is not None and job.leased_until > now
        return lives and lane.until is not None and other.created_at >= lane.until

    def _check(self, rule: str, holds: bool, said: str) -> None:
        if not holds:
            raise Violated(rule, said)
