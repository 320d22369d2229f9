"""List endpoints with 100,000 rows: requests a second of one hub process, on one core, asked from the other.

    python benchmarks/studio/lists.py --json benchmarks/studio/results/lists.json

Thirty-two connections ask for pages, each the next page of its list, as somebody who scrolls does, and each with two
tokens in turn (of which each is let in 100 times a second).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.fleet.stage import HUB_CORE, OUR_CORE, Usage, on

from edgewright.core.messages import Status
from edgewright.hub.ids import new_id
from edgewright.testing.site import Site

CONNECTIONS = 32
LISTS = ("models", "devices", "audit", "device-profiles")


def fill(path: Path, rows: int) -> None:
    """Rows of a tenant's, as the hub would have written them: models that have a version, devices that have polled."""
    with sqlite3.connect(path) as database:
        (tenant,) = database.execute("SELECT id FROM tenants").fetchone()
        now = int(time.time() * 1000)
        by = {"tenant": tenant, "by": "usr_01jd7x3w9q4e5r6t7y8a9b0c1d", "made": now}
        versions = [new_id("ver", now - i) for i in range(rows)]
        models = [new_id("mod", now - i) for i in range(rows)]
        _add(database, "models", by | {"count": 1, "numbers": 1}, (
            {"id": models[i], "name": f"model {i}", "newest": versions[i], "made": now - i} for i in range(rows)
        ))  # fmt: skip
        tensor = {"dtype": "float32", "shape": ["n", 1, 8, 8]}
        told = {
            "signature": json.dumps({"inputs": [{"name": "x", **tensor}], "outputs": [{"name": "y", **tensor}]}),
            "facts": json.dumps({"parameters": 59_210, "macs": 1_204_000, "layers": 14, "opset": 17}),
            "state": "ready", "stage": "registered", "format": "onnx", "filename": "model.onnx", "files": "{}",
            "digest": "ab" * 32, "file": "cd" * 32, "length": 238_133, "number": 1, "until": now,
        }  # fmt: skip
        _add(database, "versions", by | told, ({"id": versions[i], "model": models[i]} for i in range(rows)))
        status = Status(current="ab" * 32, good="ab" * 32, clock_s=now / 1000, free_bytes=16 * 2**30).to_json()
        told = {
            "tenant": tenant, "revision": 1, "made": now, "current": "ab" * 32, "status": json.dumps(status),
            "labels": '{"hall": "2"}', "facts": '{"storage_bytes": 34359738368}', "config": "{}", "collect": "{}",
        }  # fmt: skip
        _add(database, "devices", told, (
            {"name": f"device-{i:06d}", "group": f"line-{i % 40}", "seen": now - i, "changed": now - 7 * i}
            for i in range(rows)
        ))  # fmt: skip


def _add(database: sqlite3.Connection, table: str, all_of_them: dict[str, Any], each: Iterable[dict[str, Any]]) -> None:
    """What is not said is nothing: 0, "" or null."""
    columns = {
        name: None if not needed else 0 if kind in ("BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "FLOAT") else ""
        for _, name, kind, needed, *_ in database.execute(f"PRAGMA table_info({table})")
    } | all_of_them
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join(f":{name}" for name in columns)
    database.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", ({**columns, **one} for one in each))


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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ew-lists-") as folder:
        with on(HUB_CORE):
            site = Site(Path(folder) / "site")
        with site, on(OUR_CORE):
            fill(Path(folder) / "site" / "hub" / "hub.db", arguments.rows)
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
