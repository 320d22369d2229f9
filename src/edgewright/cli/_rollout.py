"""A rollout as a page of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from edgewright.cli._table import aligned

_ORDER = (
    "waiting", "offered", "staged", "switching", "active", "failed", "skipped", "reverting", "reverted", "released",
)  # fmt: skip


def page(told: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]) -> str:
    """State, a line for each wave, what the gate knows, and what was decided, oldest first."""
    lines = [f"rollout {told['id']}  {told['name']}  group {told['group'] or 'all'}: {state(told)}"]
    if told.get("development"):
        lines.append("development tenant: the release key lies on the hub")
    lines += ["", _waves(told)]
    look = told.get("look")
    if look:
        lines += ["", f"gate: {look['action']}: {look['why']}"]
        findings = look.get("evidence", {}).get("findings", [])
        if findings:
            lines.append(_findings(findings))
    if decisions:
        lines.append("")
        lines += [f"{_clock(one['at'])}  {one['sentence']}" for one in reversed(decisions)]
    return "\n".join(lines)


def state(told: Mapping[str, Any]) -> str:
    """The state in words."""
    name = str(told["state"]).replace("_", " ")
    return f"wave {told['wave'] + 1} of {len(told['waves'])}, {told['phase']}" if name == "wave" else name


def _waves(told: Mapping[str, Any]) -> str:
    counts = told["counts"]
    names = [name for name in _ORDER if any(name in wave for wave in counts)] or ["waiting"]
    rows = [["wave", "to", *names]]
    for number, (size, wave) in enumerate(zip(told["waves"], counts, strict=True), 1):
        rows.append([str(number), size, *(str(wave.get(name, "")) for name in names)])
    return aligned(rows)


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    rows = [["metric", "shift", "90% interval", "evidence", "canaries", "controls"]]
    for one in findings:
        low, high = one["low"], one["high"]
        between = f"{_number(low)} .. {_number(high)}"
        rows.append([
            one["metric"], _number(one["shift"]), between, _number(one["log_e"]), str(one["canaries"]),
            str(one["controls"]),
        ])  # fmt: skip
    return aligned(rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4g}"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
