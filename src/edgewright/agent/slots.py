"""Slots: where bundles lie, each by its digest, and the link that says which one serves.

    STATE/slots/DIGEST/NAME/...     a bundle's folder under its model's name, whole or not there
    STATE/current                   a link to slots/DIGEST, replaced by rename
    STATE/incoming/DIGEST/          an update in the making

Two slots are enough to switch; the last good bundle is kept beside them, so up to three are in use.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from edgewright.core.errors import StorageError
from edgewright.core.files import remove, storage, sync_folder

CURRENT, SLOTS, INCOMING = "current", "slots", "incoming"
_GONE, _NEW = ".gone-", ".current-new"


class Slots:
    """Below ``state``. Everything that writes raises StorageError and may be done again."""

    def __init__(self, state: Path) -> None:
        self._state, self._slots = state, state / SLOTS

    @property
    def current(self) -> str:
        """The digest that ``current`` names, "" for none."""
        try:
            target = str((self._state / CURRENT).readlink())
        except OSError:
            return ""
        parent, _, digest = target.partition("/")
        return digest if parent == SLOTS and "/" not in digest else ""

    @property
    def link(self) -> Path:
        """What the runtime is given as its folder of models."""
        return self._state / CURRENT

    def model(self, digest: str) -> Path | None:
        """The bundle's folder, whose name is the model's; None when it is not there."""
        try:
            found = [path for path in (self._slots / digest).iterdir() if not path.name.startswith(".")]
        except OSError:
            return None
        return found[0] if len(found) == 1 and digest else None

    def held(self) -> list[str]:
        """Digests of the bundles that lie here."""
        try:
            return sorted(path.name for path in self._slots.iterdir() if not path.name.startswith("."))
        except OSError:
            return []

    def work(self, digest: str) -> Path:
        """The folder in which an update is made; made if need be, durably."""
        folder = self._state / INCOMING / digest
        with storage(folder):
            if not folder.is_dir():
                folder.mkdir(parents=True, mode=0o700)
            sync_folder(folder.parent)
            sync_folder(self._state)
        return folder

    def put(self, digest: str, made: Path) -> None:
        """The folder ``made``, durable already, becomes the bundle's slot; what was there goes."""
        slot = self._slots / digest
        with storage(slot):
            self._slots.mkdir(exist_ok=True, mode=0o755)
            sync_folder(self._state)
            if slot.exists():
                self._drop(slot)
            made.rename(slot)
            sync_folder(self._slots)
            sync_folder(made.parent)

    def switch(self, digest: str) -> None:
        """``current`` names the bundle from now on ("": nothing), durably."""
        if digest and self.model(digest) is None:
            raise StorageError(f"bundle {digest[:12]} is not on the disk; fetch it again")
        with storage(self.link):
            if digest == self.current:
                sync_folder(self._state)  # the rename may have been done, and not have reached the disk
                return
            new = self._state / _NEW
            new.unlink(missing_ok=True)
            if digest:
                new.symlink_to(f"{SLOTS}/{digest}")
                new.rename(self.link)
            else:
                self.link.unlink(missing_ok=True)
            sync_folder(self._state)

    def collect(self, kept: Collection[str]) -> None:
        """Remove all bundles but ``kept`` and what ``current`` names, and what updates in the making left."""
        current, incoming = self.current, self._state / INCOMING
        with storage(self._slots):
            if self._slots.is_dir():
                for path in self._slots.iterdir():
                    if path.name not in {*kept, current}:
                        self._drop(path)
            if incoming.is_dir():
                for path in incoming.iterdir():
                    if path.name not in kept:
                        remove(path)

    def _drop(self, path: Path) -> None:
        """Remove a slot so that nobody takes what is left of it for a bundle."""
        gone = path if path.name.startswith(_GONE) else path.with_name(_GONE + path.name)
        if gone != path:
            if gone.exists():
                shutil.rmtree(gone)
            path.rename(gone)
            sync_folder(self._slots)
        remove(gone)
