"""What a gateway's account had used when it was last asked, and what ours had of it then"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "credit_balances",
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("used", sa.Float(), nullable=False),
        sa.Column("booked", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "account", name="pk_credit_balances"),
    )


def downgrade() -> None:
    op.drop_table("credit_balances")
