"""Jobs by their end, and orders by when theirs was heard, once they have one"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

HAS_ENDED, IS_HEARD = sa.text("ended_at IS NOT NULL"), sa.text("news_at IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_jobs_ended_at", "jobs", ["ended_at"], sqlite_where=HAS_ENDED, postgresql_where=HAS_ENDED)
    op.drop_index("ix_attempts_news_at", "attempts")
    op.create_index("ix_attempts_news_at", "attempts", ["news_at"], sqlite_where=IS_HEARD, postgresql_where=IS_HEARD)


def downgrade() -> None:
    op.drop_index("ix_attempts_news_at", "attempts")
    op.create_index("ix_attempts_news_at", "attempts", ["news_at"])
    op.drop_index("ix_jobs_ended_at", "jobs")
