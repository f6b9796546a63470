"""The heads of lines of due jobs, and orders of which a person named the task"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

WAITS, IS_NAMED = "alarm_at IS NOT NULL", "named_task_id IS NOT NULL"
INDEXES = {
    "ix_jobs_line": ("jobs", ["state", "api_key_id", "alarm_at", "id"], f"{WAITS} AND link_dies_at IS NULL"),
    "ix_jobs_dying": ("jobs", ["state", "api_key_id", "link_dies_at", "id"], f"{WAITS} AND link_dies_at IS NOT NULL"),
    "ix_jobs_written": ("jobs", ["updated_at"], WAITS),
    "ix_attempts_named": ("attempts", ["job_id"], IS_NAMED),
}


def upgrade() -> None:
    for name, (table, columns, where) in INDEXES.items():
        op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(name, table)
