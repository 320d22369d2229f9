"""Checking: what was uploaded is joined, read in a child process that is shut off, and kept or refused.

What is to be checked is a row, so that a hub that ended in the middle goes on: whoever checks one holds it for a minute
and says so again and again; what nobody holds any more is taken by the next.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.child import ChildError, run_child
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError, StorageError
from edgewright.core.files import scratch, storage
from edgewright.hub import plans
from edgewright.hub.database import EVERY
from edgewright.hub.errors import Spent
from edgewright.hub.events import emit
from edgewright.hub.models.answers import data_facts, model_facts
from edgewright.hub.models.keeping import drop_upload
from edgewright.hub.models.rules import stage_after
from edgewright.hub.models.tables import Dataset, Part, Upload, Version
from edgewright.hub.objects import expect, object_name, objects, work_folder
from edgewright.hub.state import State

_HELD = timedelta(minutes=1)
_SAY_S = 15.0
_TRIES = 3
_TIMEOUT_S = 900.0
_MEMORY_BASE, _MEMORY_EACH = 6 * 2**30, 12  # address space: libraries map far more than they use
_GIVEN_UP = "the hub could not check it three times over; its log says why. Upload it again"
_KINDS: tuple[Any, ...] = (Version, Dataset)
_LOG = logging.getLogger("edgewright.hub")


@dataclass(frozen=True)
class _Work:
    """A row to be checked, as it was when it was taken."""

    kind: Any
    row: Version | Dataset

    @property
    def key(self) -> tuple[str, str]:
        return self.row.tenant, self.row.id


class Checker(Closing):
    """A thread that checks what waits, one at a time, and ends when nothing does."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again = self._closed = False
        self._stop, self._ends = os.pipe()

    def start(self) -> None:
        """There is something to be checked."""
        with self._lock:
            self._again = True
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="edgewright-checks", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Until nothing is being checked."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """End what is being checked; the next hub begins it anew."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        os.close(self._ends)  # the other end can be read from now on: that ends the child
        self.wait()
        os.close(self._stop)

    def _run(self) -> None:
        while True:
            try:
                while not self._closed and (work := self._take()) is not None:
                    with self._held(work):
                        self._check(work)
            except (EdgewrightError, SQLAlchemyError, OSError) as error:
                _LOG.warning("uploads cannot be checked now: %s", error)  # ``resume`` starts again
            except Exception as error:  # noqa: BLE001 - no thread, no memory: it is the only one that checks
                _LOG.error("uploads cannot be checked now", exc_info=error)
            with self._lock:
                if not self._again or self._closed:
                    self._thread = None
                    return
                self._again = False

    def _take(self) -> _Work | None:
        now = self._state.clock()
        for kind in _KINDS:
            query = select(kind).where(kind.state == "checking", kind.until <= now).order_by(kind.made).limit(1)
            with self._state.database.write(EVERY) as session:
                row = session.scalars(query.with_for_update(skip_locked=True)).one_or_none()
                if row is not None:
                    row.tries, row.until = row.tries + 1, now + _HELD
                    return _Work(kind, row)
        return None

    @contextlib.contextmanager
    def _held(self, work: _Work) -> Iterator[None]:
        """Nobody else takes it as long as this process lives."""
        over = threading.Event()

        def say() -> None:
            while not over.wait(_SAY_S):
                with contextlib.suppress(SQLAlchemyError, StorageError):
                    self._set(work, until=self._state.clock() + _HELD)

        holding = threading.Thread(target=say, daemon=True, name="edgewright-holds")
        holding.start()
        try:
            yield
        finally:
            over.set()
            holding.join()

    def _check(self, work: _Work) -> None:
        if work.row.tries > _TRIES:  # it ended this process, or what was to write down that it is refused
            self._refuse(work, _GIVEN_UP)
            return
        try:
            with scratch("check", work_folder(self._state)) as folder:
                self._read(work, folder)
        except InputError as error:
            self._refuse(work, str(error))
        except SQLAlchemyError:
            raise
        except Exception as error:
            if self._closed:  # nobody's fault: the next hub begins anew
                self._set(work, tries=work.row.tries - 1, until=self._state.clock())
            elif work.row.tries >= _TRIES:
                _LOG.error("%s cannot be checked: %s", work.row.id, error)
                self._refuse(work, _GIVEN_UP)
            else:
                _LOG.warning("%s cannot be checked, and is tried again: %s", work.row.id, error)
                raise

    def _read(self, work: _Work, folder: Path) -> None:
        """Joined, compared with what was announced, read, kept. Raises InputError for what is refused."""
        row = work.row
        inner = folder / "child"
        inner.mkdir()
        path = inner / _placed(row.filename)
        file, wanted = self._joined(row, path)
        if wanted and wanted != file:
            raise InputError(f"its SHA-256 is {file}, not {wanted} as was announced; upload it again")
        kept = folder / "kept"
        os.link(path, kept)  # the child may remove or rename its own
        if isinstance(row, Dataset):
            facts = data_facts(self._asked("read_data", path, kept, file, reading=row.reading))
            self._store(row.tenant, file, kept)
            self._done(work, file, facts=facts)
            return
        found = model_facts(self._asked("read_model", path, kept, file), inner)
        files = dict[str, list[object]]()
        self._check_room(row, [place.stat().st_size for place in found.files.values()])
        for name, place in found.files.items():
            part, digest = (kept, file) if place == path else (place, _sha256(place))
            files[name] = [digest, part.stat().st_size]
            self._store(row.tenant, digest, part)
        if kept.exists():
            self._store(row.tenant, file, kept)
        graph = folder / "graph"
        with storage(graph):
            graph.write_bytes(found.layers)
        layers = _sha256(graph)
        self._store(row.tenant, layers, graph)
        self._done(
            work, file, facts=found.facts, format=found.format, digest=found.digest, signature=found.signature,
            files=files, graph=layers, stage=stage_after(row.stage, "validated"),
        )  # fmt: skip

    def _check_room(self, row: Version | Dataset, sizes: Iterable[int]) -> None:
        """What is kept may be more than what was uploaded. Raises InputError."""
        more = max(sum(sizes) - row.length, 0)
        try:
            with self._state.database.read(row.tenant) as session:
                plans.check(session, self._state.clock(), "storage_bytes", more)
        except Spent as spent:
            raise InputError(f"it is {more:,} bytes larger unpacked: {spent}") from spent

    def _asked(self, function: str, path: Path, kept: Path, file: str, **more: object) -> object:
        """What the child makes of the file, which must be the same afterwards. Raises InputError."""
        argument = {"path": path.name, "sha256": file, **more}
        memory = _MEMORY_BASE + _MEMORY_EACH * path.stat().st_size
        try:
            told = run_child(
                f"edgewright.hub.models.reading:{function}", argument, timeout_s=_TIMEOUT_S, memory_bytes=memory,
                sandbox=True, folder=path.parent, stop=self._stop,
            )  # fmt: skip
        except ChildError as error:
            if self._closed:
                raise
            raise InputError(f"it cannot be read safely ({error}); export it again") from error
        if _sha256(kept) != file:
            raise InputError("the file changed while it was read, so it did what no model does; look where it is from")
        return told

    def _joined(self, row: Version | Dataset, path: Path) -> tuple[str, str]:
        """The parts in one file: its SHA-256, and what it was announced to be."""
        store, tenant, digest, at = objects(self._state), row.tenant, hashlib.sha256(), 0
        with self._state.database.read(tenant) as session:
            upload = session.find(Upload, row.upload)
            parts = session.scalars(select(Part).where(Part.upload == row.upload).order_by(Part.start)).all()
        with storage(path), path.open("xb") as made:
            for part in parts:
                if part.start != at:
                    raise StorageError("a part of an upload is missing")
                for piece in store.pieces(tenant, part.object, 0, part.length):
                    digest.update(piece)
                    made.write(piece)
                at += part.length
        if at != row.length:
            raise StorageError("a part of an upload is missing")
        return digest.hexdigest(), upload.sha256

    def _store(self, tenant: str, digest: str, path: Path) -> None:
        name = object_name("models", digest)
        expect(self._state, tenant, name)
        objects(self._state).put(tenant, name, path)

    def _done(self, work: _Work, file: str, **found: object) -> None:
        tenant, name = work.key
        with self._state.database.write(tenant) as session:
            row = session.get(work.kind, (tenant, name))
            if row is None:
                return  # removed meanwhile
            for key, value in {"state": "ready", "file": file, **found}.items():
                setattr(row, key, value)
            session.execute(delete(Part).where(Part.upload == row.upload))
            emit(session, "model.state", name, {"state": "ready"}, self._state.clock())

    def _refuse(self, work: _Work, reason: str) -> None:
        placed, given = _placed(work.row.filename), PurePosixPath(work.row.filename).name[:80]
        told = reason.replace(placed, given) if "." in placed else reason
        self._set(work, state="refused", reason="".join(c for c in told if c.isprintable())[:500])
        tenant, name = work.key
        with self._state.database.write(tenant) as session:
            session.execute(delete(Part).where(Part.upload == work.row.upload))
            emit(session, "model.state", name, {"state": "refused"}, self._state.clock())

    def _set(self, work: _Work, **values: object) -> None:
        tenant, name = work.key
        with self._state.database.write(tenant) as session:
            row = session.get(work.kind, (tenant, name))
            for key, value in values.items() if row is not None else ():
                setattr(row, key, value)


def checker(state: State) -> Checker:
    """Of this process."""
    return state.part("models.checker", lambda: Checker(state))


def resume(state: State, now: datetime) -> None:
    """Check what waits, if anything does; forget uploads that nobody went on with."""
    with state.database.read(EVERY) as session:
        waits = any(
            session.scalar(select(kind.id).where(kind.state == "checking", kind.until <= now).limit(1))
            for kind in _KINDS
        )
        old = session.execute(select(Upload.tenant, Upload.id).where(Upload.until < now)).all()
    for tenant, upload in old:
        with state.database.write(tenant) as session:
            drop_upload(session, upload)
    if waits:
        checker(state).start()


def _placed(filename: str) -> str:
    """What the file is called while it is read: of its own name only what readers go by."""
    return f"upload{PurePosixPath(filename).suffix.lower()}"


def _sha256(path: Path) -> str:
    with storage(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
