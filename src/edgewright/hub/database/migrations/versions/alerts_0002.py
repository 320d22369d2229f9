"""Webhooks may want events, and need not want alerts; messages are delivered by whoever has their turn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from edgewright.hub.database import Document
from edgewright.hub.database.columns import moment, table, text

revision = "alerts_0002"
down_revision = "alerts_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the webhooks, which want alerts alone so far, and make the table of turns."""
    with op.batch_alter_table("webhooks") as batch:  # SQLite copies the table
        batch.add_column(sa.Column("events", Document, nullable=False, server_default="[]"))
        batch.alter_column("least", existing_type=sa.String(), nullable=True)
    op.create_index("ix_deliveries_state_due", "deliveries", ["state", "due"])
    table("delivery_turns", (), text("holder"), moment("until"))
