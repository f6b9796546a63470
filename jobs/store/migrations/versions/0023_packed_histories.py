"""The histories of jobs that rest, a row each"""

import json
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

LINE = ("id", "at", "event", "attempt", "from_state", "to_state", "detail")
AT_ONCE = 1000


def upgrade() -> None:
    op.create_table(
        "histories",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_histories_job_id"),
        sa.PrimaryKeyConstraint("job_id", name="pk_histories"),
    )


def downgrade() -> None:
    db = op.get_bind()
    is_postgresql = db.dialect.name == "postgresql"
    read: Callable[[str], Any] = datetime.fromisoformat if is_postgresql else str
    types = {"at": sa.TIMESTAMP(timezone=True) if is_postgresql else sa.String(32), "detail": sa.JSON()}
    events = sa.table("events", sa.column("job_id"), *(sa.column(name, types.get(name)) for name in LINE))
    histories = sa.table("histories", sa.column("job_id"), sa.column("lines", sa.LargeBinary()))
    after = ""
    while True:
        page = sa.select(histories).where(histories.c.job_id > after).order_by(histories.c.job_id).limit(AT_ONCE)
        found = db.execute(page).all()
        if not found:
            break
        after = found[-1].job_id
        lines = [(row.job_id, dict(zip(LINE, line, strict=True))) for row in found for line in _unpacked(row.lines)]
        db.execute(sa.insert(events), [{**line, "job_id": job_id, "at": read(line["at"])} for job_id, line in lines])
    op.drop_table("histories")


def _unpacked(lines: bytes) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(zlib.decompress(lines))
    return found
