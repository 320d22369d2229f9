"""Health of a device: components, each with a level and a sentence; the whole is the worst of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

Level = Literal["ok", "warn", "bad"]
LEVELS: tuple[Level, ...] = get_args(Level)
SILENT = timedelta(minutes=15)
"""A device asks once a minute; one that did not for so long is silent."""
_QUIET = timedelta(minutes=3)
_RENEWS, _LATE = 3 / 4, 9 / 10  # of a certificate's life; it is renewed at two thirds
_STUCK = timedelta(days=1)
_CLOCK_WARN_S, _CLOCK_BAD_S = 120.0, 3600.0
_DISK_WARN, _DISK_BAD = (0.05, 100 * 2**20), (0.02, 20 * 2**20)  # of its storage, and bytes: what is more counts
_LOST_BAD = 100
_AT_REST = ("idle", "committed", "waiting", "shadowing", "abandoned", "rolled_back")


@dataclass(frozen=True)
class Known:
    """What is known of a device. ``status``: the JSON of its last ``messages.Status``; ``certificate``: from when until
    when the one it uses holds; ``serving``: what ``serving.judge`` says; ``lost``: reports in the
    last day. ``heard_since``: from when on the hub could have heard it."""

    name: str
    group: str
    made: datetime
    seen: datetime | None
    changed: datetime
    offset_s: float = 0.0
    status: Mapping[str, Any] = field(default_factory=dict)
    storage_bytes: int = 0
    certificate: tuple[datetime, datetime] | None = None
    serving: tuple[Level, str] | None = None
    lost: int = 0
    heard_since: datetime | None = None


@dataclass(frozen=True)
class Component:
    """``name``: connection, certificate, update, serving, disk, clock, reports or configuration; ``told``: a clause."""

    name: str
    level: Level
    told: str


@dataclass(frozen=True)
class Health:
    """``level``: the worst of the components."""

    level: Level
    components: tuple[Component, ...]

    def worst(self, names: tuple[str, ...]) -> Component:
        """The worst of the components that are named; the first one of several."""
        return max((c for c in self.components if c.name in names), key=lambda c: LEVELS.index(c.level))


def health(known: Known, now: datetime, silent: timedelta = SILENT) -> Health:
    """The health of a device at ``now``."""
    found = (
        Component("connection", *_connection(known, now, silent)),
        Component("certificate", *_certificate(known, now)),
        Component("update", *_update(known, now)),
        Component("serving", *(known.serving or ("ok", "nothing out of the usual"))),
        Component("disk", *_disk(known)),
        Component("clock", *_clock(known)),
        Component("reports", *_reports(known)),
        Component("configuration", *_configuration(known)),
    )
    return Health(max((c.level for c in found), key=LEVELS.index), found)


def silence(known: Known, now: datetime) -> timedelta:
    """For how long the device did not ask, as far as the hub was there to hear it."""
    last = known.seen or known.made
    return now - (last if known.heard_since is None else max(last, known.heard_since))


def _connection(known: Known, now: datetime, silent: timedelta) -> tuple[Level, str]:
    quiet, ago = silence(known, now), spoken(now - (known.seen or known.made))
    told = f"it was enrolled {ago} ago and never asked" if known.seen is None else f"it asked {ago} ago"
    return "bad" if quiet > silent else "warn" if quiet > _QUIET else "ok", told


def _certificate(known: Known, now: datetime) -> tuple[Level, str]:
    if known.certificate is None:
        return "ok", "it has shown no certificate yet"
    made, until = known.certificate
    if until <= now:
        return "bad", f"it ended {spoken(now - until)} ago; the device renews it as soon as it asks again"
    gone = (now - made) / (until - made)
    level: Level = "bad" if gone > _LATE else "warn" if gone > _RENEWS else "ok"
    late = "" if level == "ok" else ", and should have been renewed"
    return level, f"it holds for another {spoken(until - now)}{late}"


def _update(known: Known, now: datetime) -> tuple[Level, str]:
    status = known.status
    state, result, reason = (str(status.get(name) or "") for name in ("state", "result", "reason"))
    why = f": {reason[:200]}" if reason else ""
    if status.get("good") and not status.get("current"):
        return "bad", f"it serves no bundle, and had one that was good{why}"
    if state == "rolling_back":
        return "warn", f"it goes back to the bundle before{why}"
    if state and state not in _AT_REST:
        waits = now - known.changed
        return "warn" if waits > _STUCK else "ok", f"its update is at {state!r} for {spoken(waits)}"
    if result in ("rolled_back", "abandoned"):
        return "warn", f"its last update was {result.replace('_', ' ')}{why}"
    return "ok", "it runs what it was told to" if status.get("current") else "it serves no bundle"


def _disk(known: Known) -> tuple[Level, str]:
    free = known.status.get("free_bytes")
    if not known.status.get("clock_s") or not isinstance(free, int):
        return "ok", "it has not told"
    level: Level = "ok"
    for name, (share, least) in (("warn", _DISK_WARN), ("bad", _DISK_BAD)):
        if free < max(share * known.storage_bytes, least):
            level = "warn" if name == "warn" else "bad"
    of = f" of {known.storage_bytes / 2**20:,.0f}" if known.storage_bytes else ""
    return level, f"{free / 2**20:,.0f}{of} MiB are free"


def _clock(known: Known) -> tuple[Level, str]:
    off = abs(known.offset_s)
    if off <= _CLOCK_WARN_S:
        return "ok", "it is right"
    way = "ahead" if known.offset_s > 0 else "behind"
    return "bad" if off > _CLOCK_BAD_S else "warn", f"it is {spoken(timedelta(seconds=min(off, 1e9)))} {way}"


def _configuration(known: Known) -> tuple[Level, str]:
    why = str(known.status.get("config") or "")
    return ("warn", f"it refuses what it is told: {why[:200]}") if why else ("ok", "none is refused")


def _reports(known: Known) -> tuple[Level, str]:
    if not known.lost:
        return "ok", "none was lost lately"
    return "bad" if known.lost >= _LOST_BAD else "warn", f"{known.lost:,} observations or events were lost lately"


def spoken(span: timedelta) -> str:
    """A span for people: its largest unit, and never less than nothing."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size or unit == "second":
            n = seconds // size
            return f"{n} {unit}" + ("" if n == 1 else "s")
    raise AssertionError
