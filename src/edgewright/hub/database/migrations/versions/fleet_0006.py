"""What devices are to measure, and have."""

from __future__ import annotations

from alembic import op

from edgewright.hub.database.columns import count, document, moment, table, text

revision = "fleet_0006"
down_revision = "fleet_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    table(
        "device_benchmarks", ("id",), text("id"), text("benchmark"), text("device"), count("number"), text("state"),
        text("reason"), document("asked"), document("result", True), moment("made"),
        moment("ended", True),
    )  # fmt: skip
    op.create_index("ix_device_benchmarks_tenant_benchmark", "device_benchmarks", ["tenant", "benchmark"])
    op.create_index("ix_device_benchmarks_tenant_device", "device_benchmarks", ["tenant", "device", "state"])
