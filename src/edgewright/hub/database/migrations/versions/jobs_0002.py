"""A job keeps the target it was made for, where that is a profile of the tenant's own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "jobs_0002"
down_revision = "jobs_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("jobs", sa.Column("profile", sa.Text(), nullable=False, server_default=""))
