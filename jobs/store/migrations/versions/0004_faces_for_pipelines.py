"""Each try of a notice, a key's own notify_url, and indexes for lists of jobs and notices"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "notice_tries",
        sa.Column("notice_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("took_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_notice_tries_notice_id"),
        sa.PrimaryKeyConstraint("notice_id", "number", name="pk_notice_tries"),
    )
    with op.batch_alter_table("api_keys") as table:
        table.add_column(sa.Column("notify_url", sa.Text(), nullable=True))
    op.create_index("ix_notices_created_at_id", "notices", ["created_at", "id"])
    op.create_index("ix_jobs_state_created_at_id", "jobs", ["state", "created_at", "id"])
    for name, wanted in (("flagged", "flagged IS NOT NULL"), ("overdue", "overdue")):
        where = sa.text(wanted)
        columns = ["created_at", "id"]
        op.create_index(f"ix_jobs_{name}", "jobs", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name in ("ix_jobs_overdue", "ix_jobs_flagged", "ix_jobs_state_created_at_id"):
        op.drop_index(name, "jobs")
    op.drop_index("ix_notices_created_at_id", "notices")
    with op.batch_alter_table("api_keys") as table:
        table.drop_column("notify_url")
    op.drop_table("notice_tries")
