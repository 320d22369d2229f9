"""Lines of the audit log by what was done, for plans that count a day's."""

from __future__ import annotations

from alembic import op

revision = "accounts_0002"
down_revision = "accounts_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_audit_tenant_action", "audit", ["tenant", "action", "at"])
