"""Configuration of groups."""

from __future__ import annotations

from edgewright.hub.database.columns import document, moment, table, text

revision = "fleet_0003"
down_revision = "fleet_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    table("device_groups", ("name",), text("name"), document("config"), document("collect"), moment("changed"))
