"""A job's measurements on other machines: what its folder has that the store of objects does not is put there, piece by
piece, and fetched by whoever goes on. One that goes on here finds them in the folder: without a store that other
machines reach only what workers do for each other is put there.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, select

from edgewright.core.files import remove, scratch, write_file
from edgewright.flows.place import STORE
from edgewright.hub.database import EVERY
from edgewright.hub.errors import Absent
from edgewright.hub.jobs.rules import HELD, QUEUED
from edgewright.hub.jobs.tables import Job, Saved, Worker
from edgewright.hub.jobs.trials import forget_trials
from edgewright.hub.objects import expect, object_name, objects, work_folder
from edgewright.hub.state import State

_EVERY_S = 15.0
_KEPT_S = 7 * 86_400.0
_PARTS = ("objects", "entries")
_PIECE_BYTES = 256 * 2**20


def forget(state: State) -> None:
    """Remove measurements that nobody came back for in a week: folders of this machine, rows of saved ones (the sweep
    of the store removes what they named); and at once what a worker that is gone had for itself."""
    now = state.clock()
    with state.database.read(EVERY) as session:
        wanted = set(session.execute(select(Job.tenant, Job.content).where(Job.state.in_((QUEUED, *HELD)))).all())
        lives = set(session.scalars(select(Worker.id).where(Worker.state.in_(("live", "leaving")))))
    for folder in (state.folder / "jobs").glob("ten_*/*"):
        used = max(one.stat().st_mtime for one in (folder, *folder.glob("out"), *folder.glob("out/.store")))
        idle = (folder.parent.name, folder.name) not in wanted and now.timestamp() - used > _KEPT_S
        helper = folder.suffix.removeprefix(".")
        if folder.is_dir() and (helper not in lives if helper else idle):
            remove(folder)
    with state.database.write(EVERY) as session:
        session.execute(delete(Saved).where(Saved.made < now - timedelta(seconds=_KEPT_S)))
        forget_trials(session)


class Cache:
    """Of one job that runs in ``folder``. ``shared``: what is measured there is for others."""

    def __init__(self, state: State, tenant: str, content: str, folder: Path, shared: bool = False) -> None:
        self._state, self._tenant, self._content = state, tenant, content
        self._root = folder / STORE
        self._shared = shared or objects(state).folder is None
        self._known: set[str] = set()
        self._fetched: set[str] = set()
        self._next = time.monotonic() + _EVERY_S

    def fetch(self) -> None:
        """What others measured since. An object that is gone costs no more than measuring again."""
        store = objects(self._state)
        with self._state.database.read(self._tenant) as session:
            rows = session.scalars(select(Saved).where(Saved.content == self._content).order_by(Saved.made)).all()
        for row in rows:
            if row.object in self._fetched:
                continue
            self._fetched.add(row.object)
            name, _, length = row.object.partition(":")
            try:
                data = store.read(self._tenant, name, 0, int(length))
            except Absent:
                continue
            if hashlib.sha256(data).hexdigest() == name.partition("/")[2]:
                self._unpack(data)

    def save(self, now: bool = False) -> None:
        """What is new, from time to time (``now``: at once). Entries last, as the folder itself has it."""
        if not self._shared or (time.monotonic() < self._next and not now):
            return
        self._next = time.monotonic() + _EVERY_S
        new = [name for name in self._files() if name not in self._known]
        if not new:
            return
        data, packed = self._packed(new)
        digest = hashlib.sha256(data).hexdigest()
        name = object_name("caches", digest)
        with scratch("cache", work_folder(self._state)) as place:
            (place / "piece").write_bytes(data)
            expect(self._state, self._tenant, name)
            objects(self._state).put(self._tenant, name, place / "piece")
        with self._state.database.write(self._tenant) as session:
            key = (self._tenant, self._content, f"{name}:{len(data)}")
            if session.get(Saved, key) is None:
                session.add(Saved(content=key[1], object=key[2], made=self._state.clock()))
        self._fetched.add(key[2])
        self._known |= packed

    def _files(self) -> list[str]:
        """Whole ones alone: what is being written has a hidden name."""
        found = []
        for part in _PARTS:
            for path in sorted((self._root / part).rglob("*")):
                if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                    found.append(str(path.relative_to(self._root)))
        return found

    def _packed(self, names: list[str]) -> tuple[bytes, set[str]]:
        """A piece, and the names that are done with: what does not fit goes with the next one, or never."""
        made, done = io.BytesIO(), set[str]()
        with tarfile.open(fileobj=made, mode="w") as archive:
            for name in names:
                data = (self._root / name).read_bytes()
                if len(data) <= _PIECE_BYTES < made.tell() + len(data):
                    break
                done.add(name)
                if len(data) > _PIECE_BYTES:
                    continue
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return made.getvalue(), done

    def _unpack(self, data: bytes) -> None:
        """The store checks each file against its digest when it reads it, so a wrong one counts as absent."""
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for entry in archive:
                path = Path(entry.name)
                sound = entry.isreg() and len(path.parts) == 3 and path.parts[0] in _PARTS and ".." not in path.parts
                stream = archive.extractfile(entry) if sound else None
                self._known.add(entry.name)
                if stream is not None and not (self._root / path).exists():
                    write_file(self._root / path, stream.read())
