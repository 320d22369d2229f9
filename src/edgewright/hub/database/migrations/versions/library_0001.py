"""Bundles, their pieces and deltas, and the update metadata."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from edgewright.hub.database.columns import count, document, moment, octets, table, text

revision = "library_0001"
down_revision = None
branch_labels = ("library",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table(
        "bundles", ("digest",), text("digest"), text("id"), text("file"), count("length"), text("name"),
        text("version"), document("hardware"), document("engines"), text("signer"), document("evidence"),
        document("files"), sa.Column("released", sa.Boolean(), nullable=False), moment("made"),
    )  # fmt: skip
    op.create_index("ix_bundles_tenant_id", "bundles", ["tenant", "id"])
    table(
        "pieces", ("digest", "owner"), text("digest"), text("owner"), text("object"), count("start"), count("length"),
    )  # fmt: skip
    op.create_index("ix_pieces_tenant_owner", "pieces", ["tenant", "owner"])
    table(
        "deltas", ("new", "old"), text("new"), text("old"), text("state"), count("tries"), text("object"),
        count("start"), count("length"), moment("asked"), moment("until"),
    )  # fmt: skip
    table(
        "metadata", ("name",), text("name"), text("role"), count("version"), octets("data"), moment("expires"),
        moment("until", True),
    )  # fmt: skip
    table("publications", ("id",), text("id"), octets("partial", True), moment("published", True))
    table("pending", ("bundle",), text("bundle"), text("release"), moment("asked"))
    table("holds", ("holder", "bundle"), text("holder"), text("bundle"))
    op.create_index("ix_holds_tenant_bundle", "holds", ["tenant", "bundle"])
    table("arrivals", ("object",), text("object"), moment("until"))
