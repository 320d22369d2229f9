"""Packing: rollups and observations as they lie in the database: compressed JSON, bounded.

A row that cannot be read (``unreadable``: another release wrote it, or a bit fell over) stops nobody: whoever meets it
goes on without it, and whoever writes there removes it or writes over it. Each time is a warning in the log.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edgewright.core.digests import canonical_json
from edgewright.core.messages import Observation
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.tables import Period
from edgewright.monitoring.rollup import Key, Rollup
from edgewright.monitoring.seen import Seen

T = TypeVar("T")
_LOG = logging.getLogger("edgewright.hub")
MOST_BYTES = 96 * 2**10
"""A packed rollup has no more: what would make it larger is not taken. An honest one has some 3 kB."""


def pack(value: Any) -> bytes:
    """A JSON value, compressed."""
    return zlib.compress(canonical_json(value), 6)


def unpack(data: bytes) -> Any:
    """What ``pack`` gave."""
    return json.loads(zlib.decompress(data))


def pack_by_bundle(told: Mapping[str, Observation]) -> bytes:
    """Observations by bundle."""
    return pack({bundle: one.to_json() for bundle, one in told.items()})


def unpack_by_bundle(data: bytes | None) -> dict[str, Observation]:
    """What ``pack_by_bundle`` gave; nothing for None, and for what cannot be read."""
    read = lambda data: {b: Observation.from_json(one) for b, one in unpack(data).items()}  # noqa: E731
    return {} if data is None else _readable("what a watched device told", read, data) or {}


def unpack_rollup(data: bytes) -> Rollup | None:
    """The rollup of a ``Period``; None when it cannot be read."""
    return _readable("a rollup", lambda data: Rollup.from_json(unpack(data)), data)


def unpack_observation(data: bytes) -> Observation | None:
    """The observation of a ``Contribution``; None when it cannot be read."""
    return _readable("what a report added", lambda data: Observation.from_json(unpack(data)), data)


def read_seen(text: str) -> Seen:
    """The reports of a ``Ledger``; none when it cannot be read: what comes again then counts again."""
    return _readable("which reports were taken", lambda text: Seen.from_json(json.loads(text)), text) or Seen()


def _readable(what: str, read: Callable[[Any], T], data: bytes | str) -> T | None:
    try:
        return read(data)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, zlib.error) as error:
        _LOG.warning("%s cannot be read and is left out: %s", what, str(error)[:300])
        return None


class Shelf:
    """Rollups as they are kept, each read from the database once in a transaction."""

    def __init__(self, session: Scoped) -> None:
        self._session = session
        self._rows: dict[Key, Period] = {}
        self._known: dict[Key, Rollup] = {}

    def find(self, key: Key) -> Rollup | None:
        """The rollup that is kept under a key."""
        if key not in self._known:
            row = self._rows.get(key) or _row(self._session, key)
            if row is None:
                return None
            self._rows[key], read = row, unpack_rollup(row.told)
            if read is None:
                return None  # ``put`` writes over it
            self._known[key] = read
        return self._known[key]

    def put(self, rollup: Rollup) -> bool:
        """Keep a rollup; False when it is too large for one."""
        data, key = pack(rollup.to_json()), rollup.key
        if len(data) > MOST_BYTES:
            return False
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Period(
                device=key.device, model=key.model, bundle=key.bundle, began_s=key.began_s, seconds=key.seconds,
                told=data,
            )  # fmt: skip
            self._session.add(row)
        else:
            row.told = data
        self._known[key] = rollup
        return True


def find(session: Scoped, key: Key) -> Rollup | None:
    """The rollup that is kept under a key; None for one that cannot be read, which ``put`` writes over."""
    row = _row(session, key)
    return None if row is None else unpack_rollup(row.told)


def put(session: Scoped, rollup: Rollup, most_bytes: int = MOST_BYTES) -> bool:
    """Keep a rollup; False when it is too large for one."""
    data = pack(rollup.to_json())
    if len(data) > most_bytes:
        return False
    row = _row(session, rollup.key)
    if row is None:
        device, model, bundle, began_s, seconds = rollup.key
        session.add(Period(device=device, model=model, bundle=bundle, began_s=began_s, seconds=seconds, told=data))
    else:
        row.told = data
    return True


def _row(session: Scoped, key: Key) -> Period | None:
    return session.get(Period, {"tenant": session.tenant, **key._asdict()})
