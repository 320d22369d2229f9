"""List endpoints with 100,000 rows: requests a second of one hub process, on one core, asked from the other.

    python benchmarks/studio/lists.py --json benchmarks/studio/results/lists.json

Thirty-two connections ask for pages, each the next page of its list, as somebody who scrolls does, and each with two
tokens in turn (of which each is let in 100 times a second).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import insert, select, text

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.fleet.stage import HUB_CORE, OUR_CORE, Usage, on

from edgewright.core.messages import Status
from edgewright.hub.ids import new_id
from edgewright.testing.site import Site

CONNECTIONS, BATCH = 32, 5000
LISTS = ("models", "devices", "audit", "device-profiles")


def fill(url: str, rows: int) -> None:
    """Rows of a tenant's, as the hub would have written them: models that have a version, devices that have polled."""
    import edgewright.hub.tables  # noqa: F401 - all of them, for what refers to what
    from edgewright.hub.accounts.tables import Tenant
    from edgewright.hub.database import EVERY, Database
    from edgewright.hub.fleet.tables import Device
    from edgewright.hub.models.tables import Model, Version

    now = datetime.now(UTC)
    status = Status(current="ab" * 32, good="ab" * 32, clock_s=now.timestamp(), free_bytes=16 * 2**30).to_json()
    tensor = {"dtype": "float32", "shape": ["n", 1, 8, 8]}
    told = {
        "signature": {"inputs": [{"name": "x", **tensor}], "outputs": [{"name": "y", **tensor}]},
        "facts": {"parameters": 59_210, "macs": 1_204_000, "layers": 14, "opset": 17},
        "state": "ready", "format": "onnx", "filename": "model.onnx", "digest": "ab" * 32, "file": "cd" * 32,
        "length": 238_133, "number": 1, "until": now, "upload": "",
    }  # fmt: skip
    with Database(url) as database, database.write(EVERY) as session:
        connection = session.connection()
        tenant = connection.scalar(select(Tenant.id))
        by = {"tenant": tenant, "by": "usr_01jd7x3w9q4e5r6t7y8a9b0c1d", "made": now}
        for start in range(0, rows, BATCH):
            batch = [(i, now - timedelta(milliseconds=i)) for i in range(start, min(start + BATCH, rows))]
            ids = [(new_id("mod", ms), new_id("ver", ms)) for ms in (int(1e3 * at.timestamp()) for _, at in batch)]
            named = list(zip(ids, batch, strict=True))
            connection.execute(insert(Model), [
                {**by, "id": model, "name": f"model {i}", "newest": version, "count": 1, "numbers": 1, "made": at}
                for (model, version), (i, at) in named
            ])  # fmt: skip
            connection.execute(
                insert(Version), [{**by, **told, "id": version, "model": model} for model, version in ids]
            )
            connection.execute(insert(Device), [
                {"tenant": tenant, "name": f"device-{i:06d}", "group": f"line-{i % 40}", "revision": 1, "made": now,
                 "seen": at, "changed": at, "current": "ab" * 32, "status": status, "labels": {"hall": "2"},
                 "facts": {"storage_bytes": 32 * 2**30}, "config": {}, "collect": {}}
                for i, at in batch
            ])  # fmt: skip
        if not database.embedded:  # as the server does by itself a minute later
            connection.execute(text("ANALYZE"))


async def ask(address: tuple[str, int], tokens: Sequence[str], path: str, end: float) -> tuple[int, list[float]]:
    """Requests one after the other until then; how many, and how long each took, s."""
    reader, writer = await asyncio.open_connection(*address)
    took, cursor = [], ""
    while time.monotonic() < end:
        began = time.perf_counter()
        token = tokens[len(took) % len(tokens)]
        head = f"GET {path}{cursor} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in answer[:20], answer
        length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        following = body.rpartition(b'"next":')[2]
        mark = following.split(b'"')[1].decode() if following.startswith(b'"') else ""
        cursor = f"&cursor={mark}" if mark else ""
    writer.close()
    return len(took), took


async def rate(address: tuple[str, int], tokens: list[str], path: str, seconds: float, pid: int) -> dict[str, float]:
    """``cpu_ms``: of the hub's process for one request, which another program beside it does not change as much."""
    end, before = time.monotonic() + seconds, Usage.of(pid).cpu_s
    found = await asyncio.gather(*(ask(address, tokens[i::CONNECTIONS], path, end) for i in range(CONNECTIONS)))
    took, spent = sorted(one for _, each in found for one in each), Usage.of(pid).cpu_s - before
    return {
        "requests_per_s": round(sum(count for count, _ in found) / seconds, 1),
        "median_ms": round(1e3 * took[len(took) // 2], 2), "p99_ms": round(1e3 * took[int(len(took) * 0.99)], 2),
        "cpu_ms": round(1e3 * spent / len(took), 3),
    }  # fmt: skip


def main() -> int:
    """Print and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--database", default="", help="postgresql://USER@HOST/NAME, an empty one (default: SQLite)")
    arguments = parser.parse_args()
    if arguments.database:
        os.environ["EDGEWRIGHT_DATABASE"] = arguments.database
    with tempfile.TemporaryDirectory(prefix="ew-lists-") as folder:
        with on(HUB_CORE):
            site = Site(Path(folder) / "site")
        with site, on(OUR_CORE):
            fill(arguments.database or f"sqlite:///{Path(folder) / 'site' / 'hub' / 'hub.db'}", arguments.rows)
            url = urlsplit(site.profile.url)
            address = (url.hostname or "", url.port or 0)
            with site.api() as hub:
                tokens = [hub.post("/tokens", {"name": f"viewer {i}"})["token"] for i in range(2 * CONNECTIONS)]
            figures: dict[str, object] = {"rows": arguments.rows, "limit": arguments.limit}
            for name in LISTS:
                path = f"/api/edge/{name}?limit={arguments.limit}"
                figures[name] = asyncio.run(rate(address, tokens, path, arguments.seconds, site.hub.process.pid))
                print(name, figures[name], flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
