"""One index of orders by their task: the one that lets no task be borne twice finds them as well"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

OF_KEY, OF_TASK = "uq_attempts_provider_account_task_id", "uq_attempts_provider_task_id_account"


def upgrade() -> None:
    with op.batch_alter_table("attempts") as table:
        table.drop_index("ix_attempts_provider_task_id")
        table.drop_constraint(OF_KEY, type_="unique")
        table.create_unique_constraint(OF_TASK, ["provider", "task_id", "account"])


def downgrade() -> None:
    with op.batch_alter_table("attempts") as table:
        table.drop_constraint(OF_TASK, type_="unique")
        table.create_unique_constraint(OF_KEY, ["provider", "account", "task_id"])
        table.create_index("ix_attempts_provider_task_id", ["provider", "task_id"])
