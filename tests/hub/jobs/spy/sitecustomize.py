"""In the child processes of the tests' workers: writes down what is measured; finalists are measured for 2 s."""

import os
import sys

if "edgewright.hub.jobs.inside" in sys.orig_argv:
    from pathlib import Path

    from edgewright.flows import compile as compiling
    from edgewright.flows.bench import Bench

    compiling._MOST_FINALS_S = 0.0

    _keep = Bench._keep
    _log = (Path(os.environ["HOME"]).parent / "measured").open("a", buffering=1)  # before it is shut in

    def keep(self, made, metrics):
        _keep(self, made, metrics)
        _log.write(f"{made.id}\n")

    Bench._keep = keep

    from edgewright.core.digests import digest_json
    from edgewright.flows.answers import Answers

    _judge = Answers.judge
    _judged = (Path(os.environ["HOME"]).parent / "judged").open("a", buffering=1)
    _who = "helper" if "." in Path(os.environ["HOME"]).name else "search"

    def judge(self, made, session):
        if self.store.get(self._key(made)) is None:
            _judged.write(f"{_who} {digest_json(self._key(made))}\n")
        return _judge(self, made, session)

    Answers.judge = judge
