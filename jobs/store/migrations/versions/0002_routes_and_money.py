"""Routes and money: why a job waits, what an attempt is reckoned to cost, days' spending, resting keys"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.String(32).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
OPEN = sa.text("outcome = 'open'")


def upgrade() -> None:
    with op.batch_alter_table("jobs") as table:
        table.add_column(sa.Column("error_said", sa.String(length=100), nullable=True))
        table.add_column(sa.Column("waiting", sa.JSON(none_as_null=True), nullable=True))
        table.add_column(sa.Column("inputs_until", INSTANT, nullable=True))
    with op.batch_alter_table("attempts") as table:
        table.add_column(sa.Column("error_said", sa.String(length=100), nullable=True))
        table.add_column(sa.Column("day", sa.String(length=10), nullable=True))
        table.add_column(sa.Column("estimate_exact", sa.Boolean(), nullable=False, server_default=sa.true()))
        table.add_column(sa.Column("reported_usd", sa.Float(), nullable=True))
        table.add_column(sa.Column("reserved_micro_usd", sa.BigInteger(), nullable=False, server_default="0"))
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    day = "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')" if on_postgresql else "substr(created_at, 1, 10)"
    op.execute(f"UPDATE attempts SET day = {day}")  # noqa: S608 - one of two texts of ours
    with op.batch_alter_table("attempts") as table:
        table.alter_column("day", existing_type=sa.String(length=10), nullable=False)
        table.alter_column("estimate_exact", existing_type=sa.Boolean(), server_default=None)
        table.alter_column("reserved_micro_usd", existing_type=sa.BigInteger(), server_default=None)
        table.create_index("ix_attempts_open", ["provider", "account"], sqlite_where=OPEN, postgresql_where=OPEN)
        table.create_index(op.f("ix_attempts_day"), ["day"])
    op.create_table(
        "pauses",
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("provider", "account", "lane", name=op.f("pk_pauses")),
    )
    op.create_table(
        "spending",
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("micro_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "day", name=op.f("pk_spending")),
    )
    op.create_table(
        "unknown_words",
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("word", sa.String(length=100), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("provider", "word", name=op.f("pk_unknown_words")),
    )


def downgrade() -> None:
    for name in ("unknown_words", "spending", "pauses"):
        op.drop_table(name)
    with op.batch_alter_table("attempts") as table:
        table.drop_index(op.f("ix_attempts_day"))
        table.drop_index("ix_attempts_open")
        for name in ("reserved_micro_usd", "reported_usd", "estimate_exact", "day", "error_said"):
            table.drop_column(name)
    with op.batch_alter_table("jobs") as table:
        for name in ("inputs_until", "waiting", "error_said"):
            table.drop_column(name)
