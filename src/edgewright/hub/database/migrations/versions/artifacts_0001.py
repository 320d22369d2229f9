"""Artifacts."""

from __future__ import annotations

from alembic import op

from edgewright.hub.database.columns import count, document, moment, table, text

revision = "artifacts_0001"
down_revision = None
branch_labels = ("artifacts",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table(
        "artifacts", ("id",), text("id"), text("kind"), text("bundle"), text("job"), text("name"), text("version"),
        text("release"), text("filename"), text("object"), count("length"), document("facts"), text("by"),
        moment("made"), moment("until"),
    )  # fmt: skip
    op.create_index("ix_artifacts_tenant_of", "artifacts", ["tenant", "bundle", "job", "kind"])
    op.create_index("ix_artifacts_until", "artifacts", ["until"])
    op.create_index("ix_artifacts_tenant_object", "artifacts", ["tenant", "object"])
