"""The studio on what the demo left: the same hub, and the same three devices at work, until Ctrl-C.

python examples/fleet/studio.py out/demo
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from edgewright.core.errors import EdgewrightError
from edgewright.testing.site import PASSWORD, PORTS, Site

sys.path.insert(0, str(Path(__file__).parent))
from cameras import DEVICES, cameras


def main(folder: Path) -> int:
    """Until it is told to stop: by Ctrl-C, by SIGTERM, or by its terminal being closed. Exit status 1 where
    the hub or a device ended by itself."""
    line, pause = folder / "line", threading.Event()
    if not (line / PORTS).is_file():
        raise SystemExit(f"{folder} holds nothing that the demo left; make it with: scripts/demo {folder}")
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # also where a shell has them ignored
        signal.signal(one, signal.default_int_handler)
    try:
        with Site(line, data=folder / "hub", options=("--jobs", "1", "--open")) as site:
            for name in DEVICES:
                site.start(name)
            print(f"the studio: http://{site.people}/edge-ai, as owner of the tenant line, password: {PASSWORD!r}")
            print(f"devices at work: {', '.join(DEVICES)}. Ctrl-C ends all", flush=True)
            with cameras(site):
                while not pause.wait(1.0):
                    for program in (site.hub, *site.agents.values()):
                        if program.process.poll() is not None:
                            raise SystemExit(f"{program.log.stem} ended by itself: {program.last}")
    except KeyboardInterrupt:
        print("ended; the same command goes on from here", file=sys.stderr)
    except EdgewrightError as error:
        raise SystemExit(str(error)) from error
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")))
