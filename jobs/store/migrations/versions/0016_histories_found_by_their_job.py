"""An index over histories that is as small as it can be"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_events_job_id", "events", ["job_id"])
    op.drop_index("ix_events_job_id_id", "events")


def downgrade() -> None:
    op.create_index("ix_events_job_id_id", "events", ["job_id", "id"])
    op.drop_index("ix_events_job_id", "events")
