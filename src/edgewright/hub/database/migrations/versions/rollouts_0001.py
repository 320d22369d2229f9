"""Rollouts, their members and decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from edgewright.hub.database.columns import amount, count, document, moment, table, text

revision = "rollouts_0001"
down_revision = None
branch_labels = ("rollouts",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table(
        "rollouts", ("id",), text("id"), text("name"), text("group"), text("bundle_name"), document("bundles"),
        document("policy"), document("plan"), document("needs"), document("conflicts"), text("author"),
        document("approvals"), moment("made"), moment("started", True), text("state"), count("wave"), text("phase"),
        amount("since"), _flag("signed"), document("order"), text("superseded_by", True), text("reverting"),
        document("look"), amount("look_due"), text("watch"), amount("watched"), moment("heard"),
        sa.Column("due", sa.Double(), nullable=True), text("worker"), amount("held_until"),
    )  # fmt: skip
    table(
        "members", ("rollout", "device"), text("rollout"), text("device"), count("wave"), _flag("control"),
        text("state"), count("attempt"), sa.Column("lease_until", sa.Double(), nullable=True), text("failure", True),
        _flag("switched"), amount("since"), text("bundle"), text("stratum"), document("before"), text("ran"),
        _flag("holds"),
    )  # fmt: skip
    op.create_index(
        "uq_members_tenant_device_held", "members", ["tenant", "device"], unique=True,
        sqlite_where=sa.text("holds"), postgresql_where=sa.text("holds"),
    )  # fmt: skip
    table(
        "decisions", ("id",), text("id"), text("rollout"), moment("at"), text("kind"), text("digest"),
        sa.Column("told", sa.Text(), nullable=False),
    )  # fmt: skip
    op.create_index("ix_decisions_tenant_rollout", "decisions", ["tenant", "rollout", "id"])


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)
