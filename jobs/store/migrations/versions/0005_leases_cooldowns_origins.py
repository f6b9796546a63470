"""One word for one thing: leases, cooldowns, and by a column where an attempt came from"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
RENAMED = {"holder": "lease_holder", "held_until": "leased_until"}
# The key that stood in a forgotten attempt's request, as an expression of each database.
SINCE = {"postgresql": "request ->> 'suspected_since'", "sqlite": "json_extract(request, '$.suspected_since')"}
RECOGNISED = (
    "EXISTS (SELECT 1 FROM events WHERE events.job_id = attempts.job_id AND events.attempt = attempts.number"
    " AND events.event = 'order_recognised')"
)


def upgrade() -> None:
    for table in ("jobs", "notices"):
        for old, new in RENAMED.items():
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    _move_rows("pauses", "cooldowns")
    op.add_column("attempts", sa.Column("origin", sa.String(16), nullable=False, server_default="ordered"))
    since = SINCE[op.get_bind().dialect.name]
    op.execute(
        f"UPDATE attempts SET origin = CASE WHEN {RECOGNISED} THEN 'called_back' ELSE 'forgotten' END, request = '{{}}'"  # noqa: S608 - texts of ours
        f" WHERE {since} IS NOT NULL"
    )


def downgrade() -> None:
    now = {
        "postgresql": "json_build_object('suspected_since', created_at)",
        "sqlite": "json_object('suspected_since', created_at)",
    }
    since = now[op.get_bind().dialect.name]
    op.execute(f"UPDATE attempts SET request = {since} WHERE origin <> 'ordered'")  # noqa: S608 - a text of ours
    op.drop_column("attempts", "origin")
    _move_rows("cooldowns", "pauses")
    for table in ("jobs", "notices"):
        for old, new in RENAMED.items():
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")


def _move_rows(old: str, new: str) -> None:
    """Made anew, so that the primary key bears the table's name on both databases."""
    op.create_table(
        new,
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("provider", "account", "lane", name=op.f(f"pk_{new}")),
    )
    op.execute(f"INSERT INTO {new} SELECT * FROM {old}")  # noqa: S608 - names of ours
    op.drop_table(old)
