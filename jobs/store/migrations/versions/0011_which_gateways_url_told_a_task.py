"""Under which gateway's callback URL a task was told, and since when orders that no row knows are asked about in vain"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
hearsay, inbox, attempts = (
    sa.table(name, *map(sa.column, columns))
    for name, columns in {
        "hearsay": ("job_id", "attempt", "task_id", "provider"),
        "inbox": ("job_id", "attempt", "task_id", "provider"),
        "attempts": ("job_id", "number", "provider"),
    }.items()
)
TOLD_OF_ORDER = sa.select(sa.func.min(inbox.c.provider)).where(
    inbox.c.job_id == hearsay.c.job_id, inbox.c.attempt == hearsay.c.attempt
)
TOLD_BY = TOLD_OF_ORDER.where(inbox.c.task_id == hearsay.c.task_id)
ORDERED_AT = sa.select(attempts.c.provider).where(
    attempts.c.job_id == hearsay.c.job_id, attempts.c.number == hearsay.c.attempt
)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("strange_since", INSTANT))
    op.add_column("hearsay", sa.Column("provider", sa.String(length=32)))
    for known in (TOLD_BY, ORDERED_AT, TOLD_OF_ORDER):
        op.execute(sa.update(hearsay).where(hearsay.c.provider.is_(None)).values(provider=known.scalar_subquery()))
    # Nobody can say whom to ask about these; what no row knew, and no kept body told, was never asked about.
    op.execute("DELETE FROM hearsay WHERE provider IS NULL")
    with op.batch_alter_table("hearsay") as table:
        table.alter_column("provider", existing_type=sa.String(length=32), nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("hearsay") as table:
        table.drop_column("provider")
    op.drop_column("jobs", "strange_since")
