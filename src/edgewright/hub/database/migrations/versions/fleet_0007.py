"""Devices by the bundle that they run."""

from __future__ import annotations

from alembic import op

revision = "fleet_0007"
down_revision = "fleet_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_devices_tenant_current", "devices", ["tenant", "current"])
