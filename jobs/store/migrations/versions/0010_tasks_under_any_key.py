"""An index that leads to a task's order, under whichever key that was sent"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_attempts_provider_task_id", "attempts", ["provider", "task_id"])


def downgrade() -> None:
    op.drop_index("ix_attempts_provider_task_id", "attempts")
