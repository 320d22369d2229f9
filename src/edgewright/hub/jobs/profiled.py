"""A profile: what its child writes of a version's layers, and how its parent reads it. Pure."""

from __future__ import annotations

from typing import Any

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.core.messages.benchmarks import MACHINE_BYTES
from edgewright.core.messages.reading import Reader
from edgewright.core.strict import parse_json, texts

STAGES = ("times", "sensitivity")
RESULT_BYTES = 2**21
MOST_LAYERS, MOST_TOGETHER = 4000, 512
NAME, WORD, NOTE, NOTES = 300, 120, 500, 16
_MOST_MS, _MOST_DB = 1e9, 200.0


def read_profile(data: bytes) -> dict[str, Any]:
    """The result as JSON. The child that wrote it read strangers' files: what is not as this release writes it, and
    small, is refused. Raises InputError."""
    try:
        value = parse_json(data, RESULT_BYTES)
        if "\0" in texts(value):
            raise ValueError("it holds a NUL")
        return _whole(Reader(value, "the profile"))
    except ValueError as error:
        raise InputError(f"what was measured of the layers cannot be read: {str(error)[:300]}") from error


def fitted(result: dict[str, Any]) -> dict[str, Any]:
    """``result`` with as many layers as it may have, the slowest and the most sensitive; a note says how many went."""
    kept, most = dict(result), MOST_LAYERS
    while True:
        for name in ("operators", "sensitivity"):
            kept[name] = result[name][:most]
        gone = [len(result[name]) - len(kept[name]) for name in ("operators", "sensitivity")]
        if any(gone):
            told = f"left out, since there are so many: the {gone[0]:,} fastest operators, {gone[1]:,} of the least"
            kept["notes"] = [*result["notes"], f"{told} sensitive layers"]
        if len(canonical_json(kept)) <= RESULT_BYTES or not most:
            return kept
        most //= 2


def _whole(r: Reader) -> dict[str, Any]:
    found = {
        "operators": list(r.many("operators", MOST_LAYERS, _operator)),
        "sensitivity": list(r.many("sensitivity", MOST_LAYERS, _sensitivity)),
        "why": r.string("why", NOTE),
        "timed_on": r.string("timed_on", WORD),
        "samples": r.count("samples"),
        "engine": r.string("engine", WORD),
        "threads": r.count("threads", most=4096),
        "machine": dict(r.free("machine", MACHINE_BYTES)),
        "notes": list(r.strings("notes", NOTES, NOTE)),
    }
    if found["timed_on"] not in ("dataset", "noise"):
        raise ValueError("'timed_on' is neither dataset nor noise")
    r.end()
    return found


def _operator(r: Reader) -> dict[str, Any]:
    found = {
        "name": r.string("name", NAME), "op": r.string("op", WORD), "kernel": r.string("kernel", WORD),
        "ms": r.amount("ms", high=_MOST_MS), "share": r.amount("share", high=1.0),
        "layers": list(r.strings("layers", MOST_TOGETHER, NAME)),
    }  # fmt: skip
    r.end()
    return found


def _sensitivity(r: Reader) -> dict[str, Any]:
    found = {"layer": r.string("layer", NAME), "sqnr_db": r.amount("sqnr_db", None, -_MOST_DB, _MOST_DB)}
    r.end()
    return found
