"""The simulated fleet on the real hub: let in, asked, revoked, and back after the hub was started again."""

import asyncio
from datetime import UTC, datetime

from edgewright.client.signing import first_root, publish_root
from edgewright.testing.fleet import Fleet, Setting, invite
from edgewright.testing.site import Site

PATIENCE_S = 120.0


def test_devices_are_let_in_asked_revoked_and_come_back(tmp_path):
    async def run(site):
        with site.api() as hub:
            publish_root(hub, first_root(hub, datetime.now(UTC)))
            tokens = invite(hub, 6, "line")
        fleet = Fleet(f"https://{site.devices}", tmp_path / "fleet", Setting(durations={}))
        await fleet.enrol(6, tokens)
        async with fleet.running():
            await fleet.until(lambda: fleet.counts.parked == 6, PATIENCE_S)
            first, second = fleet.papers[0].name, fleet.papers[1].name
            with site.api() as hub:
                assert {one["group"] for one in hub.every("/devices")} == {"line"}
                hub.post(f"/devices/{first}/collect", {"kind": "log"})
                await fleet.until(lambda: fleet.counts.uploads == 1, PATIENCE_S)
                hub.post(f"/devices/{second}/revoke")
                await fleet.until(lambda: fleet.counts.held == 1, PATIENCE_S)
            await asyncio.to_thread(site.restart_hub)
            await fleet.until(lambda: fleet.counts.parked == 5, PATIENCE_S)
        assert fleet.counts.held == 1

    with Site(tmp_path / "site", development=False) as site:
        asyncio.run(run(site))
