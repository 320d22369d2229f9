"""State: what stands behind all routes of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.closing import Closing
from edgewright.core.errors import DiskFull, StorageError
from edgewright.core.files import storage
from edgewright.hub import soundness
from edgewright.hub.database import Database, no_room, told
from edgewright.hub.database.faults import reason
from edgewright.hub.secrets import Passwords, Safe
from edgewright.hub.web.idempotency import Flights
from edgewright.hub.web.rates import Rates
from edgewright.trust import SigningKey, own_key

Part = TypeVar("Part")


def utc_now() -> datetime:
    """The clock of a hub that runs."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class State(Closing):
    """``folder``: the hub's own files; ``key``: signs heads of audit logs; ``safe``: seals what has to be read again;
    ``clock``: now, in UTC; ``rates``: for each credential, ``tries``: for each network that has none yet;
    ``public_url``: where people reach the hub, without a slash at the end ("" where it is what their request says);
    ``objects``: URL of the store of objects ("": a folder of the hub's own); ``private_webhooks``: the hub's operator
    allows webhooks at private addresses."""

    folder: Path
    database: Database
    key: SigningKey
    safe: Safe
    passwords: Passwords = field(default_factory=Passwords)
    clock: Callable[[], datetime] = utc_now
    rates: Rates = field(default_factory=lambda: Rates(100, 400))
    tries: Rates = field(default_factory=lambda: Rates(2, 30))
    flights: Flights = field(default_factory=Flights)
    public_url: str = ""
    objects: str = ""
    private_webhooks: bool = False
    _parts: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def stir(self) -> threading.Event:
        """Set by what somebody is to be told of at once, and not at the next minute's look."""
        return self.part("stir", threading.Event)

    def part(self, name: str, make: Callable[[], Part]) -> Part:
        """What a slice keeps beside all this in one process (its CA, its store), made on first use."""
        with self._lock:
            if name not in self._parts:
                self._parts[name] = make()
            found: Part = self._parts[name]
            return found

    def close(self) -> None:
        """End what the slices run beside it, and close the database."""
        for part in reversed(list(self._parts.values())):
            if isinstance(part, Closing):
                part.close()
        self.database.close()


def state_of(request: Request) -> State:
    """The state behind a request."""
    found: State = request.state.hub
    return found


def open_state(
    folder: Path, url: str = "", public_url: str = "", objects: str = "", private_webhooks: bool = False
) -> State:
    """A hub's state in ``folder``, its tables brought up to this release; ``url``: another database than SQLite there,
    ``objects``: another store than a folder there.

    Raises InputError, StorageError, TrustError.
    """
    from edgewright.hub.database.migrating import migrate

    keys = folder / "keys"
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        keys.mkdir(exist_ok=True, mode=0o700)
        keys.chmod(0o700)
    if not url:
        soundness.check_file(folder / "hub.db")
    database = Database(url or f"sqlite:///{folder / 'hub.db'}")
    try:
        soundness.check_new(folder, database.engine)
        migrate(database.engine)
        soundness.check_keys(folder, database.engine)
        key, safe = own_key(keys), Safe.at(keys / "safe.key")
    except (SQLAlchemyError, OSError) as error:
        database.close()
        if no_room(error):
            raise DiskFull(told(error)) from error
        raise StorageError(
            "the database cannot be reached or used; look at its URL (--database), whether it runs, and the user's "
            f"rights: {reason(error)}"
        ) from error
    except BaseException:
        database.close()
        raise
    return State(folder, database, key, safe, public_url=public_url, objects=objects, private_webhooks=private_webhooks)
