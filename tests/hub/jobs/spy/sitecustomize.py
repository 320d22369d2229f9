"""In the child processes of the tests' workers: writes down what is measured, and can be told to be slow."""

import os
import sys

if "edgewright.hub.jobs.inside" in sys.orig_argv:
    from pathlib import Path

    from edgewright.flows.bench import Bench

    _keep = Bench._keep
    _log = (Path(os.environ["HOME"]).parent / "measured").open("a", buffering=1)  # before it is shut in

    def keep(self, made, metrics):
        _keep(self, made, metrics)
        _log.write(f"{made.id}\n")

    Bench._keep = keep
