"""Inside a job's child process: one piece of work, told line by line as JSON to a pipe.

It has the files it works on and a folder, and nothing of the hub's: no database, no keys, no credentials in its
environment, no network, no files beside those of its folder and the interpreter's, for itself and all it starts. SIGINT
stops the search and has the best so far written down. It lives only while its parent says, every second, that it still
wants it: a worker that hangs, and whose job another has taken over, must not go on.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from edgewright.core import sandbox
from edgewright.core.child import readable_folders
from edgewright.core.errors import EdgewrightError
from edgewright.core.files import family, reason
from edgewright.hub.jobs.line import Line

_SYSTEM = ("/proc", "/sys", "/etc/os-release", "/usr/lib/os-release", "/bin", "/usr/bin")
"""What measuring looks at: the machine, and the programs that tell of it. What is another process's own in /proc stays
shut; no device but these, for a disk is one, too."""
_DEVICES = ("/dev/null", "/dev/dri", "/dev/accel", "/dev/kfd")
WORKS = {
    "optimization": "edgewright.hub.jobs.compiling:compile_model",
    "benchmark": "edgewright.hub.jobs.measuring:measure",
    "profile": "edgewright.hub.jobs.profiling:profile_layers",
    "trials": "edgewright.hub.jobs.ahead:judge_ahead",
}
"""What is done for each kind of job: ``(request, say) -> what is told at the end``; ``say`` is a ``Line``."""


def main(words: list[str]) -> None:
    """``request.json`` in the working folder says what to do."""
    out, parent, memory = (int(word) for word in words)
    shut = shut_in()
    sandbox.die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with os.fdopen(out, "wb", buffering=0) as stream, redirect_stdout(sys.stderr):
        say = Line(stream)
        say({"layers": shut})
        say(_answer(say, memory))


def shut_in() -> list[str]:
    """Shut this process into its working folder, with all it starts; the names of the layers in force."""
    reads, writes = [*readable_folders(), *map(Path, _SYSTEM)], [Path.cwd(), *map(Path, _DEVICES)]
    return sandbox.confine(reads, writes, programs=True)


def _answer(say: Any, memory: int) -> dict[str, Any]:
    try:
        asked = json.loads(Path("request.json").read_bytes())
        module, _, function = WORKS[asked["kind"]].partition(":")
        return {"done": getattr(import_module(module), function)(asked, say)}
    except KeyboardInterrupt:
        return {"stopped": True}
    except EdgewrightError as error:
        return {"error": str(error), "family": type(error).__name__}
    except OSError as error:
        return {"error": f"the worker's folder cannot be written: {reason(error)}", "family": family(error).__name__}
    except MemoryError:
        told = f"it needs more than the {memory / 1e9:.1f} GB of memory that a job has here"
        return {"error": f"{told}; give the worker more, or fewer jobs at a time (--slots)", "family": "MemoryError"}


if __name__ == "__main__":
    main(sys.argv[1:])
