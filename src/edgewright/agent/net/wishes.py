"""Wishes: the newest desired state, on the disk, so that an agent that starts without a network knows it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError, StorageError
from edgewright.core.files import read_file, remove, storage, write_file
from edgewright.core.messages import LIMITS, Desired, read, render
from edgewright.core.strict import parse_json

DESIRED, OVERRULED = "desired.json", "overruled.json"


class Wishes:
    """In ``state``. What cannot be read is as if there were none: revision 0 is asked for again."""

    def __init__(self, state: Path) -> None:
        self._state, self._lock = state, threading.Lock()
        self.desired = Desired(0)
        """The newest; ``Desired(0)`` before the first."""
        with contextlib.suppress(InputError):
            self.desired = read(Desired, read_file(state / DESIRED, LIMITS["Desired"]))

    def take(self, desired: Desired, asked: int) -> bool:
        """Keep what the hub answered to a poll that told it the revision ``asked``; whether it is news.

        A lower revision is the hub's truth, too (it was restored from a backup), unless another answer came meanwhile.
        """
        with self._lock:
            mine = self.desired.revision
            if desired.revision == mine or (asked != mine and desired.revision < mine):
                return False
            with contextlib.suppress(StorageError):  # a disk that is full now: it is asked for again after a restart
                write_file(self._state / DESIRED, render(desired), 0o600)
            self.desired = desired
            return True

    @property
    def overruled(self) -> Mapping[str, Any] | None:
        """The offer that somebody on the device put another bundle in place of."""
        with contextlib.suppress(InputError, ValueError):
            told = parse_json(read_file(self._state / OVERRULED, 4096), 4096)
            return told if isinstance(told, dict) else None
        return None

    def overrule(self) -> None:
        """Somebody brought another bundle by hand: what the hub offers now does not replace it, its next word does.
        Raises StorageError."""
        from edgewright.agent.net.follow import key

        release = self.desired.release
        path = self._state / OVERRULED
        if release is not None:
            write_file(path, canonical_json(key(release)), 0o600)
        elif path.exists():
            with storage(path):
                remove(path)
