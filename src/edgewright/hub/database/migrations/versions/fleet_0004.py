"""How closely devices are watched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "fleet_0004"
down_revision = "fleet_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: nobody is watched until a gate does."""
    op.add_column("devices", sa.Column("watched_s", sa.Double(), nullable=False, server_default="0"))
