"""Alerts, their rules, webhooks, and messages on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from edgewright.hub.database.columns import count, document, moment, table, text

revision = "alerts_0001"
down_revision = None
branch_labels = ("alerts",)
depends_on = ("accounts_0001",)


def upgrade() -> None:
    """Make them."""
    table(
        "alerts", ("id",), text("id"), text("kind"), text("subject"), text("severity"), text("told"), moment("since"),
        text("open", True), moment("quiet", True), count("returns"), text("acknowledged_by"),
        moment("acknowledged", True), moment("ended", True),
        sa.UniqueConstraint("tenant", "open", name="uq_alerts_tenant_open"),
    )  # fmt: skip
    op.create_index("ix_alerts_tenant_ended", "alerts", ["tenant", "ended"])
    table("alert_rules", (), document("rules"), document("mail"), text("least"), moment("changed"))
    table("alert_turns", (), text("holder"), moment("until"), moment("since"), count("read"))
    table("alert_clones", ("device",), text("device"), moment("at"), text("told"))
    table("alert_losses", ("device",), text("device"), count("counted"), count("recent"), moment("at"))
    table(
        "alert_serving", ("device", "model"), text("device"), text("model"), count("began_s"), text("level"),
        text("told"), document("usual"),
    )  # fmt: skip
    op.create_index("ix_alert_serving_tenant_level", "alert_serving", ["tenant", "level"])
    table(
        "webhooks", ("id",), text("id"), text("url"), text("secret"), text("least"),
        sa.Column("private", sa.Boolean(), nullable=False), moment("made"),
    )  # fmt: skip
    table(
        "deliveries", ("id",), text("id"), text("channel"), text("alert"), text("event"),
        sa.Column("body", sa.Text(), nullable=False), text("state"), count("tries"), moment("made"), moment("due"),
        moment("ended", True), text("told"),
    )  # fmt: skip
    op.create_index("ix_deliveries_tenant_state_due", "deliveries", ["tenant", "state", "due"])
