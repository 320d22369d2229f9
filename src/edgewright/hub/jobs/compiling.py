"""Compiling: what a job's child process does for an optimization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.core.candidate import Candidate
from edgewright.hub.jobs.line import Line


def compile_model(asked: dict[str, Any], say: Line) -> dict[str, Any]:
    """One compile run in the working folder. SIGINT has the best so far written down. Raises as ``optimize`` does."""
    from edgewright.flows.interrupts import Interrupts
    from edgewright.flows.run import Request, compile_into
    from edgewright.flows.settings import Progress
    from edgewright.hub.jobs.ahead import Workers
    from edgewright.hub.jobs.wishes import arguments, options
    from edgewright.trust import SigningKey

    wish, target = asked["wish"], asked["target"]
    request = Request(
        asked["model"], asked["data"], target, asked["reading"], options(wish), tuple(arguments(wish, target)),
        wish["name"], (asked["called"][0], asked["called"][1]),
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
        key, others = SigningKey.generate(), Workers(say)
        report = compile_into(request, Path(asked["out"]), progress, interrupts.finishing(), key, others)
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
