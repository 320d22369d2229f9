"""The services page."""

from __future__ import annotations

import sqlalchemy as sa

from edgewright.hub.database.columns import count, moment, table, text

revision = "services_0001"
down_revision = None
branch_labels = ("services",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make it."""
    table(
        "services_pages",
        (),
        sa.Column("text", sa.Text(), nullable=False),
        count("revision"),
        text("by"),
        moment("changed"),
    )
