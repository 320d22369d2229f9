"""Logs: what happened, a line each, for people or for machines. Never a request's body, a token or a secret.

Standard ``logging`` under the name ``edgewright.runtime``: a program that embeds the runtime handles it as it likes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any, Literal

LOG = logging.getLogger("edgewright.runtime")
LOG.addHandler(logging.NullHandler())
Format = Literal["text", "json"]
_LONGEST = 2000


def info(event: str, text: str, **fields: Any) -> None:
    """Say that ``event`` happened. ``text`` is for people; ``fields`` are JSON values for machines."""
    _log(logging.INFO, event, text, fields)


def warning(event: str, text: str, **fields: Any) -> None:
    """Something that should be looked at."""
    _log(logging.WARNING, event, text, fields)


def error(event: str, text: str, **fields: Any) -> None:
    """Something went wrong and stays so until somebody looks."""
    _log(logging.ERROR, event, text, fields)


def _log(level: int, event: str, text: str, fields: Mapping[str, Any]) -> None:
    if LOG.isEnabledFor(level):
        LOG.log(level, "%s", text, extra={"event": event, "fields": fields})


def trouble(text: str) -> None:
    """An exception of our own making, being handled: with its place, so that it can be mended."""
    kind, raised, trace = sys.exc_info()
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    name = "" if kind is None else kind.__name__
    _log(logging.ERROR, "fault", f"{text}: {name}: {raised} ({place})", {"error": name, "place": place})


def printable(text: str) -> str:
    """``text`` on one line: what could end a line, or steer a terminal, spelled out. At most 2,000 characters."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in cut)


class Text(logging.Formatter):
    """``time event  text``, as it is read on a terminal; ``timed`` False: without the time (UTC, RFC 3339)."""

    def __init__(self, timed: bool = True) -> None:
        super().__init__()
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        at = f"{_time(record)} " if self._timed else ""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return printable(f"{at}{getattr(record, 'event', 'log'):<9} {level}{record.getMessage()}")


class Json(logging.Formatter):
    """``level``, ``time`` (UTC, RFC 3339), ``event``, ``message`` and the event's fields, as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        told = {"level": record.levelname.lower(), "time": _time(record), "event": getattr(record, "event", "log"),
                "message": record.getMessage()[:_LONGEST]}  # fmt: skip
        fields = {key: value for key, value in getattr(record, "fields", {}).items() if key not in told}
        return json.dumps({**told, **fields}, default=str)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def journaled(stream: IO[str]) -> bool:
    """Whether what is written there goes to systemd's journal, which keeps the times itself (systemd.exec(5),
    JOURNAL_STREAM: that of a service is handed down to children whose streams go elsewhere)."""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):  # closed, none, or no file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


class _Stream(logging.StreamHandler[IO[str]]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A terminal that is gone must not take the server along."""


def start(form: Format = "text") -> logging.Handler:
    """Write to standard error from now on. Give what comes back to ``stop``."""
    handler = _Stream(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text(timed=not journaled(sys.stderr)))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    return handler


def stop(handler: logging.Handler) -> None:
    """Write no more."""
    LOG.removeHandler(handler)
    LOG.propagate = True


class Rejections:
    """Says who was turned away, or what was ``refused``, in one line now and then, however many they are."""

    def __init__(self, every_s: float = 10.0, event: str = "rejected", text: str = "were turned away") -> None:
        self._every_s, self._next, self._told = every_s, 0.0, Counter[str]()
        self._event, self._text = event, text

    def tell(self, now: float, totals: Counter[str]) -> None:
        """``totals``: how many so far, by reason; ``now`` in s."""
        if now < self._next or totals == self._told:
            return
        news = totals - self._told
        self._next, self._told = now + self._every_s, Counter(totals)
        if not news:  # a model is gone, and its counters with it
            return
        what = ", ".join(f"{reason}: {count}" for reason, count in sorted(news.items()))
        warning(self._event, f"{sum(news.values())} {self._text} ({what})", **news)
