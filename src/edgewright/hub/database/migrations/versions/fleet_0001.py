"""Devices, their certificates and tokens of enrolment, and what they told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from edgewright.hub.database.columns import amount, count, document, moment, octets, table, text

revision = "fleet_0001"
down_revision = None
branch_labels = ("fleet",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table(
        "devices", ("name",), text("name"), text("group"), text("target"), document("labels"), document("facts"),
        count("revision"), text("rollout"), document("release", True), document("config"), document("collect"),
        document("status"), text("current"), text("boot"), amount("offset_s"), text("serial"), moment("made"),
        moment("seen", True), moment("changed"), moment("revoked", True),
    )  # fmt: skip
    op.create_index("ix_devices_tenant_revision", "devices", ["tenant", "revision"])
    op.create_index("ix_devices_tenant_group", "devices", ["tenant", "group"])
    op.create_index("ix_devices_tenant_rollout", "devices", ["tenant", "rollout"])
    table(
        "certificates", ("serial",), text("serial"), text("device"), text("key"), moment("made"), moment("until"),
        moment("revoked", True),
    )  # fmt: skip
    op.create_index("ix_certificates_tenant_device", "certificates", ["tenant", "device"])
    table(
        "enrolments", ("id",), text("id"), text("kind"), text("digest"), text("device"), text("group"),
        document("labels"), moment("made"), moment("until"), text("used_by", True), moment("used", True),
    )  # fmt: skip
    table("counters", ("name",), text("name"), count("value"))
    table("ledgers", ("device",), text("device"), sa.Column("seen", sa.Text(), nullable=False), count("dropped"))
    table(
        "periods", ("device", "model", "bundle", "began_s", "seconds"), text("device"), text("model"), text("bundle"),
        count("began_s"), count("seconds"), octets("told"),
    )  # fmt: skip
    op.create_index("ix_periods_tenant_began", "periods", ["tenant", "began_s"])
    table(
        "watches", ("id", "device"), text("id"), text("device"), moment("since"), octets("before", True),
        octets("after", True),
    )  # fmt: skip
    op.create_index("ix_watches_tenant_device", "watches", ["tenant", "device"])
    table(
        "happenings", ("id",), text("id"), text("device"), moment("at"), amount("told_s"), text("kind"), text("bundle"),
        text("detail"),
    )  # fmt: skip
    op.create_index("ix_happenings_tenant_device", "happenings", ["tenant", "device", "id"])
