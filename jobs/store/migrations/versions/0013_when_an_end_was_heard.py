"""When the end of an order was first heard, beside how"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.add_column("attempts", sa.Column("news_at", INSTANT))
    op.create_index("ix_attempts_news_at", "attempts", ["news_at"])


def downgrade() -> None:
    op.drop_index("ix_attempts_news_at", "attempts")
    op.drop_column("attempts", "news_at")
