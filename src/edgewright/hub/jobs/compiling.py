"""Inside a job's child process: one compile run, told line by line as JSON to a pipe.

It has the files it works on and a folder, and nothing of the hub's: no database, no keys, no credentials in its
environment. SIGINT stops the search and has the best so far written down. It lives only while its parent says, every
second, that it still wants it: a worker that hangs, and whose job another has taken over, must not go on.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from edgewright.core import sandbox
from edgewright.core.candidate import Candidate
from edgewright.core.errors import EdgewrightError
from edgewright.core.files import reason

PATIENCE_S = 8.0
"""How long the parent may be silent."""


def main(words: list[str]) -> None:
    """``request.json`` in the working folder says what to do."""
    out, parent, memory = (int(word) for word in words)
    sandbox.die_with_parent(parent)
    threading.Thread(target=_wanted, name="edgewright-wanted", daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with os.fdopen(out, "wb", buffering=0) as stream, redirect_stdout(sys.stderr):

        def say(line: dict[str, Any]) -> None:
            stream.write(json.dumps(line, allow_nan=False).encode() + b"\n")

        say(_answer(say, memory))


def _answer(say: Any, memory: int) -> dict[str, Any]:
    try:
        return {"done": _compile(json.loads(Path("request.json").read_bytes()), say)}
    except KeyboardInterrupt:
        return {"stopped": True}
    except EdgewrightError as error:
        return {"error": str(error), "family": type(error).__name__}
    except OSError as error:
        return {"error": f"the worker's folder cannot be written: {reason(error)}", "family": "StorageError"}
    except MemoryError:
        told = f"it needs more than the {memory / 1e9:.1f} GB of memory that a job has here"
        return {"error": f"{told}; give the worker more, or fewer jobs at a time (--slots)", "family": "MemoryError"}


def _compile(asked: dict[str, Any], say: Any) -> dict[str, Any]:
    from edgewright.flows.interrupts import Interrupts
    from edgewright.flows.run import Request, compile_into
    from edgewright.flows.settings import Progress
    from edgewright.hub.jobs.wishes import arguments, options
    from edgewright.trust import SigningKey

    wish, target = asked["wish"], asked["target"]
    request = Request(
        asked["model"], asked["data"], target, asked["reading"], options(wish), tuple(arguments(wish, target)),
        wish["name"],
    )  # fmt: skip

    def progress(now: Progress) -> None:
        told = {
            "stage": now.stage, "tried": now.tried, "elapsed_s": round(now.elapsed_s, 2),
            "left_s": round(now.left_s, 2), "best": _shown(now.best), "baseline": _shown(now.baseline),
        }  # fmt: skip
        say({"progress": told} | ({} if now.found is None else {"candidate": _entry(now.found)}))

    with Interrupts() as interrupts:
        say({"ready": True})
        # Sealed here under a key that is thrown away: the hub's own is its worker's, who seals it once more.
        report = compile_into(request, Path(asked["out"]), progress, interrupts.finishing(), SigningKey.generate())
    return {"best": report["best"]}


def _entry(candidate: Candidate) -> dict[str, Any]:
    """As the report will have it; what is not known yet is empty."""
    more: dict[str, Any] = {"path": None, "final": False, "steps": [], "latency": None, "missing": {}, "accuracy": None}
    return candidate.to_json("") | more


def _shown(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    told = candidate.to_json("")
    return {name: told[name] for name in ("id", "recipe", "engine", "feasible", "metrics")}


def _wanted() -> None:
    """End this process and all that it started when its parent says nothing for a while, or is gone."""
    while select.select([0], [], [], PATIENCE_S)[0]:
        if not os.read(0, 4096):
            break
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
