"""Device profiles, and which version fits where."""

from __future__ import annotations

import sqlalchemy as sa

from edgewright.hub.database.columns import document, moment, table, text

revision = "profiles_0001"
down_revision = None
branch_labels = ("profiles",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table(
        "profiles", ("id",), text("id"), text("name"), document("target"), text("origin"), text("by"), moment("made"),
        moment("changed"), sa.UniqueConstraint("tenant", "name", name="uq_profiles_tenant_name"),
    )  # fmt: skip
    table("fits", ("version", "target"), text("version"), text("target"), document("told"), moment("made"))
