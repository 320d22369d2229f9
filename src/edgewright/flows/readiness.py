"""Readiness: the gates a result went through, each with what it found and why."""

from __future__ import annotations

import time
from typing import Any

from edgewright.core.errors import EdgewrightError
from edgewright.flows.gates import GATES, REQUIRED, TITLES, Case, Finding
from edgewright.flows.gates.case import Clock, OutOfTimeError
from edgewright.flows.gates.finding import unchecked
from edgewright.flows.outcome import Result

SCHEMA = "edgewright.readiness/1"


def ready(result: Result, scale: float | None = None, clock: Clock = time.monotonic) -> dict[str, Any]:
    """The readiness report of the best candidate: a JSON value with a finding for each gate.

    ``ready``: no gate failed, and those that no device should go without passed. ``scale`` stretches the gates' shares
    of the time; None takes what the run's budget leaves them, ten seconds in all at most. Ctrl-C leaves the
    remaining gates unchecked.
    """
    names = [*TITLES, *sorted(set(GATES) - set(TITLES))]
    best = result.best
    if best is None:
        found = dict.fromkeys(names, unchecked("nothing feasible was found"))
        return _report(None, found)
    if scale is None:
        scale = result.budget.gates
    found = {}
    with Case(result, best, scale, clock) as case:
        for name in names:
            try:
                found[name] = _held(name, case)
            except KeyboardInterrupt:
                found |= {n: unchecked("interrupted") for n in names if n not in found}
                break
    return _report(best.id, found)


def verdict_line(readiness: dict[str, Any]) -> str:
    """``ready: 9 gates passed, 1 not checked (load)``, or why not."""
    states = {gate["name"]: gate["state"] for gate in readiness["gates"]}
    passed = sum(state == "passed" for state in states.values())
    failed = [gate for gate in readiness["gates"] if gate["state"] == "failed"]
    late = [name for name, state in states.items() if state == "not checked"]
    counts = f"{passed} gate{'' if passed == 1 else 's'} passed"
    counts += f", {len(late)} not checked ({', '.join(late)})" if late else ""
    if failed:
        first = failed[0]
        more = f" (and {', '.join(gate['name'] for gate in failed[1:])})" if len(failed) > 1 else ""
        return f"not ready: {first['name']} failed{more}: {first['reason']}; {counts}"
    if readiness["candidate"] is None:
        return "not ready: nothing feasible was found"
    return f"{'ready' if readiness['ready'] else 'not ready yet'}: {counts}"


def _held(name: str, case: Case) -> Finding:
    """One gate's finding. What keeps a gate from looking says nothing of the candidate."""
    try:
        finding: Finding = GATES[name](case)
        return finding
    except OutOfTimeError as error:
        return unchecked(str(error))
    except EdgewrightError as error:
        return unchecked(f"could not be held: {error}")


def _report(candidate: str | None, found: dict[str, Finding]) -> dict[str, Any]:
    states = {name: finding.state for name, finding in found.items()}
    good = "failed" not in states.values() and all(states[name] == "passed" for name in REQUIRED)
    gates = [
        {"name": name, "title": TITLES.get(name, name), "state": finding.state, "reason": finding.reason,
         "evidence": dict(finding.evidence)}
        for name, finding in found.items()
    ]  # fmt: skip
    return {"schema": SCHEMA, "candidate": candidate, "ready": candidate is not None and good, "gates": gates}


__all__ = ["SCHEMA", "ready", "verdict_line"]
