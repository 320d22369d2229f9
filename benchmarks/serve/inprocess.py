"""The worker for what has no wire: bare ``session.run`` and ``Runtime.infer``, in one process.

    python inprocess.py FOLDER OUT       then lines on standard input: WHAT MODEL SECONDS

WHAT is ``bare`` or ``edgewright``. Latencies go to OUT, one JSON line for each line read to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from edgewright.runtime import Runtime
from serve.onnxfiles import CNN, MLP, TILES
from serve.peers.session import open_all


def timed(call: Callable[[], Any], seconds: float) -> tuple[array[float], float]:
    """Latencies in s and the CPU time they took."""
    clock, found = time.perf_counter, array("d")
    for _ in range(20):
        call()
    cpu = time.process_time()
    end = clock() + seconds
    now = clock()
    while now < end:
        begin = now
        call()
        now = clock()
        found.append(now - begin)
    return found, time.process_time() - cpu


def main(folder: Path, out: Path) -> None:
    kinds = {kind.name: kind for kind in (MLP, CNN, TILES)}
    sessions: dict[str, ort.InferenceSession] = open_all(folder)
    with Runtime(folder) as runtime:
        print("ready", flush=True)
        for line in sys.stdin:
            what, model, seconds = line.split()
            feed = {"x": kinds[model].sample()}
            session = sessions[model]
            if what == "bare":
                found, cpu = timed(lambda s=session, f=feed: s.run(None, f), float(seconds))
            else:
                found, cpu = timed(lambda m=model, f=feed: runtime.infer(f, m), float(seconds))
                same = np.allclose(runtime.infer(feed, model)["y"], session.run(None, feed)[0], atol=1e-4)
                if not same:
                    raise SystemExit(f"{model}: Edgewright does not answer as the bare session does")
            with out.open("wb") as file:
                found.tofile(file)
            print(json.dumps({"cpu_s": cpu}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
