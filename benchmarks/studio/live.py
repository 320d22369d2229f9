"""Live progress: how long after it is known in a job's own process something is heard by whoever watches.

    python benchmarks/studio/live.py --json benchmarks/studio/results/live.json

A hub, a worker beside it and an optimization of the digits example, watched over server-sent events and over a
websocket. The process that measures writes down when it said each candidate (its own clock; all are on one machine);
the watcher writes down when it heard of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import connect

from edgewright.client import upload
from edgewright.testing.site import Site

OVER = ("done", "infeasible", "failed")
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
SPY = """
import sys, time
if "edgewright.hub.jobs.inside" in sys.orig_argv:
    log = open({log!r}, "a", buffering=1)
    import json
    plain = json.dumps
    def dumps(value, *a, **k):
        if isinstance(value, dict) and "candidate" in value:
            log.write(value["candidate"]["id"] + " " + repr(time.time()) + "\\n")
        return plain(value, *a, **k)
    json.dumps = dumps
"""


def heard_by_events(url: str, token: str, heard: dict[str, float], over: threading.Event) -> None:
    """Candidates' ids, and when each was heard."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    with httpx2.stream("GET", f"{url}/api/edge/events", headers=headers, timeout=120) as answer:
        for line in answer.iter_lines():
            if over.is_set():
                return
            if line.startswith("data:"):
                note(json.loads(line[5:]), heard)


async def heard_by_websocket(url: str, token: str, heard: dict[str, float], over: threading.Event) -> None:
    """The same."""
    address = f"{url.replace('http', 'ws', 1)}/api/edge/events/ws"
    async with connect(address, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        while not over.is_set():
            try:
                note(json.loads(await asyncio.wait_for(socket.recv(), 1.0)), heard)
            except TimeoutError:
                continue


def note(event: dict[str, Any], heard: dict[str, float]) -> None:
    """Of an event."""
    if event.get("kind") == "job.candidate":
        heard.setdefault(event["data"]["candidate"]["id"], time.time())


def figures(said: dict[str, float], heard: dict[str, float]) -> dict[str, float]:
    """Delays in ms."""
    took = sorted(1e3 * (heard[one] - said[one]) for one in said if one in heard)
    return {
        "candidates": len(took), "missed": len(said) - len(took), "median_ms": round(took[len(took) // 2], 1),
        "p95_ms": round(took[int(0.95 * (len(took) - 1))], 1), "most_ms": round(took[-1], 1),
    }  # fmt: skip


def main() -> int:
    """Print and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ew-live-") as folder:
        spy = Path(folder) / "spy"
        spy.mkdir()
        log = Path(folder) / "said"
        (spy / "sitecustomize.py").write_text(SPY.format(log=str(log)))

        os.environ["PYTHONPATH"] = str(spy)
        with Site(Path(folder) / "site", options=("--jobs", "1")) as site:
            with site.api() as hub:
                model = hub.post("/models", {"name": "digits", "description": ""})
                upload(hub, DIGITS / "digits.onnx", model=model["id"])
                upload(hub, DIGITS / "digits.npz", dataset="digits")
            version = site.wait(lambda hub: ready(hub.get(f"/models/{model['id']}/versions")))
            data = site.wait(lambda hub: ready(hub.get("/datasets")))
            events: dict[str, float] = {}
            sockets: dict[str, float] = {}
            over = threading.Event()
            url, token = site.profile.url, site.profile.token
            threads = [
                threading.Thread(target=heard_by_events, args=(url, token, events, over), daemon=True),
                threading.Thread(
                    target=lambda: asyncio.run(heard_by_websocket(url, token, sockets, over)), daemon=True
                ),
            ]
            for thread in threads:
                thread.start()
            with site.api() as hub:
                job = hub.post(
                    "/optimization-jobs", {"version": version, "dataset": data, "budget_s": arguments.budget}
                )
            site.wait(lambda hub: hub.get(f"/optimization-jobs/{job['id']}")["state"] in OVER, 240.0)
            over.set()
            threads[1].join()
        said: dict[str, float] = {}
        for line in log.read_text().splitlines():
            said.setdefault(line.split()[0], float(line.split()[1]))
    found = {"server_sent_events": figures(said, events), "websocket": figures(said, sockets)}
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def ready(page: dict[str, Any]) -> str:
    """The id of the one thing there, once it is ready."""
    return next((one["id"] for one in page["items"] if one["state"] == "ready"), "")


if __name__ == "__main__":
    sys.exit(main())
