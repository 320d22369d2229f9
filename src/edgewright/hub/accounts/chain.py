"""The audit log as a chain: each line's digest covers the one before it, so a line cannot be changed, left out or moved
without changing all after it; and signed heads, which lie elsewhere, hold the end in place.

A line's digest is SHA-256 over the canonical JSON of [digest of the line before, the line without its digest]; before
the first one stands the digest of the tenant's id, so that a log cannot be passed off as another tenant's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.core.digests import digest_bytes, digest_json

FIELDS = ("number", "at", "actor", "action", "subject", "detail", "request")


def origin(tenant: str) -> str:
    """What stands before the first line."""
    return digest_bytes(f"edgewright.audit/1 {tenant}".encode())


def line_digest(before: str, line: Mapping[str, Any]) -> str:
    """The digest of ``line`` (its FIELDS) after the line with the digest ``before``."""
    return digest_json([before, {name: line[name] for name in FIELDS}])


@dataclass(frozen=True)
class Mark:
    """A head that was signed: ``number`` lines there were, the last one with this ``digest``."""

    tenant: str
    number: int
    digest: str
    at: str


@dataclass(frozen=True)
class Finding:
    """``state``: whole, rewritten, truncated or forked. ``number``: where it shows; lines there are, where it is whole.
    ``marks``: how many signed heads bear it out."""

    state: str
    number: int
    told: str
    marks: int = 0


def examine(tenant: str, lines: Iterable[Mapping[str, Any]], marks: Iterable[Mark]) -> Finding:
    """Hold a log against its own chain and against the heads that were signed. It reads each line once.

    A log that agrees with itself but with no head proves little: ``marks`` of the finding says how many it agrees with.
    """
    known: dict[int, str] = {}
    for mark in marks:
        if mark.tenant != tenant:
            return Finding("rewritten", mark.number, f"the signed head {mark.number} is of another tenant's log")
        if known.setdefault(mark.number, mark.digest) != mark.digest:
            return Finding("forked", mark.number, f"two different heads were signed for line {mark.number}")
    digest, number = origin(tenant), 0
    for line in lines:
        number += 1
        if any(name not in line for name in (*FIELDS, "digest")):
            return Finding("rewritten", number, f"line {number} is not whole")
        if line["number"] != number:
            return Finding("rewritten", number, f"line {number} is missing: the next one is {line['number']}")
        digest = line_digest(digest, line)
        if digest != line["digest"]:
            return Finding(
                "rewritten", number, f"line {number} was changed, or one before it: its digest does not hold"
            )
        if known.get(number, digest) != digest:
            return Finding("rewritten", number, f"line {number} is not the one whose head was signed")
    last = max(known, default=0)
    if last > number:
        return Finding("truncated", number, f"the log ends at line {number}; a head was signed for line {last}")
    borne = f"and {len(known)} signed heads bear it out" if known else "but no signed head bears it out"
    return Finding("whole", number, f"{number} lines, each following from the one before, {borne}", len(known))
