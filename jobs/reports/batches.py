"""What became of a batch: its jobs by state, what they cost, how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.errors import UnknownBatch
from jobs.machine.states import ENDED, State
from jobs.reports.costs import LINES, Total, total_columns
from jobs.store.tables import attempts, jobs


@dataclass(frozen=True)
class Batch:
    """`states` names those that there are. `ended_at`: when the last job ended; None: some have not.

    `video_s` is the length of all archived videos together, as far as they show one.
    """

    name: str
    states: dict[State, int]
    flagged: int
    bytes: int
    video_s: float
    created_at: datetime
    ended_at: datetime | None
    lines: dict[str, Total]

    @property
    def jobs(self) -> int:
        return sum(self.states.values())


def read(db: Connection, name: str) -> Batch:
    """Raises UnknownBatch, also for what no batch can be called; such a name never reaches the database."""
    if not name.isprintable():
        raise UnknownBatch(f"No job belongs to a batch {name!r}.")
    of_it = jobs.c.batch == name
    is_archived = jobs.c.state == State.ARCHIVED.value
    each = sa.select(
        jobs.c.state,
        sa.func.count().label("jobs"),
        sa.func.count(jobs.c.flagged).label("flagged"),
        sa.func.coalesce(sa.func.sum(jobs.c.bytes).filter(is_archived), 0).label("bytes"),
        sa.func.coalesce(sa.func.sum(jobs.c.duration_s).filter(is_archived), 0.0).label("video_s"),
        sa.func.min(jobs.c.created_at).label("created_at"),
        sa.func.max(jobs.c.ended_at).label("ended_at"),
    )
    rows = db.execute(each.where(of_it).group_by(jobs.c.state)).all()
    if not rows:
        raise UnknownBatch(f"No job belongs to a batch {name!r}.")
    states = {State(row.state): row.jobs for row in rows}
    over = states.keys() <= ENDED
    return Batch(
        name=name,
        states=states,
        flagged=sum(row.flagged for row in rows),
        bytes=int(sum(row.bytes for row in rows)),
        video_s=sum(row.video_s for row in rows),
        created_at=min(row.created_at for row in rows),
        ended_at=max(row.ended_at for row in rows) if over else None,
        lines=_lines(db, of_it),
    )


def _lines(db: Connection, of_it: sa.ColumnElement[bool]) -> dict[str, Total]:
    """The money of all orders of the batch, by every line that there is."""
    line, *columns = total_columns()
    chosen = sa.select(line, *columns).join(jobs, jobs.c.id == attempts.c.job_id).where(of_it).group_by(line)
    found = {row[0]: Total(*row[1:]) for row in db.execute(chosen)}
    return {name: found.get(name, Total(0, 0.0, 0)) for name in LINES}
