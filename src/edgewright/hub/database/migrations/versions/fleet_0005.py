"""Rollups by device and time: what a device or the fleet told lately is found without a look at all others' rows."""

from __future__ import annotations

from alembic import op

revision = "fleet_0005"
down_revision = "fleet_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put the key's columns into another order."""
    with op.batch_alter_table("periods") as batch:  # SQLite copies the table
        batch.drop_constraint("pk_periods", type_="primary")
        batch.create_primary_key("pk_periods", ["tenant", "device", "began_s", "seconds", "model", "bundle"])
