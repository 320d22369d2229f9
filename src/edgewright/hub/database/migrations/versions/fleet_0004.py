"""How closely devices are watched, and whether two agents take turns as one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from edgewright.hub.database.columns import moment

revision = "fleet_0004"
down_revision = "fleet_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for column in (
        sa.Column("watched_s", sa.Double(), nullable=False, server_default="0"),
        sa.Column("boot_before", sa.String(), nullable=False, server_default=""),
        sa.Column("turns", sa.BigInteger(), nullable=False, server_default="0"),
        moment("cloned", optional=True),
    ):
        op.add_column("devices", column)
    op.add_column("watches", sa.Column("every_s", sa.Double(), nullable=False, server_default="0"))
