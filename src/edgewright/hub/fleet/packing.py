"""Packing: rollups and observations as they lie in the database: compressed JSON, bounded."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from edgewright.core.digests import canonical_json
from edgewright.core.messages import Observation
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.tables import Period
from edgewright.monitoring.rollup import Key, Rollup

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
    """What ``pack_by_bundle`` gave; nothing for None."""
    return {} if data is None else {b: Observation.from_json(one) for b, one in unpack(data).items()}


class Shelf:
    """Rollups as they are kept, each read from the database once in a transaction."""

    def __init__(self, session: Scoped) -> None:
        self._session = session
        self._rows: dict[Key, Period] = {}
        self._known: dict[Key, Rollup] = {}

    def find(self, key: Key) -> Rollup | None:
        """The rollup that is kept under a key."""
        if key not in self._known:
            row = self._rows.get(key) or self._session.get(Period, (self._session.tenant, *key))
            if row is None:
                return None
            self._rows[key], self._known[key] = row, Rollup.from_json(unpack(row.told))
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
    """The rollup that is kept under a key."""
    row = session.get(Period, (session.tenant, *key))
    return None if row is None else Rollup.from_json(unpack(row.told))


def put(session: Scoped, rollup: Rollup, most_bytes: int = MOST_BYTES) -> bool:
    """Keep a rollup; False when it is too large for one."""
    data = pack(rollup.to_json())
    if len(data) > most_bytes:
        return False
    row = session.get(Period, (session.tenant, *rollup.key))
    if row is None:
        device, model, bundle, began_s, seconds = rollup.key
        session.add(Period(device=device, model=model, bundle=bundle, began_s=began_s, seconds=seconds, told=data))
    else:
        row.told = data
    return True
