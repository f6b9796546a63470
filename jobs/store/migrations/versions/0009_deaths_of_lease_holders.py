"""How often in a row whoever held a job's lease has died, and until when it is set aside for that"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("holder_deaths", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("set_aside_until", INSTANT))


def downgrade() -> None:
    op.drop_column("jobs", "set_aside_until")
    op.drop_column("jobs", "holder_deaths")
