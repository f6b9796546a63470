"""What a key may do, and when it was last used"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("api_keys") as table:
        # Keys from before scopes could order as well as read, and go on so.
        table.add_column(sa.Column("scope", sa.String(length=8), nullable=False, server_default="write"))
        table.add_column(sa.Column("last_used_at", INSTANT, nullable=True))
    with op.batch_alter_table("api_keys") as table:
        table.alter_column("scope", existing_type=sa.String(length=8), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("api_keys") as table:
        table.drop_column("last_used_at")
        table.drop_column("scope")
