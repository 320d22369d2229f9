"""The fleet page live with 10,000 devices: what one viewer costs the hub, as a share of a core.

    python benchmarks/studio/viewers.py --json benchmarks/studio/results/viewers.json

A hub on one core, 10,000 devices in 40 groups, all of them in one rollout that is under way. Beside it, in a process of
its own, what the hub's listener writes of a fleet that polls every 30 s goes into the same database by the listener's
own code: each device's presence every 45 s (222 a second), 20 statuses a second that say something new, and an alert's
event every 5 s. Viewers ask for what the fleet page asks for, as often as it does (studio/src/api/fleet.ts, alerts.ts,
live.ts), over a connection that stays, and hear the events. Rounds with and without viewers take turns; what is told is
the difference of the hub's CPU time for each viewer, the medians of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.fleet.stage import HUB_CORE, OUR_CORE, Usage, on, packed

from edgewright.testing.site import Site
from edgewright.trust import SigningKey

GROUPS, CHANGES_S, ALERT_S, POLLS_S = 40, 20, 5.0, 45.0


def fill(folder: Path, tenant: str, count: int) -> None:
    """Devices as they are once they have polled."""
    import edgewright.hub.tables  # noqa: F401 - all of them, for what refers to what
    from edgewright.hub.fleet.tables import Device
    from edgewright.hub.state import open_state

    with open_state(folder) as state, state.database.write(tenant) as session:
        now = state.clock()
        told: dict[str, Any] = {"labels": {}, "config": {}, "collect": {}}
        session.add_all(
            Device(
                name=name(i), group=f"plant-{i % GROUPS:02d}", revision=1, made=now, changed=now, seen=now,
                facts={"storage_bytes": 32 * 2**30}, status=_status(i, now).to_json(), **told,
            )
            for i in range(count)
        )  # fmt: skip


def move(folder: Path, tenant: str, count: int) -> None:
    """Write what a fleet of so many says, second by second, until standard input ends."""
    import edgewright.hub.tables  # noqa: F401
    from edgewright.core.messages import Sync
    from edgewright.hub.events import emit
    from edgewright.hub.fleet import presence, statuses
    from edgewright.hub.state import open_state

    over, states = threading.Event(), ("downloading", "staged", "switching", "trial", "committed", "idle")
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    drawn, turn, alerted = random.Random(7), 0, 0.0
    with open_state(folder) as state:
        while not over.wait(1.0):
            now, step = state.clock(), round(count / POLLS_S)
            names = [name((turn * step + i) % count) for i in range(step)]
            told = []
            for i in drawn.sample(range(count), CHANGES_S):
                status = replace(_status(i, now), state=drawn.choice(states), attempt=turn)
                told.append(statuses.Told(name(i), Sync(1, "boot", status), now))
            with state.database.write(tenant) as session:
                presence.store(session, [(names, now)])
                statuses.store(session, told)
                if time.monotonic() - alerted > ALERT_S:
                    alerted = time.monotonic()
                    emit(session, "alert.raised", f"alr_{turn:026d}", {"severity": "warning", "told": "silent"}, now)
            turn += 1


def name(i: int) -> str:
    return f"press-{i:05d}"


def _status(i: int, now: datetime) -> Any:
    from edgewright.core.messages import Status

    return Status(current="ab" * 32, good="ab" * 32, clock_s=now.timestamp(), free_bytes=16 * 2**30 + i)


def release(site: Site, folder: Path) -> str:
    """A rollout to every device; its id."""
    key, path = SigningKey.generate(), folder / "bundle.ewb"
    packed(path, key, 0)
    with site.api() as hub:
        told = hub.upload("/bundles", path, signer=key.public.raw.hex())
        made = hub.post("/rollouts", {
            "name": "watched", "bundles": [told["digest"]], "group": "", "waves": "100", "soak_s": 600.0,
            "lease_s": 7200.0, "trial_s": 0.0, "max_failure": 0.5,
        })  # fmt: skip
    busy = ("staging", "wave")
    site.wait(lambda hub: hub.get(f"/rollouts/{made['id']}")["state"] in busy)
    return str(made["id"])


class Viewer:
    """One page: ``by`` is what its map shows, health or the rollout."""

    def __init__(self, address: tuple[str, int], token: str, rollout: str, by: str) -> None:
        self._address, self._token, self._lock = address, token, asyncio.Lock()
        self._rollout, self._over = rollout, rollout if by == "rollout" else ""
        self._layout, self.asked, self.heard, self.bytes = "", 0, 0, 0

    async def watch(self, seconds: float) -> None:
        """Open the page, and look at it for so long."""
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        asks = [
            asyncio.create_task(one) for one in (
                self._events(), self._again(2.0, self._map), self._again(5.0, lambda: self._get("/rollouts")),
                self._again(2.0, lambda: self._get(f"/rollouts/{self._rollout}")),
                self._again(5.0, lambda: self._get(f"/rollouts/{self._rollout}/decisions?limit=20")),
                self._again(15.0, self._alerts),
            )
        ]  # fmt: skip
        done, _ = await asyncio.wait(asks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for one in asks:
            one.cancel()
        for one in done:
            one.result()
        self._writer.close()

    async def _again(self, every_s: float, ask: Any) -> None:
        await asyncio.sleep(random.random() * every_s)
        while True:
            await ask()
            await asyncio.sleep(every_s)

    async def _map(self) -> None:
        over = f"&rollout={self._over}" if self._over else ""
        told = json.loads(await self._get(f"/fleet/map?layout={self._layout}{over}"))
        self._layout = told["layout"]

    async def _alerts(self) -> None:
        await self._get("/alerts?state=open")

    def _head(self, path: str, more: str = "") -> bytes:
        return (
            f"GET /api/edge{path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {self._token}\r\n{more}\r\n"
        ).encode()

    async def _get(self, path: str) -> bytes:
        async with self._lock:
            self._writer.write(self._head(path))
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head[:20], head
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await self._reader.readexactly(length)
        self.asked, self.bytes = self.asked + 1, self.bytes + len(body)
        return body

    async def _events(self) -> None:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(self._head("/events", "Accept: text/event-stream\r\n"))
            async for line in reader:
                if b'"kind"' in line and b"alert" in line:  # the page asks for its alerts anew
                    self.heard += 1
                    await self._alerts()
        finally:
            writer.close()


async def look(viewers: list[Viewer], seconds: float) -> None:
    await asyncio.gather(*(one.watch(seconds) for one in viewers))


def measure(site: Site, tokens: list[str], rollout: str, by: str, options: argparse.Namespace) -> dict[str, Any]:
    """Rounds without and with viewers, in turn."""
    url, pid = urlsplit(site.profile.url), site.hub.process.pid
    address = (url.hostname or "", url.port or 0)
    shares: dict[int, list[float]] = {}
    asked = sent = heard = 0
    for _ in range(options.rounds):
        for count in (0, 1, options.viewers):
            viewers = [Viewer(address, token, rollout, by) for token in tokens[:count]]
            before, began = Usage.of(pid).cpu_s, time.monotonic()
            if viewers:
                asyncio.run(look(viewers, options.seconds))
            else:
                time.sleep(options.seconds)
            shares.setdefault(count, []).append((Usage.of(pid).cpu_s - before) / (time.monotonic() - began))
            if count == options.viewers:
                asked, sent = asked + sum(v.asked for v in viewers), sent + sum(v.bytes for v in viewers)
                heard += sum(v.heard for v in viewers)
            print(by, count, round(shares[count][-1], 4), flush=True)
    rest, one, many = (sorted(shares[n])[len(shares[n]) // 2] for n in (0, 1, options.viewers))
    spent = options.viewers * options.rounds * options.seconds
    return {
        "core_without": round(rest, 4), "core_with_one": round(one, 4), f"core_with_{options.viewers}": round(many, 4),
        "first_viewer": round(one - rest, 4), "each_of_many": round((many - rest) / options.viewers, 4),
        "requests_per_s_each": round(asked / spent, 2), "bytes_per_s_each": round(sent / spent),
        "events_per_s_each": round(heard / spent, 3),
    }  # fmt: skip


def main() -> int:
    """Print and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--viewers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--move", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.move:
        move(Path(options.move[0]), options.move[1], options.devices)
        return 0
    with tempfile.TemporaryDirectory(prefix="ew-viewers-") as folder:
        with on(HUB_CORE):
            site = Site(Path(folder) / "site")
        with site, on(OUR_CORE):
            with site.api() as hub:
                tenant = str(hub.get("/account")["tenant"]["id"])
                tokens = [hub.post("/tokens", {"name": f"viewer {i}"})["token"] for i in range(options.viewers)]
            fill(site.data, tenant, options.devices)
            rollout = release(site, Path(folder))
            words = [sys.executable, __file__, "--devices", str(options.devices), "--move", str(site.data), tenant]
            mover = subprocess.Popen(words, stdin=subprocess.PIPE)
            time.sleep(10.0)  # the hub has seen to all that the rollout began
            figures: dict[str, Any] = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"), "devices": options.devices,
                "viewers": options.viewers, "seconds": options.seconds, "rounds": options.rounds,
            }  # fmt: skip
            for by in ("health", "rollout"):
                figures[by] = measure(site, tokens, rollout, by, options)
            mover.communicate()
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
