"""Which models there are, and loading and unloading them, where the server announces that."""

from __future__ import annotations

import time
from typing import Any

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.checks.discovery import NOBODY
from edgewright.testing.oip.contract import Skipped, check, expect

GROUP = "model_repository"
_CLAUSE = "Triton, model repository extension"
_STATES = ("READY", "UNAVAILABLE", "LOADING", "UNLOADING", "UNKNOWN", "")


def _index(case: Case, told: Any) -> list[dict[str, Any]]:
    reply = case.post("/v2/repository/index", told)
    expect(reply.status == 200, f"status {reply.status}")
    found = reply.json()
    expect(isinstance(found, list), "the index is no list")
    for entry in found:
        expect(isinstance(entry.get("name"), str), f"an entry without a name: {entry!r:.80}")
        expect(entry.get("state", "") in _STATES, f"{entry['name']!r} has the state {entry.get('state')!r}")
        expect(isinstance(entry.get("reason", ""), str), f"{entry['name']!r} has no reason of text")
    return list(found)


def _ready(case: Case, told: Any) -> bool:
    """Whether the index says so, of any version."""
    return any(entry["name"] == case.model and entry.get("state") == "READY" for entry in _index(case, told))


def _change(case: Case, verb: str) -> None:
    """Load or unload the model. Raises Skipped where the server does not let clients do that: it may refuse."""
    reply = case.post(f"/v2/repository/models/{case.path.rpartition('/')[2]}/{verb}", {})
    if reply.status >= 400:
        raise Skipped(f"the server does not {verb} it for a client: status {reply.status}: {reply.body[:120]!r}")
    expect(reply.status == 200, f"{verb}: status {reply.status}")


@check("repository.index", GROUP, f"{_CLAUSE}, Index")
def index(case: Case) -> None:
    """The index has the model; asked for what is ready, nothing else."""
    expect(_ready(case, {}), "the model is not in the index as READY")
    ready = _index(case, {"ready": True})
    expect(case.model in [entry["name"] for entry in ready], "the model is not among what is ready")
    odd = [entry["name"] for entry in ready if entry.get("state") != "READY"]
    expect(not odd, f"asked for what is ready, got {odd}")


@check("repository.unknown", GROUP, f"{_CLAUSE}, Load")
def load_unknown(case: Case) -> None:
    """A model that is not in the repository cannot be loaded."""
    case.refused(case.post(f"/v2/repository/models/{NOBODY}/load", {}))


@check("repository.load", GROUP, f"{_CLAUSE}, Load")
def load(case: Case) -> None:
    """The model can be loaded again, and answers as before."""
    case.reference  # noqa: B018 - before it is loaded again
    _change(case, "load")
    expect(case.agrees(case.answered(case.request())[1]), "another answer after it was loaded again")


@check("repository.unload", GROUP, f"{_CLAUSE}, Unload")
def unload(case: Case) -> None:
    """The model can be unloaded: then it is not ready and does not answer; loaded again, it answers as before."""
    case.reference  # noqa: B018 - before it is unloaded
    _change(case, "unload")
    try:
        # The text does not say that the reply waits for it.
        until = time.monotonic() + case.timeout_s
        while _ready(case, {}) and time.monotonic() < until:
            pass
        expect(not _ready(case, {"ready": True}), "it is still in the index as READY")
        status = case.ask("GET", f"{case.path}/ready").status
        expect(status >= 400, f"it is still ready: status {status}")
        status = case.infer(case.request()).status
        expect(status >= 400, f"it still answers: status {status}")
    finally:
        _change(case, "load")
    expect(case.agrees(case.answered(case.request())[1]), "another answer after it was loaded again")
