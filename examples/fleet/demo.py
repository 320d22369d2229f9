"""A hub and three devices on this machine: a release goes out in waves; the next one is quietly worse, and is caught.

    python examples/fleet/demo.py out/demo/bundle

Takes about a minute and leaves nothing running; hub and devices stay in ``hub/`` and ``line/`` beside the bundle, where
studio.py opens the studio on them. Everything is real: the hub and each agent are processes of their own, with client
certificates between them; a thread beside each device is its camera.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from edgewright import bundles
from edgewright.client import Hub, upload
from edgewright.testing.site import PASSWORD, Site, running
from edgewright.trust import own_key

sys.path.insert(0, str(Path(__file__).parent))
from cameras import DEVICES, DIGITS, cameras
from wrong_scale import wrong_scale

MARK = ".demo"
_BEGAN = time.monotonic()


def say(text: str) -> None:
    """A line of the story."""
    print(f"{time.monotonic() - _BEGAN:5.1f} s  {text}", flush=True)


def watch(site: Site, rollout: str) -> dict[str, Any]:
    """Tell what becomes of a rollout until it is at its end."""
    told = set[str]()

    def look(hub: Hub) -> dict[str, Any] | None:
        found: dict[str, Any] = hub.get(f"/rollouts/{rollout}")
        for one in reversed(hub.get(f"/rollouts/{rollout}/decisions")["items"]):
            if one["sentence"] not in told:
                told.add(one["sentence"])
                say(one["sentence"])
        return found if found["state"] in ("completed", "rolled_back", "halted", "paused") else None

    done: dict[str, Any] = site.wait(look, 150.0)
    return done


def release(site: Site, bundle: Path, waves: str) -> str:
    """Through the command line, as a person would."""
    said = site.run(
        "release", str(bundle), "--group", "line", "--waves", waves, "--soak", "12s", "--trial", "3s", "--lease", "60s",
        "--key", str(own_key().path).replace(".key", ".pub"),
    )  # fmt: skip
    say(said.splitlines()[0])
    return said.split()[1].rstrip(":")


def empty(folder: Path) -> Path:
    """A folder of the demo's, without what an earlier demo left there. Whatever else lies there is left alone."""
    if running(folder):
        raise SystemExit(f"the studio on {folder.parent} is open; end it first, or name another folder")
    if (folder / MARK).is_file():
        shutil.rmtree(folder)
    if folder.exists():
        raise SystemExit(f"{folder} is of no earlier demo; move it away, or name another folder")
    folder.mkdir(parents=True, mode=0o700)
    (folder / MARK).touch()
    return folder


def bring(site: Site) -> None:
    """The model and its data, so that the studio has something to optimize."""
    with site.api() as hub:
        model = hub.post("/models", {"name": "digits", "description": "8 x 8 digits, the demo's classifier"})
        upload(hub, DIGITS / "digits.onnx", model=model["id"])
        upload(hub, DIGITS / "digits.npz", dataset="digits")


def main(bundle: Path) -> int:
    """The story. Exit status 0 when the worse release was taken back and the good one serves everywhere."""
    good = bundles.verify(bundle, [own_key().public])
    folder, data = empty(bundle.parent / "line"), empty(bundle.parent / "hub")
    with Site(folder, data=data) as site:
        say("a hub listens; its tenant is a development one: the release key lies on the hub")
        for name in DEVICES:
            site.enrol(name, "line")
            with site.api() as hub:
                hub.patch(f"/devices/{name}", {"collect": {"period_s": 2.0, "budget_bytes": 1_000_000_000}})
            site.start(name)
        say(f"{len(DEVICES)} devices enrolled, each with a key of its own: {', '.join(DEVICES)}")
        bring(site)
        first = release(site, bundle, "100")
        if watch(site, first)["state"] != "completed":
            return 1
        say(f"bundle {good.digest[:12]} serves on all {len(DEVICES)}; the cameras run")
        with cameras(site):
            threading.Event().wait(10.0)  # a past of their own, which the gate compares each device with
            worse = wrong_scale(good, site.folder / "worse")
            say(f"bundle {worse.digest[:12]}: as good where it was trained, as fast, well signed; wrong pixel scale")
            ended = watch(site, release(site, site.folder / "worse", "1d,100"))
        with site.api() as hub:
            runs = {one["current"] for one in hub.every("/devices")}
        say(f"the second release is {ended['state'].replace('_', ' ')}; serving on all devices: {runs.pop()[:12]}")
    good_end = ended["state"] == "rolled_back" and runs == set()
    if good_end:
        print(f"\nsee it in the studio, the three devices at work, as owner of the tenant line, password: {PASSWORD!r}")
        print(f"  scripts/demo --open {bundle.parent}")
    return 0 if good_end else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo/bundle")))
