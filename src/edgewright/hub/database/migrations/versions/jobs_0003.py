"""Trials of a search that other workers may do."""

from __future__ import annotations

from alembic import op

from edgewright.hub.database.columns import count, document, table, text

revision = "jobs_0003"
down_revision = "jobs_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    table(
        "trials", ("job", "key"), text("job"), text("key"), count("number"), document("spec"), text("machine"),
        text("state"), text("worker", True),
    )  # fmt: skip
    op.create_index("ix_trials_state", "trials", ["state", "machine"])
