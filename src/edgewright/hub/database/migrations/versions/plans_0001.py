"""Plans."""

from __future__ import annotations

from edgewright.hub.database.columns import document, moment, table, text

revision = "plans_0001"
down_revision = None
branch_labels = ("plans",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table("plans", ("id",), text("id"), text("name"), document("limits"), moment("changed"))
