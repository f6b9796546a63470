"""Orders whose video was made and is not in the bucket, found among a million others"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NOT_HOME = sa.text("outcome IN ('finished', 'undelivered')")


def upgrade() -> None:
    op.create_index("ix_attempts_not_home", "attempts", ["day"], sqlite_where=NOT_HOME, postgresql_where=NOT_HOME)


def downgrade() -> None:
    op.drop_index("ix_attempts_not_home", "attempts")
