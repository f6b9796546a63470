"""An index that leads to notices that were given up"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

GIVEN_UP = sa.text("alarm_at IS NULL AND delivered_at IS NULL")


def upgrade() -> None:
    op.create_index("ix_notices_given_up", "notices", ["created_at"], sqlite_where=GIVEN_UP, postgresql_where=GIVEN_UP)


def downgrade() -> None:
    op.drop_index("ix_notices_given_up", "notices")
