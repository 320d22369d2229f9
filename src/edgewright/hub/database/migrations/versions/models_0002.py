"""Versions by the digest of their model, and by the job that made them."""

from __future__ import annotations

from alembic import op

revision = "models_0002"
down_revision = "models_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("ix_versions_tenant_digest", "versions", ["tenant", "digest"])
    op.create_index("ix_versions_tenant_job", "versions", ["tenant", "job"])
