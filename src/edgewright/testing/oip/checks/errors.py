"""How refusals are told: once for all that the other checks were refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.contract import Failed, check, expect
from edgewright.testing.oip.wire import Reply

_FEW: tuple[Any, ...] = ({}, {"inputs": []}, {"inputs": [{"name": "edgewright-no-such-input"}]})


def _all(case: Case, fault: Callable[[Reply], str]) -> None:
    """Raise Failed when ``fault`` has something to say about a refusal."""
    if not case.refusals:  # this check runs alone
        for told in _FEW:
            case.refused(case.post(f"{case.path}/infer", told))
    wrong = [(name, why) for name, reply in case.refusals if (why := fault(reply))]
    if wrong:
        name, why = wrong[0]
        raise Failed(f"{len(wrong)} of {len(case.refusals)} refusals, first in {name}: {why}")


@check("errors.object", "errors", "OIP REST, Inference Response JSON Error Object (must)")
def error_object(case: Case) -> None:
    """Every refusal's body is {"error": "..."}."""

    def fault(reply: Reply) -> str:
        try:
            told = reply.json()
            expect(isinstance(told, dict) and isinstance(told.get("error"), str) and told["error"], "another body")
        except Failed:
            return f"status {reply.status} and {reply.body[:100]!r}"
        return ""

    _all(case, fault)


@check("errors.status", "errors", "RFC 9110, 15.5 and 15.6")
def status(case: Case) -> None:
    """What the client got wrong has a status of 4xx, or 501.

    The protocol says "typically 400", and 500 is an error status, too. But 500 says that the server erred: proxies and
    clients send such a request again, to the next server, and count it against this one.
    """

    def fault(reply: Reply) -> str:
        return "" if reply.status < 500 or reply.status == 501 else f"status {reply.status}, {reply.body[:100]!r}"

    _all(case, fault)
