"""Jobs, what they measured, and the workers that do them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from edgewright.hub.database.columns import count, document, moment, table, text
from edgewright.hub.database.guards import keep_own

revision = "jobs_0001"
down_revision = None
branch_labels = ("jobs",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table(
        "jobs", ("id",), text("id"), text("kind"), text("state"), text("reason"), text("version"), text("dataset"),
        text("target"), document("wish"), document("needs"), text("content"), count("priority"), document("progress"),
        document("result", True), text("report"), text("page"), text("stop"), text("worker", True), count("claim"),
        count("attempts"), count("deaths"), text("by"), moment("made"), moment("queued"), moment("began", True),
        moment("ended", True),
    )  # fmt: skip
    op.create_index("ix_jobs_tenant_state", "jobs", ["tenant", "state", "priority", "id"])
    op.create_index("ix_jobs_tenant_version", "jobs", ["tenant", "version"])
    op.create_index("ix_jobs_worker", "jobs", ["worker", "state"])
    table("candidates", ("job", "id"), text("job"), text("id"), count("number"), document("told"))
    table("job_keys", (), text("public"), text("sealed"), moment("made"))
    table("saved", ("content", "object"), text("content"), text("object"), moment("made"))
    op.create_table(
        "job_workers", text("id"), text("host"), document("engines"), document("accelerators"), count("cores"),
        count("memory_bytes"), count("slots"), text("release"), count("beat"), moment("seen"), text("state"),
        moment("lost", True), moment("made"), sa.PrimaryKeyConstraint("id", name="pk_job_workers"),
    )  # fmt: skip
    keep_own("job_workers")
