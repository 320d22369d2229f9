"""A bundle tells of which model it was made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "library_0002"
down_revision = "library_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and find bundles by it."""
    op.add_column("bundles", sa.Column("source", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_bundles_tenant_source", "bundles", ["tenant", "source", "digest"])
