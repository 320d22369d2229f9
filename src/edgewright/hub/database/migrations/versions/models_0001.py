"""Models, versions, data sets, and the uploads that carry them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from edgewright.hub.database.columns import count, document, moment, table, text

revision = "models_0001"
down_revision = None
branch_labels = ("models",)
depends_on = ("accounts_0001",)


def _checked() -> tuple[SchemaItem, ...]:
    return (
        text("state"), text("reason"), text("filename"), text("file"), count("length"), text("upload"),
        moment("until"), count("tries"), text("by"), moment("made"),
    )  # fmt: skip


def upgrade() -> None:
    """Make them."""
    table(
        "models", ("id",), text("id"), text("name"), text("description"), count("numbers"), count("count"),
        text("newest"), text("by"), moment("made"),
        sa.UniqueConstraint("tenant", "name", name="uq_models_tenant_name"),
    )  # fmt: skip
    table(
        "versions", ("id",), text("id"), text("model"), count("number"), text("stage"), text("note"), text("format"),
        text("digest"), document("files"), text("graph"), document("signature"), document("facts"), text("parent"),
        text("job"), *_checked(),
    )  # fmt: skip
    op.create_index("ix_versions_tenant_model", "versions", ["tenant", "model", "number"])
    op.create_index("ix_versions_state", "versions", ["state"])
    op.create_index("ix_versions_tenant_parent", "versions", ["tenant", "parent"])
    table("datasets", ("id",), text("id"), text("name"), document("reading"), document("facts"), *_checked())
    op.create_index("ix_datasets_state", "datasets", ["state"])
    table(
        "uploads", ("id",), text("id"), text("kind"), text("of"), document("wish"), text("filename"), count("length"),
        count("offset"), text("sha256"), text("result"), text("by"), moment("made"), moment("until"),
    )  # fmt: skip
    op.create_index("ix_uploads_until", "uploads", ["until"])
    table(
        "upload_parts", ("upload", "start"), text("upload"), count("start"), count("length"), text("object"),
    )  # fmt: skip
    op.create_index("ix_upload_parts_tenant_object", "upload_parts", ["tenant", "object"])
