"""What the fleet page costs the machine of who looks at it: Chromium's own CPU time, as a share of a core.

    python benchmarks/studio/browser.py --json benchmarks/studio/results/browser.json

The same hub and the same fleet as in viewers.py, and one page in headless Chromium, which paints on the CPU (a desk
with a GPU spends less there). Rounds on an empty page, on the map of health and on the map of the rollout take turns;
what is told is the CPU time of all of Chromium's processes by the clock, medians, less the empty page's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.fleet.stage import HUB_CORE, OUR_CORE, Usage, on
from benchmarks.studio.viewers import fill, release
from playwright.sync_api import sync_playwright

from edgewright.testing.site import Site

SETTLES_S = 15.0


def browser_of(parent: int) -> int:
    """The first process below ``parent`` that is Chromium."""
    waiting = [parent]
    while waiting:
        one = waiting.pop()
        if "chrom" in Path(f"/proc/{one}/comm").read_text():
            return one
        for thread in Path(f"/proc/{one}/task").iterdir():
            waiting += map(int, (thread / "children").read_text().split())
    raise RuntimeError("no Chromium runs below this process")


def measure(url: str, token: str, rollout: str, options: argparse.Namespace) -> dict[str, Any]:
    """Rounds on each page, in turn."""
    pages = {
        "empty": "about:blank", "health": f"{url}/edge-ai/fleet",
        "rollout": f"{url}/edge-ai/fleet?by=rollout&rollout={rollout}",
    }  # fmt: skip
    shares: dict[str, list[float]] = {name: [] for name in pages}
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        context.set_extra_http_headers({"Authorization": f"Bearer {token}"})
        page, pid = context.new_page(), browser_of(os.getpid())
        for _ in range(options.rounds):
            for name, address in pages.items():
                page.goto(address)
                page.wait_for_timeout(1000 * SETTLES_S)
                if name != "empty":
                    page.get_by_text("press-0", exact=False).or_(page.locator("canvas")).first.wait_for()
                before, began = Usage.of(pid).cpu_s, time.monotonic()
                page.wait_for_timeout(1000 * options.seconds)
                shares[name].append((Usage.of(pid).cpu_s - before) / (time.monotonic() - began))
                print(name, round(shares[name][-1], 4), flush=True)
        version = chromium.version
        chromium.close()
    medians = {name: sorted(all_)[len(all_) // 2] for name, all_ in shares.items()}
    told = {name: round(one - medians["empty"], 4) for name, one in medians.items() if name != "empty"}
    return {"chromium": version, "empty": round(medians["empty"], 4), **told}


def main() -> int:
    """Print and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ew-browser-") as folder:
        with on(HUB_CORE):
            site = Site(Path(folder) / "site")
        with site, on(OUR_CORE):
            with site.api() as hub:
                tenant = str(hub.get("/account")["tenant"]["id"])
                token = hub.post("/tokens", {"name": "viewer"})["token"]
            fill(site.data, tenant, options.devices)
            rollout = release(site, Path(folder))
            viewers = str(Path(__file__).with_name("viewers.py"))
            words = [sys.executable, viewers, "--devices", str(options.devices), "--move", str(site.data), tenant]
            with subprocess.Popen(words, stdin=subprocess.PIPE) as mover:
                shares = measure(f"http://{site.people}", token, rollout, options)
                mover.communicate()
    figures = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "devices": options.devices, "seconds": options.seconds,
        "rounds": options.rounds, "core": shares,
    }  # fmt: skip
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
