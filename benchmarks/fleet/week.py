"""A week of ten thousand devices' telemetry on the hub: its size, and how long a question about it takes.

A few devices' week goes through the hub's own code, report by report, in time that is made up; what a device's rows are
then is what ten thousand have, so they are copied under other names.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fleet.stage import Stage, packed

from edgewright.core.messages import Report
from edgewright.testing.fleet import Behaviour

if TYPE_CHECKING:
    from benchmarks.fleet.scale import Rows

FEW, HOURS, PERIOD_S = 20, 168, 900.0
_COLUMNS = "tenant, model, bundle, began_s, seconds, told"
_COPY = (
    f"INSERT INTO periods (device, {_COLUMNS}) SELECT 'c' || :n || '-' || device, {_COLUMNS}"
    " FROM periods WHERE device IN (SELECT name FROM devices)"
)


async def week(folder: Path, rows: Rows, devices: int) -> None:
    """The hub runs; the rows are put beside it."""
    from benchmarks.fleet.scale import Row

    stage = Stage(folder)
    try:
        await stage.enrol(FEW)
        names = [papers.name for papers in stage.fleet.papers]
        per_report_s = await asyncio.to_thread(_fill, stage, names, devices)
        await asyncio.to_thread(stage.restart)
        size = sum(path.stat().st_size for path in (folder / "hub").glob("hub.db*"))
        asked = []
        for _ in range(5):
            began = time.perf_counter()
            found = await stage.ask("/telemetry", period="hour")
            asked.append(time.perf_counter() - began)
        one = await stage.ask(f"/devices/{names[0]}/telemetry")
        hours = len(found["items"])
        if len(one["items"]) < HOURS or hours < HOURS:
            raise RuntimeError(f"the hub knows {len(one['items'])} hours of a device, {hours} of the fleet")
        rows += [
            Row("a fleet-week on the hub", round(size / 1e9, 3), "GB", "under 20 GB", None,
                f"{devices} devices, {len(one['items'])} hours each"),
            Row("a query over the fleet-week", round(max(asked), 3), "s", "under 1 s", None,
                f"the slowest of {[round(one, 3) for one in asked]}; {hours} hours of the fleet"),
            Row("taking a report", round(1000 * per_report_s, 3), "ms", "", None, "in one thread, 80 in a transaction"),
        ]  # fmt: skip
        for row in rows[-3:]:
            print(row, flush=True)
    finally:
        stage.close()


def _fill(stage: Stage, names: list[str], devices: int) -> float:
    """The week of ``names``, then of so many; how long a report took, in s."""
    from sqlalchemy import text

    import edgewright.hub.tables  # noqa: F401 - all of them, for what refers to what
    from edgewright.hub.fleet import folding
    from edgewright.hub.fleet.tables import Device
    from edgewright.hub.fleet.telemetry import Told, take
    from edgewright.hub.state import open_state

    with stage.site.api() as hub:
        tenant = str(hub.get("/account")["tenant"]["id"])
    of = Behaviour(1)
    path = stage.site.folder / "week.ewb"
    bundle = packed(path, stage.key, 0)  # observations of others are not believed
    with stage.site.api() as hub:
        hub.upload("/bundles", path, signer=stage.key.public.raw.hex())
    natures = {name: of.device(name) for name in names}
    spent, reports = 0.0, 0
    with open_state(stage.site.folder / "hub") as state:
        begin = state.clock() - timedelta(hours=HOURS)
        with state.database.write(tenant) as session:
            for name in names:
                session.find(Device, name).current = bundle
        for hour in range(HOURS):
            told = []
            for quarter in range(4):
                at = begin + timedelta(hours=hour, seconds=PERIOD_S * (quarter + 1))
                for name in names:
                    seen = natures[name].observe(of, "m", bundle, at.timestamp() - PERIOD_S, PERIOD_S)
                    told.append((name, Report("b1", 4 * hour + quarter, (seen,)), at))
            began = time.perf_counter()
            with state.database.write(tenant) as session:
                take(session, [Told(*one) for one in told])
            spent, reports = spent + time.perf_counter() - began, reports + len(told)
            folding.merge(state)
        copies = -(-devices // len(names)) - 1
        with state.database.engine.begin() as connection:
            for number in range(copies):
                connection.execute(text(_COPY), {"n": number})
    return spent / reports
