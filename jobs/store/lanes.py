"""The lanes' rows: which rest, since when and why, and who probes. The rules are `machine/breaker`.

In the database, so that all processes share them, a flushed broker forgets none, and whoever claims an order sees
them in the claim's own transaction, under a lock on the lane's row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from jobs.machine.breaker import Lane, LaneName
from jobs.machine.times import iso_s
from jobs.providers.client import Account
from jobs.settings import Settings
from jobs.store.database import upsert
from jobs.store.prepared import of
from jobs.store.tables import lanes

LANES: tuple[LaneName, ...] = ("submit", "query")
PROBED_PAUSE_S = 5.0  # until somebody whom a probe keeps waiting looks again
COLUMNS = [lanes.c[name] for name in Lane.__dataclass_fields__]
IS_LANE = of(lanes.c.provider, lanes.c.account, lanes.c.lane)
_READ, _CHANGE = sa.select(*COLUMNS).where(IS_LANE), sa.update(lanes).where(IS_LANE)
_LOCK = _READ.with_for_update()
_EVERY = sa.select(lanes.c.provider, lanes.c.account, lanes.c.lane, *COLUMNS)

log = structlog.get_logger()


def read(db: Connection, account: Account, name: LaneName) -> Lane:
    """The lane as it stands; one without a row is well."""
    row = db.execute(_READ, key_of(account, name)).one_or_none()
    return Lane() if row is None else Lane(*row)


def every(db: Connection) -> Callable[[Account, LaneName], Lane]:
    """All lanes as they stand, read at once: who looks at many asks this for each."""
    found = {tuple(row[:3]): Lane(*row[3:]) for row in db.execute(_EVERY)}
    return lambda account, name: found.get((account.provider, account.fingerprint, name), Lane())


def lock(db: Connection, account: Account, name: LaneName) -> Lane:
    """The lane, and nobody else may change it until the transaction ends."""
    row = db.execute(_LOCK, key_of(account, name)).one_or_none()
    if row is None:
        key = {"provider": account.provider, "account": account.fingerprint, "lane": name}
        db.execute(_new(db.dialect.name), key)
        row = db.execute(_LOCK, key_of(account, name)).one()
    return Lane(*row)


def write(db: Connection, account: Account, name: LaneName, lane: Lane) -> None:
    """Write a lane that was locked. The log hears of every rest that begins or ends, whoever is the cause."""
    before = read(db, account, name)
    db.execute(_CHANGE, key_of(account, name) | asdict(lane))
    _tell(account, name, before, lane)


def unwell(db: Connection, settings: Settings) -> list[tuple[Account, LaneName, Lane]]:
    """The lanes that rest, or that nobody has tried since: each key's in use, by gateway, the present key's first.

    A previous key orders nothing: its questions alone are of interest.
    """
    by_key = [(account, LANES) for account in settings.accounts.values()]
    by_key += [(account, LANES[1:]) for account in settings.previous_accounts.values()]
    lane = every(db)
    found = [(account, name, lane(account, name)) for account, names in by_key for name in names]
    return sorted((each for each in found if not each[2].is_well), key=lambda each: each[0].provider)


def admit_query(
    db: Connection, account: Account, by: str, settings: Settings, *, has_news: bool, now: datetime
) -> float:
    """Let a claim's first question pass, in the claim's own transaction: 0, and after a rest it is the probe.

    Else in how many seconds to come back. While the lane rests, news is asked about one at a time.
    """
    if read(db, account, "query").is_well:
        return 0.0
    lane = lock(db, account, "query")
    if lane.is_well:
        return 0.0
    if not has_news and (wait_s := lane.wait_s(now)):
        return wait_s
    if probed_s := lane.probed_s(now, longest_s=settings.query_lease_s):
        return min(probed_s, PROBED_PAUSE_S)
    asking = lane.silent(now) if lane.may_ask(now) else lane
    write(db, account, "query", asking.probe(by, now, for_s=settings.query_lease_s))
    return 0.0


def rest(db: Connection, account: Account, name: LaneName, reason: str, seconds: float, *, now: datetime) -> None:
    """Let a lane rest on somebody's word."""
    write(db, account, name, lock(db, account, name).rest(reason, seconds, now))


def resume(db: Connection, account: Account) -> None:
    """End the rests of a key's lanes, as a person has mended what was wrong. One order may go, whatever is out."""
    for name in LANES:
        write(db, account, name, replace(lock(db, account, name).well(), may_risk=name == "submit"))


def _tell(account: Account, name: LaneName, before: Lane, after: Lane) -> None:
    said = {"provider": account.provider, "account": account.fingerprint, "lane": name}
    since = after.since and iso_s(after.since)
    if after.is_well and not before.is_well:
        log.info("lane_well", **said, after=before.reason)
    elif not after.is_well and after.began_at != before.began_at:
        seconds = round(((after.until or after.began_at) - after.began_at).total_seconds()) if after.began_at else 0
        log.warning("lane_rests", **said, reason=after.reason, since=since, seconds=seconds)
    elif after.may_risk and not before.may_risk:
        log.info("lane_answers", **said, after=before.reason)


@cache
def _new(dialect: str) -> sa.Insert:
    return upsert(dialect, lanes).on_conflict_do_nothing()


def key_of(account: Account, name: LaneName) -> dict[str, Any]:
    return {"of_provider": account.provider, "of_account": account.fingerprint, "of_lane": name}
