"""As many lines of history, and callbacks, as 64 bits count"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

NUMBERED = ("events", "inbox")


def _count_in(kind: type[sa.Integer]) -> None:
    if op.get_bind().dialect.name == "sqlite":  # whose INTEGER has 64 bits
        return
    for table in NUMBERED:
        op.alter_column(table, "id", type_=kind())
        op.execute(f"ALTER SEQUENCE {table}_id_seq AS {'bigint' if kind is sa.BigInteger else 'integer'}")


def upgrade() -> None:
    _count_in(sa.BigInteger)


def downgrade() -> None:
    _count_in(sa.Integer)
