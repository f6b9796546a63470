"""Lanes that rest and are probed; when a task was last asked about; what a person says became of an order"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
UNCERTAIN = sa.text("standing = 'uncertain'")
KEY = ("provider", "account", "lane")
ATTEMPTS = {
    "answered_at": INSTANT,
    "unanswered_since": INSTANT,
    "settled": sa.String(16),
    "named_task_id": sa.String(200),
    "named_refused": sa.Text(),
}
DOUBTS = ("age_unknown", "contested")


def upgrade() -> None:
    op.create_table(
        "lanes",
        *_key(),
        sa.Column("until", INSTANT),
        sa.Column("reason", sa.String(length=64)),
        sa.Column("since", INSTANT),
        sa.Column("began_at", INSTANT),
        sa.Column("rest_s", sa.Float(), nullable=False, server_default="0"),
        sa.Column("losses", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lost_of", sa.String(length=250)),
        sa.Column("prober", sa.String(length=120)),
        sa.Column("probing_until", INSTANT),
        sa.Column("may_risk", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("ask_at", INSTANT),
        sa.Column("accepted_at", INSTANT),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_lanes")),
    )
    op.execute(
        "INSERT INTO lanes (provider, account, lane, until, reason)"
        " SELECT provider, account, lane, until, reason FROM cooldowns"
    )
    op.drop_table("cooldowns")
    op.create_table(
        "hearsay",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(length=200), nullable=False),
        sa.Column("heard_at", INSTANT, nullable=False),
        sa.Column("asks", sa.Integer(), nullable=False),
        sa.Column("ask_at", INSTANT, nullable=False),
        sa.Column("is_signed", sa.Boolean(), nullable=False),
        sa.Column("is_contested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "attempt", "task_id", name=op.f("pk_hearsay")),
    )
    op.execute(
        "INSERT INTO hearsay SELECT inbox.job_id, inbox.attempt, inbox.task_id, max(received_at), 0, max(received_at),"
        " false, false FROM inbox JOIN attempts ON attempts.job_id = inbox.job_id AND attempts.number = inbox.attempt"
        " WHERE attempts.task_id IS NULL AND inbox.task_id IS NOT NULL"
        " GROUP BY inbox.job_id, inbox.attempt, inbox.task_id"
    )
    for name, kind in ATTEMPTS.items():
        op.add_column("attempts", sa.Column(name, kind))
    for name in DOUBTS:
        op.add_column("attempts", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_attempts_uncertain",
        "attempts",
        ["provider", "account"],
        sqlite_where=UNCERTAIN,
        postgresql_where=UNCERTAIN,
    )


def downgrade() -> None:
    op.drop_index("ix_attempts_uncertain", "attempts")
    for name in (*ATTEMPTS, *DOUBTS):
        op.drop_column("attempts", name)
    op.create_table(
        "cooldowns",
        *_key(),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_cooldowns")),
    )
    op.drop_table("hearsay")
    op.execute(
        "INSERT INTO cooldowns SELECT provider, account, lane, until, reason FROM lanes"
        " WHERE until IS NOT NULL AND reason IS NOT NULL"
    )
    op.drop_table("lanes")


def _key() -> list[sa.Column[str]]:
    lengths = {"provider": 32, "account": 64, "lane": 8}
    return [sa.Column(name, sa.String(length=length), nullable=False) for name, length in lengths.items()]
