"""What all processes have counted together"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("labels", sa.String(500), nullable=False),
        sa.Column("part", sa.String(20), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", "part", name=op.f("pk_tallies")),
    )


def downgrade() -> None:
    op.drop_table("tallies")
