"""What happens, numbered."""

from __future__ import annotations

from alembic import op

from edgewright.hub.database.columns import count, document, moment, table, text

revision = "events_0001"
down_revision = None
branch_labels = ("events",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table("events", ("seq",), count("seq"), moment("at"), text("kind"), text("of"), document("data"))
    op.create_index("ix_events_at", "events", ["at"])
    table("event_numbers", (), count("seq"))
