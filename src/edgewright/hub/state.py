"""State: what stands behind all routes of one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Request

from edgewright.core.closing import Closing
from edgewright.hub.database import Database
from edgewright.hub.secrets import Passwords, Safe
from edgewright.hub.web.idempotency import Flights
from edgewright.hub.web.rates import Rates
from edgewright.trust import SigningKey, own_key


def utc_now() -> datetime:
    """The clock of a hub that runs."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class State(Closing):
    """``folder``: the hub's own files; ``key``: signs heads of audit logs; ``safe``: seals what has to be read again;
    ``clock``: now, in UTC; ``rates``: for each credential, ``tries``: for each network that has none yet;
    ``public_url``: where people reach the hub, without a slash at the end ("" where it is what their request says)."""

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

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def state_of(request: Request) -> State:
    """The state behind a request."""
    found: State = request.app.state.hub
    return found


def open_state(folder: Path, url: str = "", public_url: str = "") -> State:
    """A hub's state in ``folder``, its tables brought up to this release; ``url``: another database than SQLite there.

    Raises InputError, StorageError, TrustError.
    """
    from edgewright.hub.database.migrating import migrate

    keys = folder / "keys"
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys.chmod(0o700)
    database = Database(url or f"sqlite:///{folder / 'hub.db'}")
    migrate(database.engine)
    return State(folder, database, own_key(keys), Safe.at(keys / "safe.key"), public_url=public_url)
