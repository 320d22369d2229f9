"""In the child processes of the tests' workers: writes down what is measured and judged, with little effort."""

import os
import sys

if "edgewright.hub.jobs.inside" in sys.orig_argv:
    from dataclasses import replace
    from pathlib import Path

    from edgewright.flows import bench
    from edgewright.flows.bench import Bench

    _measure_latency = bench.measure_latency
    bench.measure_latency = lambda subjects, inputs, plan: _measure_latency(
        subjects, inputs, replace(plan, budget_s=0.3)
    )
    _keep, _together = Bench._keep, Bench.together
    _log = (Path(os.environ["HOME"]).parent / "measured").open("a", buffering=1)  # before it is shut in

    def keep(self, made, metrics):
        _keep(self, made, metrics)
        _log.write(f"{made.id}\n")

    def together(self, candidates, budget_s):
        return _together(self, candidates, min(budget_s, 0.5))

    Bench._keep, Bench.together = keep, together

    from edgewright.core.digests import digest_json
    from edgewright.flows.answers import Answers

    _judge = Answers.judge
    _judged = (Path(os.environ["HOME"]).parent / "judged").open("a", buffering=1)
    _who = "helper" if "." in Path(os.environ["HOME"]).name else "search"

    def judge(self, made, session):
        who = _who if self.store.get(self._key(made)) is None else "known"
        _judged.write(f"{who} {digest_json(self._key(made))}\n")
        return _judge(self, made, session)

    Answers.judge = judge
