"""Deltas between bundles, made in the background when somebody asks for one, one at a time in a process.

What is to be made is a row, so that a hub that ended in the middle goes on: whoever makes one takes it for a while, and
what nobody finished is taken again. A pair that fails twice, or that saves nothing, is fetched whole for good.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError
from edgewright.core.files import scratch
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.library.bundles import find, lock
from edgewright.hub.library.coding import Coded, code, copied
from edgewright.hub.library.tables import Bundle, Delta, Piece
from edgewright.hub.objects import expect, object_name, objects, work_folder
from edgewright.hub.state import State

MOST_WAITING = 32
"""Of one tenant. A device that asks beyond takes the bundle whole."""
MOST_OLD = 32
"""Bundles from which one new bundle is reached by deltas."""
MOST_BYTES = 512 * 2**20
"""Larger bundles go whole: making a delta takes memory in proportion."""
_LEASE = timedelta(minutes=30)
_TRIES = 2
_RECIPES_BYTES = 16 * 2**20
_LOG = logging.getLogger("edgewright.hub")


def delta(state: State, tenant: str, new: str, old: str) -> bytes | None:
    """The recipe that makes the files of the bundle ``new`` of those of ``old`` (digests of manifests). None while it
    is not there, where whole is better, or where too many wait; its chunks are ``open_file``'s.

    The first who asks has it made. Raises Absent when there are no such bundles, StorageError.
    """
    with state.database.read(tenant) as session:
        row = session.get(Delta, (tenant, new, old))
        if row is None:
            sizes = [find(session, digest).length for digest in (new, old)]
    if row is None:
        if new != old and max(sizes) <= MOST_BYTES and _wanted(state, tenant, new, old):
            maker(state).start()
        return None
    return maker(state).recipe(tenant, row) if row.state == "made" else None


def _wanted(state: State, tenant: str, new: str, old: str) -> bool:
    """Whether it now waits to be made."""
    now = state.clock()
    try:
        with state.database.write(tenant) as session:
            lock(session)
            waits = session.scalar(select(func.count()).where(Delta.state.in_(("wanted", "making")))) or 0
            olds = session.scalar(select(func.count()).where(Delta.new == new)) or 0
            gone = session.get(Bundle, (tenant, new)) is None or session.get(Bundle, (tenant, old)) is None
            if waits >= MOST_WAITING or olds >= MOST_OLD or gone:
                return False
            session.add(Delta(new=new, old=old, state="wanted", asked=now, until=now))
    except IntegrityError:
        return True  # somebody else asked at the same moment
    return True


class Maker(Closing):
    """A thread that makes what waits, and ends when nothing does. ``recipe`` keeps some recipes in memory."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again = self._closed = False
        self._recipes: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._stop, self._ends = os.pipe()

    def start(self) -> None:
        """There is something to be made."""
        with self._lock:
            self._again = True
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="edgewright-deltas", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Until nothing is being made."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """End what is being made; it is taken up again by the next hub."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        os.close(self._ends)  # the other end can be read from now on: that ends the child
        self.wait()
        os.close(self._stop)

    def recipe(self, tenant: str, row: Delta) -> bytes | None:
        """The recipe of a delta that was made."""
        key = (tenant, f"{row.new}/{row.old}")
        with self._lock:
            if key in self._recipes:
                self._recipes.move_to_end(key)
                return self._recipes[key]
        try:
            data = objects(self._state).read(tenant, row.object, row.start, row.length)
        except Absent:
            return None
        with self._lock:
            self._recipes[key] = data
            while sum(map(len, self._recipes.values())) > _RECIPES_BYTES:
                self._recipes.popitem(last=False)
        return data

    def _run(self) -> None:
        while True:
            try:
                while not self._closed and (taken := self._take()) is not None:
                    self._make(*taken)
            except (EdgewrightError, SQLAlchemyError, OSError) as error:
                _LOG.warning("deltas cannot be made now: %s", error)  # ``sweep`` starts again
            except Exception as error:  # noqa: BLE001 - no memory, say: it is the only one that makes them
                _LOG.error("deltas cannot be made now", exc_info=error)
            with self._lock:
                if not self._again or self._closed:
                    self._thread = None
                    return
                self._again = False

    def _take(self) -> tuple[str, str, str] | None:
        """The pair that has waited for longest, ours for a while: its tenant, new and old."""
        now = self._state.clock()
        open_ = (Delta.state == "wanted") | ((Delta.state == "making") & (Delta.until < now))
        query = select(Delta).where(open_).order_by(Delta.asked, Delta.tenant, Delta.new, Delta.old).limit(1)
        with self._state.database.write(EVERY) as session:
            row = session.scalars(query.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            row.state, row.tries, row.until = "making", row.tries + 1, now + _LEASE
            return row.tenant, row.new, row.old

    def _make(self, tenant: str, new: str, old: str) -> None:
        state, store = self._state, objects(self._state)
        try:
            with state.database.read(tenant) as session:
                both = find(session, old), find(session, new)
            with scratch("delta", work_folder(state)) as folder:
                for name, row in zip(("old", "new"), both, strict=True):
                    copied(store.pieces(tenant, f"bundles/{row.file}", 0, row.length), folder / name)
                made = code(folder, both[0].files, both[1].files, self._stop)
                if made is not None:
                    with made.path.open("rb") as stream:
                        name = object_name("deltas", hashlib.file_digest(stream, "sha256").hexdigest())
                    expect(state, tenant, name)
                    store.put(tenant, name, made.path)
        except (EdgewrightError, OSError) as error:
            self._failed(tenant, new, old, error)
            return
        with state.database.write(tenant) as session:
            lock(session)
            row_ = session.get(Delta, (tenant, new, old))
            if row_ is not None:
                _enter(session, row_, made, "" if made is None else name)

    def _failed(self, tenant: str, new: str, old: str, error: Exception) -> None:
        if not self._closed:
            _LOG.warning("the delta from %s to %s cannot be made: %s", old[:12], new[:12], error)
        with self._state.database.write(tenant) as session:
            row = session.get(Delta, (tenant, new, old))
            if row is None:
                return
            if self._closed:  # nobody's fault: the next hub begins anew
                row.state, row.tries = "wanted", row.tries - 1
            else:
                row.state = "wanted" if row.tries < _TRIES else "whole"


def maker(state: State) -> Maker:
    """Of this process."""
    return state.part("library.deltas", lambda: Maker(state))


def resume(state: State) -> None:
    """Make what waits, if anything does."""
    with state.database.read(EVERY) as session:
        waits = session.scalar(select(func.count()).where(Delta.state.in_(("wanted", "making"))))
    if waits:
        maker(state).start()


def _enter(session: Scoped, row: Delta, made: Coded | None, name: str) -> None:
    if made is None:
        row.state = "whole"
        return
    row.state, row.object, row.start, row.length = "made", name, made.recipe[1], made.recipe[2]
    owner = f"{row.new}/{row.old}"
    for digest, start, size in {chunk[0]: chunk for chunk in made.chunks}.values():
        session.merge(Piece(tenant=row.tenant, digest=digest, owner=owner, object=name, start=start, length=size))
