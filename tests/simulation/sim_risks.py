"""What a claim may take and risk: room and budget, and a few orders alone at a gateway that does not answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from sim_gateways import Owner
from sim_rows import AttemptRow, Changes, Key, LaneRow, Rows
from sim_world import Violated, World

from jobs.providers.client import Account
from jobs.settings import Settings

LONGEST_REST_S = 900
TOLERANCE = timedelta(seconds=5)  # of a clock that was set back


class Sending(NamedTuple):
    """A lost order's further POST: under whose lease, and since when, by the database's clock."""

    holder: str
    since: str


class Risks:
    """Knows when each key last accepted an order and last answered a question, and what was risked in each rest."""

    def __init__(self, world: World, rows: Rows, settings: Settings) -> None:
        self._world, self._rows, self._settings = world, rows, settings
        self._accepted: dict[Key, str] = {}  # by the database's clock
        self._answered: dict[Key, float] = {}  # when the answered question was asked, by the world's
        self._began: dict[tuple[Key, str], float] = {}  # when a rest began, by the world's clock
        self._risked: set[tuple[Key, str]] = set()
        self._claims: set[Key] = set()  # keys that orders were claimed at in this commit
        self._again: dict[Key, dict[Owner, Sending]] = defaultdict(dict)  # lost orders that are being sent again

    def accepted(self, account: Account, owner: Owner) -> None:
        """Whoever ordered has been told that the order is taken."""
        now = self._world.database_time().isoformat(timespec="microseconds")
        key = (account.provider, account.fingerprint)
        self._accepted[key] = now
        self._again[key].pop(owner, None)
        self._risked.discard((key, ""))  # what is risked of a lane that is well counts up to the next acceptance

    def answered(self, account: Account, asked_at: float) -> None:
        """Whoever asked has been answered, by the gateway itself."""
        key = (account.provider, account.fingerprint)
        self._answered[key] = max(asked_at, self._answered.get(key, asked_at))  # whoever asked first may be told last

    def restored(self) -> None:
        """A backup was put back: the rest that stands in it is lived through once more."""
        self._risked.clear()
        self._again.clear()

    def resent(self, order: AttemptRow) -> None:
        """It has just been written that a lost order may leave again. It is a POST like any other."""
        key, most = order.key, self._settings.max_unconfirmed
        job, now = self._rows.jobs[order.job_id], self._clock()
        assert job.lease_holder is not None
        self._again[key][order.owner] = Sending(job.lease_holder, now)
        self._lane_lets_pass(order, [a for a in self._rows.out_at[key].values() if a.is_on_way], now)
        under_way = self._under_way(key, now)
        self._check("few-at-risk", under_way <= most, f"{under_way} POSTs are on their way to {order.provider}")

    def claimed(self, order: AttemptRow) -> None:
        """A claim has just been written."""
        key, provider, most = order.key, order.provider, self._settings.max_unconfirmed
        out = self._rows.out_at[key].values()
        self._room(order, out)
        self._claims.add(key)
        lane = self._rows.lane_before(key, "submit")
        ordered = [a for a in out if a.origin == "ordered" and a.accepted_at is None]
        on_way, now = [a for a in ordered if a.lost_at is None], self._clock()
        since = self._accepted.get(key, "")
        lost = [a for a in ordered if a.is_lost and (a.lost_at or "") > since]
        self._lane_lets_pass(order, on_way, now)
        under_way = self._under_way(key, now)
        self._check("few-at-risk", under_way <= most, f"{under_way} POSTs are on their way to {provider}")
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

    def _lane_lets_pass(self, order: AttemptRow, on_way: Iterable[AttemptRow], now: str) -> None:
        """Nothing goes over a lane that rests, and after its rest one order alone, new or sent again."""
        lane, provider = self._rows.lane_before(order.key, "submit"), order.provider
        if lane is None or lane.reason is None:
            return
        resting = lane.until is not None and now < lane.until and (lane.began_at or "") <= now
        self._check("probed-by-one", not resting, f"an order goes to {provider}, which rests until {lane.until}")
        others = [a.owner for a in on_way if self._probes(a.owner, a.created_at, lane, now)]
        others += [owner for owner, sent in self._sent_again(order.key, now) if (lane.until or "9") <= sent.since]
        others = [owner for owner in others if owner != order.owner]
        self._check("probed-by-one", not others, f"{order.owner} tries {provider} beside {others}")

    def _under_way(self, key: Key, now: str) -> int:
        """How many POSTs of a key are on their way, whoever sends them."""
        return sum(a.is_on_way for a in self._rows.out_at[key].values()) + len(self._sent_again(key, now))

    def _sent_again(self, key: Key, now: str) -> list[tuple[Owner, Sending]]:
        """The lost orders that are being sent again, by those who have their leases yet."""
        jobs = self._rows.jobs
        held = {owner: job for owner in self._again[key] if (job := jobs.get(owner[0])) and job.leased_until}
        self._again[key] = {n: s for n, s in self._again[key].items() if n in held and held[n].lease_holder == s.holder}
        return [(owner, sent) for owner, sent in self._again[key].items() if (held[owner].leased_until or "") > now]

    def _probes(self, owner: Owner, since: str, lane: LaneRow, now: str) -> bool:
        """Whether another order goes as this lane's probe: claimed after the rest, by one who may be alive yet."""
        job = self._rows.jobs.get(owner[0])
        lives = job is not None and job.leased_until is not None and job.leased_until > now
        return lives and lane.until is not None and since >= lane.until

    def _clock(self) -> str:
        return self._world.database_time().isoformat(timespec="microseconds")

    def _check(self, rule: str, holds: bool, said: str) -> None:
        if not holds:
            raise Violated(rule, said)
