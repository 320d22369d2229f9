"""Benchmarks."""

from __future__ import annotations

from alembic import op

from edgewright.hub.database.columns import amount, count, document, moment, table, text

revision = "benchmarks_0001"
down_revision = None
branch_labels = ("benchmarks",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table(
        "benchmarks", ("id",), text("id"), text("name"), document("subjects"), amount("seconds"), count("seed"),
        text("job"), text("by"), moment("made"),
    )  # fmt: skip
    op.create_index("ix_benchmarks_tenant_made", "benchmarks", ["tenant", "made"])
