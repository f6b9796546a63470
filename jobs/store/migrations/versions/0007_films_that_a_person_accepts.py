"""Films that the proof refused and that are kept aside, and who took one in place of the proof"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ATTEMPTS: dict[str, sa.types.TypeEngine[Any]] = {
    "unproven": sa.JSON(),
    "accepted_sha256": sa.String(64),
    "accepted_by": sa.String(40),
}


def upgrade() -> None:
    op.add_column("jobs", sa.Column("accepted_by", sa.String(40)))
    for name, kind in ATTEMPTS.items():
        op.add_column("attempts", sa.Column(name, kind))


def downgrade() -> None:
    op.drop_column("jobs", "accepted_by")
    for name in ATTEMPTS:
        op.drop_column("attempts", name)
