"""The run of requests that a job belongs to"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

IN_ONE = sa.text("batch IS NOT NULL")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("batch", sa.String(100)))
    op.create_index(
        "ix_jobs_batch", "jobs", ["batch", "created_at", "id"], sqlite_where=IN_ONE, postgresql_where=IN_ONE
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_batch", "jobs")
    op.drop_column("jobs", "batch")
