"""A large upload to a real hub: how much memory the hub takes for it, how fast it is, and that a cut costs little.

    python benchmarks/studio/uploads.py --bytes 2000000000 --json benchmarks/studio/results/uploads.json

The file is an .npz of random bytes. It is sent in one request, which breaks off in the middle; the client asks where to
go on and sends the rest. The hub's resident memory (the process alone; the child that reads the file is apart) is read
20 times a second.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from edgewright.testing.site import Site

PIECE = 2**20


class Memory(threading.Thread):
    """The process's resident bytes: before, and the most since."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._path, self._over = Path(f"/proc/{pid}/statm"), threading.Event()
        self.before = self.most = self._now()

    def _now(self) -> int:
        return int(self._path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def run(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, self._now())

    def end(self) -> int:
        """How much more it was."""
        self._over.set()
        self.join()
        return self.most - self.before


def make(path: Path, size: int) -> None:
    """Random bytes, as an .npz; a row has 1 kB."""
    draw = np.random.default_rng(0)
    np.savez(path, x=draw.integers(0, 256, (size // 1000, 1000), np.uint8), labels=draw.integers(0, 10, size // 1000))


def pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while start < end:
            data = stream.read(min(PIECE, end - start))
            start += len(data)
            yield data


def send(api: httpx2.Client, place: str, path: Path, offset: int, end: int, length: int) -> None:
    headers = {
        "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", "Tus-Resumable": "1.0.0",
        "Content-Length": str(length - offset),
    }  # fmt: skip

    def body() -> Iterator[bytes]:
        yield from pieces(path, offset, end)
        if end < length:
            raise ConnectionAbortedError("the line is cut here")

    api.patch(place, content=body(), headers=headers).raise_for_status()


def main() -> int:
    """Print and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=2_000_000_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ew-uploads-") as folder, Site(Path(folder) / "site") as site:
        path = Path(folder) / "data.npz"
        make(path, arguments.bytes)
        length = path.stat().st_size
        headers = {"Authorization": f"Bearer {site.profile.token}"}
        with httpx2.Client(base_url=site.profile.url, headers=headers, timeout=600) as api:
            for _ in range(20):
                api.get("/api/edge/datasets").raise_for_status()
            memory = Memory(site.hub.process.pid)
            memory.start()
            told = ",".join(
                f"{key} {base64.b64encode(value).decode()}" for key, value in
                {"filename": b"data.npz", "dataset": b"large"}.items()
            )  # fmt: skip
            begun = api.post("/api/edge/uploads", headers={"Upload-Length": str(length), "Upload-Metadata": told})
            place, cut = begun.headers["Location"], length // 2
            began = time.monotonic()
            try:
                send(api, place, path, 0, cut, length)
            except (httpx2.HTTPError, ConnectionAbortedError):
                first_s = time.monotonic() - began
            kept = -1
            for _ in range(200):  # the hub stores what came after it noticed the cut
                now = int(api.head(place).headers["Upload-Offset"])
                if now == kept:
                    break
                kept = now
                time.sleep(0.2)
            again = time.monotonic()
            send(api, place, path, kept, length, length)
            second_s = time.monotonic() - again
            result = api.get(place).json()["result"]
            began = time.monotonic()
            while (found := api.get(f"/api/edge/datasets/{result}").json())["state"] == "checking":
                time.sleep(0.1)
            figures = {
                "bytes": length, "more_hub_bytes": memory.end(), "sent_before_the_cut": cut, "kept_of_it": kept,
                "mb_per_s": round((cut + length - kept) / (first_s + second_s) / 1e6, 1),
                "checked_s": round(time.monotonic() - began, 1), "state": found["state"],
                "samples": found["facts"].get("samples"), "cores": len(os.sched_getaffinity(0)),
            }  # fmt: skip
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if found["state"] == "ready" else 1


if __name__ == "__main__":
    sys.exit(main())
