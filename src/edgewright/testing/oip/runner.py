"""Running the checks, and telling what became of them."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from edgewright.testing.oip import checks
from edgewright.testing.oip.case import Arrays, Case
from edgewright.testing.oip.contract import CHECKS, LAST, PROBED, REQUIRED, Check, Failed, Result, Skipped
from edgewright.testing.oip.wire import Reply, Target

__all__ = ["checks", "conform", "discover", "run", "table", "unknown"]


def discover(target: Target, timeout_s: float) -> tuple[dict[str, Any], list[str]]:
    """The server's metadata (empty when it tells none) and the models that its index says are ready.

    Raises OSError when nobody listens, PermissionError (one, too) when it wants another token.
    """
    case = Case(target, "", ())
    case.timeout_s = timeout_s
    told: dict[str, Any] = {}
    found: list[str] = []
    try:
        first = case.ask("GET", "/v2")
        if first.status in (401, 403):
            raise PermissionError(f"it answers {first.status} ({_words(first)}); pass a token it takes")
        metadata = first.json()
        told = metadata if isinstance(metadata, dict) else {}
        index = case.post("/v2/repository/index", {"ready": True}).json()
        entries = [entry for entry in index if isinstance(entry, dict) and entry.get("state", "READY") == "READY"]
        found = sorted({str(entry["name"]) for entry in entries})
    except (Failed, KeyError, TypeError):
        pass  # the checks say what is wrong; without an index the model must be named
    return told, found


def unknown(case: Case) -> str:
    """Why the server has no such model, in its own words; "" when it has, or does not say."""
    try:
        reply = case.ask("GET", case.path)
    except Failed:
        return ""
    return _words(reply) if reply.status in (400, 404) else ""


def _words(reply: Reply) -> str:
    try:
        told = reply.json()
    except Failed:
        told = None
    said = told.get("error") if isinstance(told, dict) else None
    return " ".join(said.split())[:200] if isinstance(said, str) and said.strip() else f"status {reply.status}"


def conform(
    url: str, model: str, *, extensions: Sequence[str] = (), timeout_s: float = 10.0, inputs: Arrays | None = None,
    token: str = "", only: str = "*",
) -> list[Result]:  # fmt: skip
    """Hold a server to the protocol. ``extensions``: to be checked besides those that it announces. ``only``: a pattern
    of names. Raises OSError when nobody listens, ValueError for an address that is none."""
    target = Target.parse(url, token)
    told, _ = discover(target, timeout_s)
    announced = told.get("extensions")
    known = [*(announced if isinstance(announced, list) else []), *extensions]
    return list(run(Case(target, model, known, timeout_s, inputs), only))


def run(case: Case, only: str = "*") -> Iterator[Result]:
    """Run every check whose name fits ``only``, what is required first. What a check made of the server is its own
    failure and not that of those behind it: they are skipped until somebody listens again."""
    gone = ""
    for one in sorted(CHECKS.values(), key=_rank):
        if not fnmatch.fnmatch(one.name, only):
            continue
        if gone and not case.there():
            yield Result(one, "skipped", f"nobody listens any more since {gone}")
            continue
        result, gone = _run(one, case), ""
        if result.outcome == "failed" and not case.there():
            result, gone = replace(result, why=f"nobody listens any more; {result.why}"), one.name
        yield result


def _rank(one: Check) -> int:
    order = (*REQUIRED, "", *LAST)
    return order.index(one.group if one.group in order else "")


def _run(one: Check, case: Case) -> Result:
    if one.group not in (*REQUIRED, *PROBED, *LAST) and one.group not in case.extensions:
        return Result(one, "skipped", f"the server does not announce {one.group}")
    case.check = one.name
    try:
        one.run(case)
    except Failed as error:
        return Result(one, "failed", str(error))
    except Skipped as error:
        return Result(one, "skipped", str(error))
    except OSError as error:
        return Result(one, "failed", f"the connection failed: {error}")
    except Exception as error:  # noqa: BLE001 - a reply that a check did not expect is a failure, and the others still run
        return Result(one, "failed", f"the reply could not be understood ({type(error).__name__}: {error})")
    return Result(one, "passed")


def table(results: Sequence[Result]) -> Iterator[str]:
    """A line for each check, by group, then the sums."""
    width = max((len(result.check.name) for result in results), default=0)
    for group in dict.fromkeys(result.check.group for result in results):
        yield group
        for result in results:
            if result.check.group == group:
                mark = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}[result.outcome]
                tail = f"{result.check.title}" if result.outcome == "passed" else " ".join(result.why.split())[:200]
                clause = f"  [{result.check.clause}]" if result.outcome == "failed" else ""
                yield f"  {mark:<4}  {result.check.name:<{width}}  {tail}{clause}"
    counts = Counter(result.outcome for result in results)
    yield f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
