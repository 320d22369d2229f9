"""What reports add to the fleet's rollups, until it is merged."""

from __future__ import annotations

from edgewright.hub.database.columns import count, octets, table, text

revision = "fleet_0002"
down_revision = "fleet_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    table(
        "contributions", ("id",), text("id"), text("group"), text("model"), text("bundle"), count("began_s"),
        count("seconds"), octets("told"),
    )  # fmt: skip
