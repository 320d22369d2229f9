"""What a server says of why, as text: a paragraph for each model, and one for what they have in common."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgewright.cli._table import aligned
from edgewright.runtime.diagnosis.words import many, percent, time

_WIDE, _INDENT = 100, "  "
_PARTS = {
    "reading": "reading the request", "waiting": "waiting in line", "images": "images and classes",
    "running": "the model's run", "writing": "writing the reply",
}  # fmt: skip
_ENDS = {
    "in time": "answered", "from_cache": "answered from the cache", "late": "answered late",
    "too_short": "refused, deadline too short", "unsure": "refused, not sure to be in time",
    "infeasible": "refused, no time left", "expired": "expired in line",
    "overloaded": "refused, line full", "not_ready": "refused, not ready", "bad_request": "refused, bad request",
    "failed": "failed", "cancelled": "cancelled by the client",
}  # fmt: skip
_SHED = {"full": "no room among those that wait", "missing": "no such version", "failed": "a fault of the server's"}
Told = Mapping[str, Any]


def page(models: Sequence[Told], index: Sequence[Told], server: Told) -> str:
    """All of it; ``index`` names also what does not answer."""
    entries = {(entry.get("name"), entry.get("version")): entry for entry in index}
    paragraphs = []
    for model in models:
        entry = entries.pop((model["name"], model["version"]), {})
        digest = entry.get("parameters", {}).get("digest", "")
        files = f" (sha256 {digest[:12]})" if digest else ""
        span = time(model["why"]["window_s"])
        span = f"{span} since it was loaded" if model["why"]["since_load"] else f"the last {span}"
        title = f"{model['name']} {model['version']}{files}, {span}"
        reason = entry.get("reason")
        paragraphs.append([title, *_model(model), *_wrapped(f"Index: {reason}." if reason else "")])
    for entry in entries.values():
        title = f"{entry.get('name')} {entry.get('version')}".rstrip()
        paragraphs.append([title, *_wrapped(f"It does not answer: {entry.get('reason') or entry.get('state')}.")])
    paragraphs.append(["server", *_server(server)])
    return "\n\n".join("\n".join(lines) for lines in paragraphs)


def _model(model: Told) -> Iterator[str]:
    why = model["why"]
    for sentence in dict.fromkeys([why["summary"], why["refused_because"], why["slow_because"]]):
        yield from _wrapped(sentence)
    asked, parts = why["requests"], why["time_ms"]
    if asked["asked"]:
        counts = {one["cause"]: one["count"] for one in why["refused"]}
        in_time = max(asked["answered"] - counts.get("late", 0), 0)
        counts = {"in time": in_time, "from_cache": asked["from_cache"], **counts}
        rows = [[_ENDS.get(end, end), f"{n:,}", percent(n / asked["asked"])] for end, n in counts.items() if n]
        yield from _table([["requests", f"{asked['asked']:,}", ""], *rows])
    if parts:
        total = sum(parts.values())
        rows = [["a request", "on average", "share", "99% within", "longest"]]
        for name, ms in parts.items():
            tails = why["p99_ms"].get(name), why["longest_ms"].get(name)
            tail = ["" if end_ms is None else time(end_ms / 1e3) for end_ms in tails]
            rows += [[_PARTS.get(name, name), time(ms / 1e3), percent(ms / total), *tail]] if ms else []
        yield from _table(rows)
        yield ""
    yield from _wrapped(_runs(model))


def _runs(model: Told) -> str:
    why, trend = model["why"], model["latency_trend"]
    down = f" ({why['step_down']})" if why["step_down"] else ""
    told = [f"by {why['engine']}'s {why['provider']}{down} with {many(why['threads'], 'thread')}"]
    rows = why["rows_per_run"]
    if rows:
        words = {"unknown": "too few for a trend", "stable": "neither faster nor slower of late"}
        change = f"{trend['word']}, {100 * trend['change']:+.0f}% over the latest {trend['values']:,}"
        batches = [f"{rows:.3g} row{'' if rows == 1 else 's'} each, {why['max_batch']} at most"]
        told = [words.get(trend["word"], change), *(batches if why["max_batch"] > 1 else []), *told]
    if why["promised_p99_ms"]:
        told.append(f"the bundle promises 99% within {time(why['promised_p99_ms'] / 1e3)}")
    return f"Runs: {'; '.join(told)}."


def _server(server: Told) -> Iterator[str]:
    machine, reloads = server["machine"], server["reloads"]
    pressure, throttled = machine["cpu_pressure_60s"], machine["throttled_s"]
    told = f"{many(machine['cores'], 'core')} for {machine['load_1m']:.3g} programs on average of the last minute"
    told += "" if pressure is None else f"; some of them waited for a core {percent(pressure)} of it"
    told += f"; the limit of the control group held it up for {time(throttled)}" if throttled else ""
    yield from _wrapped(f"{told}.")
    told = f"{many(server['line_length'], 'request')} in line for {many(server['executors'], 'executor')}"
    margin = server["margin_ms"]
    yield from _wrapped(f"{told}; {time(margin / 1e3)} kept free before deadlines." if margin else f"{told}.")
    if reloads:
        told = ", ".join(f"{n:,} {outcome.replace('_', ' ')}" for outcome, n in sorted(reloads.items()))
        pause = time(server["longest_reload_pause_ms"] / 1e3)
        yield from _wrapped(f"Reloads: {told}; the longest that anybody waited for one is {pause}.")
    span = time(server.get("window_s", 0.0))
    for split in server.get("splits", ()):
        yield from _wrapped(_split(split, span))
    for shadow in server.get("shadows", ()):
        yield from _wrapped(_shadow(shadow, span))
    if server["strays"]:
        told = ", ".join(f"{n:,} ({kind})" for kind, n in sorted(server["strays"].items()))
        yield from _wrapped(f"Requests that reached no model, since the start: {told}.")
    if server["rejected"]:
        told = ", ".join(f"{n:,} ({reason})" for reason, n in sorted(server["rejected"].items()))
        yield from _wrapped(f"Turned away before their request was looked at, by status or reason: {told}.")


def _split(split: Told, span: str) -> str:
    drawn, answered = split["drawn"], split["answered"]
    total, told = sum(drawn.values()), []
    for version, n in drawn.items():
        if version in split["shares"]:
            share = f"{percent(n / total)} of them, " if total else ""
            told.append(f"{version} drew {n:,} ({share}{percent(split['shares'][version])} configured)")
        elif n:
            told.append(f"{n:,} went to the latest version, since none of these was there")
    ended = ", ".join(f"{version} answered {n:,}" for version, n in answered.items()) or "none of its versions answers"
    return (
        f"Split of {split['model']} in the last {span}: {'; '.join(told)}. Whoever named a version included, {ended}."
    )


def _shadow(shadow: Told, span: str) -> str:
    shed = ", ".join(f"{_SHED.get(why, why)}: {n:,}" for why, n in shadow["shed"].items() if n)
    dropped = f"{sum(shadow['shed'].values()):,} copies were shed" + (f" ({shed})" if shed else "")
    failed = f", {shadow['failed']:,} of its runs failed" if shadow["failed"] else ""
    return (
        f"Shadow {shadow['version']} of {shadow['model']} in the last {span}: {shadow['compared']:,} answers compared"
        f"{failed}, {dropped}, {shadow['waiting']:,} wait; it may take {percent(shadow['share'])} of a core."
    )


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield textwrap.indent(aligned(rows), 2 * _INDENT)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDE, initial_indent=_INDENT, subsequent_indent=_INDENT) if text else []
